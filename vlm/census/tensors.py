"""Every tensor of a model as it lies on disk, from a configuration or from a folder's headers."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import prod
from pathlib import Path

from ..checkpoint.families import family_of
from ..checkpoint.names import is_expert_stack
from ..checkpoint.save import FLOAT32_NAMES
from ..checkpoint.shards import ShardReader
from ..config import LanguageConfig, VisionLanguageConfig
from ..quantize.nvfp4 import GROUP
from ..quantize.releases import FP8, NVFP4, W4A16_NVFP4, Release
from ..skeleton import skeleton

BYTES = {"F64": 8, "F32": 4, "BF16": 2, "F16": 2, "F8_E4M3": 1, "F8_E5M2": 1, "U8": 1, "I8": 1}
BYTES |= {"I64": 8, "I32": 4, "I16": 2, "BOOL": 1}

# The tensors beside a quantized weight; none of them is a parameter.
SCALES = (
    ".weight_scale_2",
    ".weight_scale",
    ".weight_scale_inv",
    ".weight_global_scale",
    ".input_scale",
    ".input_global_scale",
    ".k_scale",
    ".v_scale",
    ".k_bias",
    ".v_bias",
)


@dataclass(frozen=True, kw_only=True)
class TensorInfo:
    """Name, shape and number format as safetensors has them."""

    name: str
    shape: tuple[int, ...]
    dtype: str

    @property
    def num_bytes(self) -> int:
        return prod(self.shape) * BYTES[self.dtype]

    @property
    def weight_name(self) -> str:
        """The name the tensor has, or its weight has, in an unquantized checkpoint."""
        for scale in SCALES:
            if self.name.endswith(scale):
                return self.name.removesuffix(scale) + ".weight"
        if self.name.endswith(".weight_packed"):
            return self.name.removesuffix("_packed")
        return self.name

    @property
    def num_parameters(self) -> int:
        """Parameters held: two in a byte of NVFP4, none in a scale."""
        if self.name.endswith(SCALES):
            return 0
        return prod(self.shape) * (2 if self.dtype == "U8" else 1)


def tensors_of(headers: ShardReader) -> list[TensorInfo]:
    """What headers list."""
    return [
        TensorInfo(name=name, shape=headers.shape(name), dtype=headers.dtype(name))
        for name in headers.files
    ]


def folder_tensors(folder: str | Path) -> list[TensorInfo]:
    """What a checkpoint folder holds; only headers are read.

    Raises:
        CheckpointError: there are no weights, or a shard is missing or broken.
    """
    with ShardReader(folder) as reader:
        return tensors_of(reader)


def config_tensors(
    config: VisionLanguageConfig | LanguageConfig, release: Release | None = None
) -> list[TensorInfo]:
    """What a model of that configuration is written as: BF16, or as a release stores it."""
    family = family_of(config)
    found: list[TensorInfo] = []
    text = config.text if isinstance(config, VisionLanguageConfig) else config
    for name, tensor in skeleton(config).state_dict().items():
        if text.tie_word_embeddings and name.endswith("lm_head.weight"):
            continue
        wide = name.endswith(FLOAT32_NAMES if release is None else release.float32)
        dtype, shape = "F32" if wide else "BF16", tuple(tensor.shape)
        experts: Sequence[int | None] = [None]
        if is_expert_stack(name) and not family.respell(name, tensor):
            experts, shape = range(shape[0]), shape[1:]
        # one answer for a whole stack: readers ask that its experts be stored alike
        first = family.disk_name(name, experts[0])
        if family.halves(first):
            if found and found[-1].name == first:  # the other half was the one before
                continue
            shape = (*shape[:-2], 2 * shape[-2], shape[-1])
        algorithm = None if release is None else release.algorithm(_module(first))
        for expert in experts:
            plain = TensorInfo(name=family.disk_name(name, expert), shape=shape, dtype=dtype)
            found += [plain] if algorithm is None else quantized(plain, algorithm)
        if release is not None and release.kv_scales and ".mtp." not in f".{first}":
            found += _kv_scales(first)
    return found


def quantized(weight: TensorInfo, algorithm: str) -> Iterator[TensorInfo]:
    """The tensors in ModelOpt's layout that stand for a weight `(N, K)`."""
    module, (rows, columns) = _module(weight.name), weight.shape
    scalar = {"shape": (), "dtype": "F32"}
    if algorithm == FP8:
        yield TensorInfo(name=weight.name, shape=weight.shape, dtype="F8_E4M3")
        yield TensorInfo(name=f"{module}.weight_scale", **scalar)
    else:
        assert algorithm in (NVFP4, W4A16_NVFP4), f"no layout is known for {algorithm}"
        yield TensorInfo(name=weight.name, shape=(rows, columns // 2), dtype="U8")
        scales = (rows, columns // GROUP)
        yield TensorInfo(name=f"{module}.weight_scale", shape=scales, dtype="F8_E4M3")
        yield TensorInfo(name=f"{module}.weight_scale_2", **scalar)
    if algorithm != W4A16_NVFP4:
        yield TensorInfo(name=f"{module}.input_scale", **scalar)


def _module(disk: str) -> str:
    return disk.removesuffix(".weight")


def _kv_scales(disk: str) -> Iterator[TensorInfo]:
    for which in ("k", "v"):
        if disk.endswith(f".{which}_proj.weight"):
            name = f"{_module(disk)}.{which}_scale"
            yield TensorInfo(name=name, shape=(), dtype="F32")
