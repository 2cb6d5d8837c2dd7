"""Any timm tower that encodes pictures of any size, behind the `VisionEncoder` protocol.

Vision transformers resample their position table to each grid (bicubic, as timm does), Swin
towers pad to whole windows; convolutional towers serve when their stride is the patch. The
features are the last block's, normalised by the tower's final norm where it has one, without
prefix tokens and head.
"""

import difflib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import timm
from torch import Tensor, nn

from ..errors import CheckpointError, ConfigError
from .picture_tower import PictureTower, first_line, load_weights, read_weights


class TimmEncoder(PictureTower):
    """A timm tower by name.

    Attributes:
        image_mean: what its published weights expect pixels to be normalised with.
        image_std: likewise.
    """

    library = "timm"

    def __init__(
        self,
        name: str,
        *,
        pretrained: bool = False,
        weights: str | Path | None = None,
        model_args: Mapping[str, Any] | None = None,
    ) -> None:
        """Builds the tower with random weights unless told otherwise.

        Args:
            name: as timm lists it, with or without a weight tag.
            pretrained: fetch the published weights; the only way to a download.
            weights: a local safetensors file with timm's names.
            model_args: arguments of timm's constructor, such as {"depth": 4, "img_size": 512}.

        Raises:
            ConfigError: no such tower, or it cannot encode pictures of any size.
            CheckpointError: the weights cannot be had or do not fit.
        """
        super().__init__()
        if pretrained and weights is not None:
            raise ConfigError(f"Give pretrained or weights for the tower {name}, not both.")
        self.name = name
        self.model_args: Mapping[str, Any] = dict(model_args or {})
        self.tower: Any = _create(name, pretrained, dict(model_args or {}))
        if not hasattr(self.tower, "forward_intermediates"):
            raise ConfigError(f"The timm tower {name} does not give features on a grid.")
        published = self.tower.pretrained_cfg
        unused = _drop_head(self.tower)
        if weights is not None:
            load_weights(self.tower, read_weights(weights), source=str(weights), unused=unused)
        self.patch_size = int(self.tower.feature_info[-1]["reduction"])
        self.num_prefix_tokens = int(getattr(self.tower, "num_prefix_tokens", 0))
        self.image_mean: tuple[float, ...] = tuple(published["mean"])
        self.image_std: tuple[float, ...] = tuple(published["std"])
        self.unused = unused
        self.check_grids()

    def feature_maps(self, pictures: Tensor) -> Tensor:
        return self.tower.forward_intermediates(
            pictures, indices=1, norm=True, output_fmt="NCHW", intermediates_only=True
        )[-1]


# What makes a tower take pictures of other sizes than it was built for, by kinds of towers: those
# with a table of positions resample it, those with windows pad to whole ones.
_ANY_SIZE = (("dynamic_img_size", True), ("strict_img_size", False))


def _create(name: str, pretrained: bool, model_args: dict[str, Any]) -> nn.Module:
    # Only names of the registry: others, such as hf-hub:..., read the net even without weights.
    if not timm.is_model(name):
        near = difflib.get_close_matches(name, timm.list_models(), n=3)
        hint = f"; near it are {', '.join(near)}" if near else ""
        raise ConfigError(f"timm has no tower {name}{hint}.")
    try:
        for switch, value in _ANY_SIZE:
            try:
                return timm.create_model(
                    name, pretrained=pretrained, num_classes=0, **{switch: value, **model_args}
                )
            except TypeError as error:
                if switch not in str(error):
                    raise
        # towers without positions have no such switch
        return timm.create_model(name, pretrained=pretrained, num_classes=0, **model_args)
    except (TypeError, AssertionError, ValueError, RuntimeError, OSError) as error:
        if pretrained:
            raise CheckpointError(
                f"The published weights of the timm tower {name} cannot be had: "
                f"{first_line(error)}."
            ) from error
        raise ConfigError(
            f"timm cannot build {name} with {model_args}: {first_line(error)}."
        ) from error


def _drop_head(tower: Any) -> tuple[str, ...]:
    """Removes what comes after the features; gives the prefixes of the names it had."""
    before = set(tower.state_dict())
    tower.prune_intermediate_layers(1, prune_norm=False, prune_head=True)
    removed = before - set(tower.state_dict())
    classifier = tower.pretrained_cfg.get("classifier") or ()
    classifiers = (classifier,) if isinstance(classifier, str) else tuple(classifier)
    return (*sorted(removed), *(f"{part}." for part in classifiers))
