"""What the pictures and frames of a prompt cost: patches, visual tokens, operations, activations.

Grids and tokens are those of `token_reduction`, by the settings of the checkpoint's processor, or
by those its family was released with.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from math import prod

from ...data.image_transform import ImageConfig
from ...data.processor_files import read_image_config, read_video_config
from ...data.tile_transform import TileConfig
from ...data.video_transform import VideoConfig
from ...errors import CheckpointError, ConfigError, InputError
from ...token_reduction.budget import grid_tokens, video_shape
from ...token_reduction.tubelets import Tubelets
from ...vision_encoder.radio import TUBELET_PATCHES
from ..checkpoint.families import family_of
from ..checkpoint.nemotron_h_omni_config import V2_LABEL
from ..config import TowerConfig, VisionLanguageConfig
from .source import Source

# One matrix for each attention layer of a tower, whichever library named it.
_ATTENTION = re.compile(r"attn\.(qkv\.weight|in_proj_weight|q_proj\.weight|q\.weight)$")
_SIZE = re.compile(r"(\d+) *[x×] *(\d+)", re.IGNORECASE)


@dataclass(frozen=True, kw_only=True)
class Pictures:
    """What is shown in one prompt: pictures of a size, and a video of frames of that size."""

    images: int = 0
    frames: int = 0
    width: int = 1024
    height: int = 1024

    def __post_init__(self) -> None:
        for name in ("images", "frames"):
            if getattr(self, name) < 0:
                raise InputError(f"{name} is {getattr(self, name)} but must be 0 or more.")
        if min(self.width, self.height) < 1:
            raise InputError(f"A picture of {self.width} x {self.height} pixels shows nothing.")


def read_size(text: str) -> tuple[int, int]:
    """`1920x1080` is 1920 pixels wide and 1080 high.

    Raises:
        InputError: it is no size.
    """
    found = _SIZE.fullmatch(text.strip())
    if found is None:
        raise InputError(f"--image-size is {text!r}, which is no size such as 1920x1080.")
    return int(found[1]), int(found[2])


@dataclass(frozen=True, kw_only=True)
class VisionWork:
    """Tower and projector at work on one prompt.

    Attributes:
        patches: of all pictures and tubelets.
        tokens: visual tokens that the language model reads.
        flops: of the tower, attention included, and of the projector.
        activation_bytes: residual stream and the widest inner values in BF16, of as many patches
            as are encoded at once.
        layers, width: of the tower; layers are those with attention.
        rows: patches and class tokens that pass through it.
    """

    patches: int
    tokens: int
    flops: float
    activation_bytes: float
    layers: int
    width: int
    rows: int


def vision_work(source: Source, pictures: Pictures) -> VisionWork | None:
    """The work of one prompt's pictures; None if there are none.

    Raises:
        ConfigError: the model sees no pictures.
        InputError: a picture has no pixels.
    """
    if not pictures.images and not pictures.frames:
        return None
    config = source.config
    if not isinstance(config, VisionLanguageConfig):
        raise ConfigError(f"{source.name} reads text only: it has no tower for pictures.")
    images, videos = _rules(source, config)
    rule = images.tiling if isinstance(images, TileConfig) else images.resolution
    height, width = pictures.height, pictures.width
    grids = rule.grids(height, width, pictures.images) * pictures.images if pictures.images else []
    tokens = sum(grid_tokens(rows, cols, config.merge_size) for rows, cols in grids)
    sizes = [rows * cols for rows, cols in grids]
    at_once = sum(sizes)
    if pictures.frames:
        tubelets, rows, cols = video_shape(videos.tubelets, pictures.frames, height, width)
        each = rows * cols * config.merge_size**2
        tokens += tubelets * rows * cols
        sizes += [each] * tubelets
        at_once = max(at_once, min(tubelets * each, max(TUBELET_PATCHES, each)))
    return _work(source, config.vision, sizes, tokens, at_once)


def _work(
    source: Source, tower: TowerConfig, sizes: Sequence[int], tokens: int, at_once: int
) -> VisionWork:
    place = family_of(source.config).place
    per_row = per_token = widest = 0
    attention: set[str] = set()
    for tensor in source.tensors:
        at = place(tensor.weight_name)
        if at is None or not at.name.startswith(("vision_encoder.", "projector.")):
            continue
        if _ATTENTION.search(at.name):
            attention.add(at.name)
        is_matrix = len(tensor.shape) > 1 and tensor.name.endswith("weight")
        if not is_matrix or "video_embedder" in tensor.name:
            continue  # tubelets are embedded by it instead of by the other
        if at.name.startswith("projector."):
            per_token += tensor.num_parameters
        else:
            per_row += tensor.num_parameters
            widest = max(widest, tensor.num_parameters // prod(tensor.shape[1:]))
    prefix = getattr(tower, "num_prefix_tokens", 0)
    lengths = [size + prefix for size in sizes]
    attended = sum(length * length for length in lengths)
    width, layers = tower.hidden_size, len(attention)
    return VisionWork(
        patches=sum(sizes),
        tokens=tokens,
        flops=2.0 * per_row * sum(lengths)
        + 4.0 * width * layers * attended
        + 2.0 * per_token * tokens,
        activation_bytes=2.0 * at_once * (2 * width + widest),
        layers=layers,
        width=width,
        rows=sum(lengths),
    )


def _rules(
    source: Source, config: VisionLanguageConfig
) -> tuple[ImageConfig | TileConfig, VideoConfig]:
    """How pictures and frames are cut: as the folder says, else as its family was released."""
    frames = config.frames_per_tubelet
    if source.folder is not None:
        try:
            return (
                read_image_config(source.folder),
                read_video_config(source.folder, frames_per_tubelet=frames),
            )
        except CheckpointError:
            pass  # it has no processor
    patch = config.vision.patch_size
    if config.family == V2_LABEL:
        tiles = TileConfig(patch_size=patch)
        side = tiles.image_size // patch
        tubelets = Tubelets(
            patch_size=patch,
            target_num_patches=side * side,
            keeps_aspect=False,
            frames_per_tubelet=frames,
        )
        return tiles, VideoConfig(tubelets=tubelets)
    tubelets = Tubelets(patch_size=patch, frames_per_tubelet=frames)
    return ImageConfig(patch_size=patch), VideoConfig(tubelets=tubelets)
