"""Which patches of a prompt's videos are encoded, where those that did not change are not."""

from dataclasses import replace

from ..errors import ConfigError
from ..token_reduction.reuse import ReuseConfig, plan_reuse
from .model_inputs import ModelInputs
from .video_transform import VideoTransform


def with_reuse(inputs: ModelInputs, config: ReuseConfig, transform: VideoTransform) -> ModelInputs:
    """The same inputs with a plan of which patches of their videos are encoded.

    Raises:
        ConfigError: the configuration is of another kind.
    """
    if not isinstance(config, ReuseConfig):
        raise ConfigError(f"reuse is a {type(config).__name__}; give latentvlm.ReuseConfig(...).")
    pixels, grids = inputs.pixel_values_videos, inputs.video_grid_thw
    if pixels is None or grids is None:
        return inputs
    plan = plan_reuse(
        pixels,
        grids,
        config,
        patch_size=transform.tubelets.patch_size,
        image_std=transform.config.image_std,
    )
    counts = [part.sum().item() for part in plan.encoded_P.split(grids.prod(1).tolist())]
    infos = [
        replace(info, encoded_patches=int(count))
        for info, count in zip(inputs.videos, counts, strict=True)
    ]
    return replace(inputs, reuse=plan, videos=tuple(infos))
