"""The parts of a model that one device each can hold, and their bytes."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from math import prod

import torch

from .cache import AttentionCache, Cache, Fp8Scales
from .census.tensors import SCALES, TensorInfo
from .checkpoint.families import family_of
from .checkpoint.names import is_expert_stack
from .checkpoint.quantized import Quantized
from .checkpoint.reading import SELECTION_BIAS
from .config import LanguageConfig, VisionLanguageConfig
from .mamba_cache import MambaCache, SsmKind, SsmRounding

CONTEXT = 8192  # tokens for whose cache there is room in a plan
FRONT, HEAD, MTP = "embeddings", "final norm and head", "MTP"
_TOWER = "tower and projector"


@dataclass(frozen=True, kw_only=True)
class Part:
    """What is placed whole.

    Attributes:
        names: of what it is made of.
        layer: its number, of a layer.
    """

    names: tuple[str, ...]
    num_bytes: int
    layer: int | None = None


def model_parts(
    config: VisionLanguageConfig | LanguageConfig,
    tensors: Iterable[TensorInfo],
    *,
    dtype: torch.dtype | None = torch.bfloat16,
    quantized: Quantized = "packed",
    kv_cache: str | None = None,
    ssm_cache: SsmKind | None = None,
    context: int = CONTEXT,
) -> list[Part]:
    """The parts of a model in the order of placing, layers with one sequence's cache.

    Args:
        tensors: what its folder holds, or what `config_tensors` says one would.
        dtype, quantized, kv_cache, ssm_cache: as it will be loaded.
        context: tokens of the sequence.
    """
    text = config.text if isinstance(config, VisionLanguageConfig) else config
    family = family_of(config)
    sizes: dict[str, int] = {}
    for tensor in tensors:
        disk = tensor.weight_name
        halves = family.halves(disk)
        place = family.place(halves[0] if halves else disk)
        if place is None or family.is_left_aside(disk):
            continue
        if place.name.endswith("lm_head.weight") and text.tie_word_embeddings:
            continue
        num_bytes = _bytes_in_memory(tensor, place.name, dtype, quantized)
        part = part_of(place.name)
        sizes[part] = sizes.get(part, 0) + num_bytes
    for idx, num_bytes in enumerate(_cache_bytes(text, dtype, kv_cache, ssm_cache, context)):
        sizes[f"layer {idx}"] = sizes.get(f"layer {idx}", 0) + num_bytes
    front, head = sizes[FRONT] + sizes.get(_TOWER, 0), sizes.get(HEAD, 0)
    names = [FRONT, *([_TOWER] if _TOWER in sizes else [])]
    # a tied head reads the embedding table, so it lies where that does
    if text.tie_word_embeddings:
        names, front = [*names, HEAD], front + head
    parts = [Part(names=tuple(names), num_bytes=front)]
    parts += [
        Part(names=(f"layer {idx}",), num_bytes=sizes[f"layer {idx}"], layer=idx)
        for idx in range(len(text.hybrid_override_pattern))
    ]
    if not text.tie_word_embeddings:
        parts.append(Part(names=(HEAD,), num_bytes=head))
    if text.num_nextn_predict_layers and MTP in sizes:
        parts.append(Part(names=(MTP,), num_bytes=sizes[MTP]))
    return parts


def part_of(name: str) -> str:
    """The part that a tensor of ours is of; embeddings and tower are apart here."""
    first, *rest = name.removeprefix("language_model.").split(".")
    if first == "layers":
        return f"layer {rest[0]}"
    parts = {"embeddings": FRONT, "norm_f": HEAD, "lm_head": HEAD, "mtp": MTP}
    return parts.get(first, _TOWER)


def _bytes_in_memory(
    tensor: TensorInfo, name: str, dtype: torch.dtype | None, quantized: Quantized
) -> int:
    is_float = tensor.dtype in ("F64", "F32", "BF16", "F16")
    if tensor.name.endswith(SCALES):
        return 0 if quantized == "expand" else tensor.num_bytes
    if quantized == "experts-int8" and is_expert_stack(name):
        return tensor.num_parameters + 4 * prod(tensor.shape[:-1])
    if not is_float and quantized == "packed":
        return tensor.num_bytes
    if name.endswith(SELECTION_BIAS):
        return 4 * tensor.num_parameters
    return tensor.num_parameters * dtype.itemsize if dtype else tensor.num_bytes


def _cache_bytes(
    config: LanguageConfig,
    dtype: torch.dtype | None,
    kv_cache: str | None,
    ssm_cache: SsmKind | None,
    context: int,
) -> list[int]:
    """Bytes of one sequence's cache, layer by layer."""
    layers = range(len(config.hybrid_override_pattern))
    scales: Mapping[int, Fp8Scales] | None = None
    if kv_cache == "fp8":
        scales = {idx: Fp8Scales() for idx in layers}
    cache = Cache.allocate(
        config,
        capacity=context,
        device="meta",
        dtype=dtype or torch.float32,
        ssm=None if ssm_cache is None else SsmRounding(kind=ssm_cache),
        fp8=scales,
    )
    return [_held(layer) for layer in cache.layers]


def _held(layer: AttentionCache | MambaCache | None) -> int:
    if isinstance(layer, AttentionCache):
        return layer.keys.nbytes + layer.values.nbytes
    return 0 if layer is None else sum(tensor.nbytes for tensor in layer.tensors())
