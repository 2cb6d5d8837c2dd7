"""Any open_clip visual tower behind the `VisionEncoder` protocol.

Its own vision transformers resample their position table to each grid (bicubic); its residual
networks serve with patch 32, their stride; timm towers inside open_clip go through
`TimmEncoder`. Pooling, projection and the text tower are left out.
"""

import difflib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import open_clip
import torch
from open_clip.constants import OPENAI_DATASET_MEAN, OPENAI_DATASET_STD
from open_clip.model import CLIPVisionCfg, _build_vision_tower
from open_clip.modified_resnet import ModifiedResNet
from timm.layers.pos_embed import resample_abs_pos_embed
from torch import Tensor, nn

from ..errors import CheckpointError, ConfigError
from .picture_tower import PictureTower, first_line, load_weights, read_weights
from .timm_encoder import TimmEncoder

_RESNET_STRIDE = 32


class OpenClipEncoder(PictureTower):
    """An open_clip visual tower by name.

    Attributes:
        image_mean: what its published weights expect pixels to be normalised with.
        image_std: likewise.
    """

    library = "open_clip"

    def __init__(
        self,
        name: str,
        *,
        pretrained: str | None = None,
        weights: str | Path | None = None,
        model_args: Mapping[str, Any] | None = None,
    ) -> None:
        """Builds the tower with random weights unless told otherwise.

        Args:
            name: as open_clip lists it, such as "ViT-B-32".
            pretrained: the tag of published weights to fetch; the only way to a download.
            weights: a local safetensors file of the whole model or of its visual part.
            model_args: values of open_clip's vision configuration, such as {"layers": 4}.

        Raises:
            ConfigError: no such tower or argument, or it cannot encode pictures of any size.
            CheckpointError: the weights cannot be had or do not fit.
        """
        super().__init__()
        if pretrained is not None and (weights is not None or model_args):
            raise ConfigError(
                f"The published weights {pretrained} of the tower {name} go with neither "
                "weights nor model_args."
            )
        self.name = name
        self.model_args: Mapping[str, Any] = dict(model_args or {})
        embed_dim, config, quick_gelu = _vision_config(name, dict(model_args or {}))
        fetched = _fetch(name, pretrained) if pretrained is not None else None
        normal: Any = getattr(fetched, "preprocess_cfg", {})
        self.image_mean: tuple[float, ...] = tuple(normal.get("mean", OPENAI_DATASET_MEAN))
        self.image_std: tuple[float, ...] = tuple(normal.get("std", OPENAI_DATASET_STD))

        unused: tuple[str, ...] = ("attn_pool", "attnpool.", "ln_post.", "proj")
        self.tower: Any
        if config.timm_model_name:
            inner = TimmEncoder(config.timm_model_name)
            self.tower, holder, unused = inner, inner.tower, ("head.", *inner.unused)
            self.patch_size, self.num_prefix_tokens = inner.patch_size, inner.num_prefix_tokens
            if fetched is not None:
                # The trunk of the fetched model takes one size only; ours has its weights.
                source = f"{name} {pretrained}"
                load_weights(holder, fetched.trunk.state_dict(), source=source, unused=unused)
        else:
            self.tower = holder = fetched or _build_vision_tower(embed_dim, config, quick_gelu)
            prepare = _prepare_resnet if isinstance(holder, ModifiedResNet) else _prepare_vit
            self.patch_size, self.num_prefix_tokens = prepare(holder, name)
        if weights is not None:
            tensors = _visual_part(read_weights(weights))
            load_weights(holder, tensors, source=str(weights), unused=unused)
        self.check_grids()

    def feature_maps(self, pictures: Tensor) -> Tensor:
        if isinstance(self.tower, TimmEncoder):
            return self.tower.feature_maps(pictures)
        if isinstance(self.tower, ModifiedResNet):
            found = self.tower.forward_intermediates(pictures, indices=1, intermediates_only=True)
            return found["image_intermediates"][-1]
        return _vit_maps(self.tower, pictures)


def _vit_maps(tower: Any, pictures: Tensor) -> Tensor:
    patches = tower.conv1(pictures)
    grid = patches.shape[-2:]
    positions = resample_abs_pos_embed(
        tower.positional_embedding[None],
        new_size=list(grid),
        old_size=list(tower.grid_size),
        num_prefix_tokens=1,
    )
    class_token = tower.class_embedding.to(patches.dtype).expand(patches.shape[0], 1, -1)
    x = torch.cat([class_token, patches.flatten(2).transpose(1, 2)], dim=1)
    x = tower.transformer(tower.ln_pre(x + positions.to(x.dtype)))
    return tower.ln_post(x)[:, 1:].transpose(1, 2).unflatten(2, grid)


def _prepare_vit(visual: Any, name: str) -> tuple[int, int]:
    """Leaves the trunk only; gives the patch size and the number of prefix tokens."""
    height, width = visual.patch_size
    if height != width:
        raise ConfigError(f"The tower {name} has patches of {height} x {width}, not square ones.")
    if visual.attn_pool is not None or visual.final_ln_after_pool:
        visual.ln_post = nn.Identity()  # there it belongs to the pooled feature
    for part in ("attn_pool", "attn_pool_contrastive", "proj"):
        setattr(visual, part, None)
    return height, 1


def _prepare_resnet(visual: Any, _name: str) -> tuple[int, int]:
    visual.attnpool = nn.Identity()
    return _RESNET_STRIDE, 0


def _vision_config(name: str, model_args: dict[str, Any]) -> tuple[int, CLIPVisionCfg, bool]:
    # Only names of the registry: others, such as hf-hub:..., read the net even without weights.
    if name not in open_clip.list_models():
        near = difflib.get_close_matches(name, open_clip.list_models(), n=3)
        hint = f"; near it are {', '.join(near)}" if near else ""
        raise ConfigError(f"open_clip has no tower {name}{hint}.")
    config: Any = open_clip.get_model_config(name)
    # Patches dropped at random leave no grid, and weights come only when asked for.
    fixed = {"patch_dropout": 0.0, "timm_model_pretrained": False}
    try:
        vision = CLIPVisionCfg(**{**config["vision_cfg"], **model_args, **fixed})
    except TypeError as error:
        raise ConfigError(
            f"open_clip cannot build {name} with {model_args}: {first_line(error)}."
        ) from error
    return config["embed_dim"], vision, bool(config.get("quick_gelu", False))


def _fetch(name: str, pretrained: str) -> Any:
    tags = open_clip.list_pretrained_tags_by_model(name)
    if pretrained not in tags:
        known = ", ".join(tags) or "none"
        raise ConfigError(
            f"open_clip has no weights {pretrained} for the tower {name}; it has: {known}."
        )
    try:
        model = open_clip.create_model(
            name, pretrained=pretrained, pretrained_text=False, force_patch_dropout=0.0
        )
    except (RuntimeError, ValueError, OSError) as error:
        raise CheckpointError(
            f"The weights {pretrained} of the tower {name} cannot be fetched: {first_line(error)}."
        ) from error
    return model.visual


def _visual_part(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """The visual tower of a whole model's tensors, and the trunk of a timm one's."""
    for prefix in ("visual.", "trunk."):
        part = {
            key.removeprefix(prefix): value
            for key, value in tensors.items()
            if key.startswith(prefix)
        }
        tensors = part or tensors
    return tensors
