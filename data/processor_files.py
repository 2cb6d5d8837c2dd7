"""The processor's files in a checkpoint folder, as transformers and vLLM expect them.

`processor_config.json` holds all parts nested, `preprocessor_config.json` the image part
alone for readers that know only that. transformers' processor of this family insists on
an audio feature extractor even for a model without audio, so one is named; nothing uses it.
"""

import json
import shutil
from pathlib import Path
from typing import Any

from ..errors import CheckpointError
from .image_transform import ImageConfig
from .tokenizer import TOKENIZER_FILES

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


def read_image_config(folder: str | Path) -> ImageConfig:
    """The image settings of a folder; the nested form wins, as in transformers.

    Raises:
        CheckpointError: neither file is there, or one is unreadable.
    """
    nested, plain = (
        Path(folder) / "processor_config.json",
        Path(folder) / "preprocessor_config.json",
    )
    if nested.is_file():
        values = read_json(nested).get("image_processor")
        if isinstance(values, dict):
            return ImageConfig.from_json(values)
    if not plain.is_file():
        raise CheckpointError(
            f"{folder} has neither processor_config.json with an image_processor nor "
            "preprocessor_config.json, so pictures cannot be prepared."
        )
    return ImageConfig.from_json(read_json(plain))


def write_processor_files(
    folder: str | Path,
    *,
    tokenizer_folder: str | Path,
    image_config: ImageConfig,
    video_temporal_patch_size: int = 2,
) -> None:
    """Copy the tokenizer's files and write the processor's beside them.

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
                "video_target_num_patches": min(1024, image_config.max_num_patches or 1024),
            },
            "video_temporal_patch_dim": video_temporal_patch_size,
        },
    )
