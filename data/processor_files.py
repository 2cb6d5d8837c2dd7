"""The processor's files in a checkpoint folder, as transformers and vLLM expect them.

`processor_config.json` holds all parts nested, `preprocessor_config.json` the image part
alone for readers that know only that. What they leave open the model's `config.json` says:
releases with fixed tiling describe it there. transformers' processor of this family insists on
an audio feature extractor even for a model without audio, so one is named; nothing uses it.
"""

import json
import shutil
from pathlib import Path
from typing import Any

from ..errors import CheckpointError
from ..token_reduction.tubelets import Tubelets
from .frame_choice import FrameChoice
from .image_transform import ImageConfig, checked_settings
from .tile_transform import TileConfig
from .tokenizer import TOKENIZER_FILES
from .video_transform import VideoConfig

PROCESSOR_CLASS = "NemotronH_Omni_Reasoning_V3Processor"


def read_json(path: Path) -> dict[str, Any]:
    """A JSON object from a checkpoint folder.

    Raises:
        CheckpointError: the file is missing, unreadable or holds something else.
    """
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise CheckpointError(f"{path.parent} has no {path.name}.") from error
    except (OSError, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise CheckpointError(f"{path} cannot be read as JSON: {error}.") from error
    if not isinstance(values, dict):
        raise CheckpointError(f"{path} holds no JSON object.")
    return values


def write_json(path: Path, values: dict[str, Any]) -> None:
    """Write a JSON object, indented, with a line end."""
    path.write_text(json.dumps(values, indent=2) + "\n", encoding="utf-8")


# Looked for in config.json even where a file of the image processor lacks only these.
_FALLBACKS = ("norm_mean", "norm_std", "min_num_patches", "max_num_patches")
# Settings of the processor that a released config.json has, or its vision_config or `args`.
_IN_CONFIG = (
    *_FALLBACKS,
    "force_image_size",
    "patch_size",
    "downsample_ratio",
    "use_thumbnail",
    "max_num_tiles",
    "video_target_num_patches",
    "video_maintain_aspect_ratio",
)


def read_image_config(folder: str | Path) -> ImageConfig | TileConfig:
    """The image settings of a folder; the nested form wins, as in transformers.

    Least patches of a picture (`min_num_patches`) make its resolution dynamic; a folder that
    names none but a size for all pictures (`force_image_size`, `max_num_tiles`) has tiles.

    Raises:
        CheckpointError: no file says how pictures are prepared, or one is unreadable.
        ConfigError: a value is of no use.
    """
    given = _part(folder, "image_processor", "preprocessor_config.json")
    model = _in_config(folder)
    if given is None and "force_image_size" not in model:
        raise CheckpointError(
            f"{folder} has neither processor_config.json with an image_processor nor "
            "preprocessor_config.json, so pictures cannot be prepared."
        )
    values = {**model, **(given or {})}
    is_omni = str(values.get("image_processor_type", "")).startswith("NemotronH_Omni")
    has_tiles = any(values.get(key) for key in ("force_image_size", "max_num_tiles"))
    if has_tiles and not is_omni and not values.get("min_num_patches"):
        return TileConfig.from_json(values)
    fallback = {key: model[key] for key in _FALLBACKS if key in model}
    return ImageConfig.from_json({**fallback, **(given or model)})


def read_video_config(folder: str | Path, *, frames_per_tubelet: int) -> VideoConfig:
    """The video settings of a folder: those of its video processor, then of its config.json.

    Where pictures have tiles and nothing is said of videos, each frame is one tile.

    Raises:
        CheckpointError: no file says how pictures are prepared, or one is unreadable.
        ConfigError: a value is of no use.
    """
    images = read_image_config(folder)
    given = _part(folder, "video_processor", "video_preprocessor_config.json") or {}
    own = checked_settings(given, ImageConfig)
    values = {**_in_config(folder), **given}
    target, keeps_aspect = values.get("video_target_num_patches"), True
    if target is not None:
        keeps_aspect = values.get("video_maintain_aspect_ratio", True)
    elif isinstance(images, TileConfig):
        target, keeps_aspect = (images.image_size // images.patch_size) ** 2, False
    # As the releases are served: Nano V2 VL at 2 frames a second, Omni at 1.
    fps, most = (2, 128) if isinstance(images, TileConfig) else (1, 512)
    return VideoConfig(
        frames=FrameChoice(
            way="uniform",
            fps=given.get("fps") or fps,
            max_frames=given.get("max_frames") or given.get("num_frames") or most,
        ),
        tubelets=Tubelets(
            patch_size=own.get("patch_size") or images.patch_size,
            merge_size=round(1 / (own.get("downsample_ratio") or images.downsample_ratio)),
            target_num_patches=target or 1024,
            keeps_aspect=keeps_aspect,
            frames_per_tubelet=frames_per_tubelet,
        ),
        image_mean=own.get("image_mean") or images.image_mean,
        image_std=own.get("image_std") or images.image_std,
    )


def _part(folder: str | Path, nested: str, plain: str) -> dict[str, Any] | None:
    """One part of the processor, from `processor_config.json` or a file of its own."""
    path = Path(folder) / "processor_config.json"
    values = read_json(path).get(nested) if path.is_file() else None
    if isinstance(values, dict):
        return values
    path = Path(folder) / plain
    return read_json(path) if path.is_file() else None


def _in_config(folder: str | Path) -> dict[str, Any]:
    """What a folder's config.json says of the processor; nothing if there is none."""
    path = Path(folder) / "config.json"
    values = read_json(path) if path.is_file() else {}
    vision = values.get("vision_config")
    vision = vision if isinstance(vision, dict) else {}
    args = vision.get("args")
    found: dict[str, Any] = {}
    for place in (args if isinstance(args, dict) else {}, vision, values):
        found |= {key: place[key] for key in _IN_CONFIG if place.get(key) is not None}
    return found


def write_processor_files(
    folder: str | Path,
    *,
    tokenizer_folder: str | Path,
    image_config: ImageConfig,
    video_temporal_patch_size: int = 2,
    video_num_patches: int = 1024,
) -> None:
    """Copy the tokenizer's files and write the processor's beside them.

    `video_num_patches` is about how many patches a frame of a video is resized to, at most as
    many as a picture may have.

    Raises:
        CheckpointError: `tokenizer_folder` lacks one of the tokenizer's files.
    """
    folder, source = Path(folder), Path(tokenizer_folder)
    folder.mkdir(parents=True, exist_ok=True)
    for name in TOKENIZER_FILES:
        if not (source / name).is_file():
            raise CheckpointError(f"{source} has no {name}.")
        if source.resolve() != folder.resolve():
            shutil.copyfile(source / name, folder / name)
    image = {**image_config.to_json(), "processor_class": PROCESSOR_CLASS}
    write_json(folder / "preprocessor_config.json", image)
    write_json(
        folder / "processor_config.json",
        {
            "feature_extractor": {
                "feature_extractor_type": "ParakeetFeatureExtractor",
                "feature_size": 80,
                "sampling_rate": 16000,
            },
            "image_processor": image_config.to_json(),
            "processor_class": PROCESSOR_CLASS,
            "video_processor": {
                "downsample_ratio": image_config.downsample_ratio,
                "image_mean": list(image_config.image_mean),
                "image_std": list(image_config.image_std),
                "patch_size": image_config.patch_size,
                "video_processor_type": "NemotronH_Omni_Reasoning_V3VideoProcessor",
                "video_target_num_patches": min(
                    video_num_patches, image_config.max_num_patches or video_num_patches
                ),
            },
            "video_temporal_patch_dim": video_temporal_patch_size,
        },
    )
