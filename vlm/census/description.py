"""What `latentvlm inspect` says of a model, as values: one JSON object."""

from pathlib import Path
from typing import Any

from ...data.chat import ChatTemplate
from ...data.chat_style import ChatStyle
from ...data.processor_files import read_json
from ...errors import CheckpointError
from ..checkpoint.families import family_of
from ..config import VisionLanguageConfig
from .cache_sizes import cache_sizes
from .parameters import count_parameters
from .problems import find_problems
from .source import Source

LETTERS = {"M": "Mamba-2", "m": "Mamba-1", "*": "attention", "-": "MLP", "E": "MoE"}


def describe(source: Source) -> dict[str, Any]:
    """Count and read everything; weights are not read.

    Raises:
        CheckpointError: a file of the folder is broken.
    """
    text = source.text
    counted = count_parameters(source.tensors, source.config)
    caches = cache_sizes(text)
    pattern = text.hybrid_override_pattern
    stored: dict[str, int] = {}
    for tensor in source.tensors:
        stored[tensor.dtype] = stored.get(tensor.dtype, 0) + tensor.num_bytes
    held = counted.total + counted.mtp
    return {
        "model": source.name,
        "kind": source.kind,
        "family": family_of(source.config).name,
        "blocks": {
            "pattern": pattern,
            "layers": len(pattern),
            **{name: pattern.count(each) for each, name in LETTERS.items() if each in pattern},
        },
        "hidden_size": text.hidden_size,
        "vocab_size": text.vocab_size,
        "experts": {
            "routed": text.n_routed_experts,
            "per_token": text.num_experts_per_tok,
            "latent_size": text.moe_latent_size,
        }
        if "E" in pattern
        else None,
        "parameters": counted.as_values(),
        "bytes": counted.num_bytes,
        "bytes_by_format": dict(sorted(stored.items())),
        "bits_per_parameter": round(8 * counted.num_bytes / held, 3) if held else None,
        "tensors": len(source.tensors),
        "context_length": text.max_position_embeddings,
        "cache": {
            "kv_bytes_per_token": caches.kv_per_token,
            "conv_bytes_per_sequence": caches.conv,
            "ssm_bytes_per_sequence": caches.ssm,
            "bytes_per_full_sequence": caches.of(text.max_position_embeddings),
        },
        "tokens": {
            "bos": text.bos_token_id,
            "eos": text.eos_token_id,
            "pad": text.pad_token_id,
            "image": getattr(source.config, "image_token_id", None),
            "video": getattr(source.config, "video_token_id", None),
        },
        "vision": _vision(source),
        "chat": None if source.folder is None else _chat(source.folder),
        "problems": find_problems(source),
        "files": source.sizes and dict(sorted(source.sizes.items())),
    }


def _vision(source: Source) -> dict[str, Any] | None:
    if not isinstance(source.config, VisionLanguageConfig):
        return None
    tower = source.config.vision
    return {
        "hidden_size": tower.hidden_size,
        "name": getattr(tower, "name", "RADIO"),
        "layers": getattr(tower, "num_layers", None),
        "patch_size": tower.patch_size,
        "position_grid": getattr(tower, "pos_grid", None),
        "frames_per_tubelet": tower.video_temporal_patch_size,
    }


def _chat(folder: Path) -> dict[str, Any] | None:
    """What the chat template can be asked for; None without one."""
    path = folder / "tokenizer_config.json"
    settings = read_json(path) if path.is_file() else {}
    try:
        template = ChatTemplate.from_folder(folder, settings=settings)
    except CheckpointError:
        if (folder / "chat_template.jinja").is_file() or settings.get("chat_template"):
            raise
        return None
    style = ChatStyle.read(template)
    return {
        "thinking": style.thought is not None,
        "thinking_switch": style.switch,
        "low_effort": style.has_low_effort,
        "tools": style.takes_tools,
        "images": "image" in template.source,
        "videos": "video" in template.source,
    }
