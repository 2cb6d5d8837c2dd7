"""Bytes that a sequence carries: keys and values by the token, Mamba states once."""

from dataclasses import dataclass

from ...errors import ConfigError
from ..cache import AttentionCache, Cache
from ..config import LanguageConfig
from ..mamba_cache import SsmRounding

ELEMENT_BYTES = {
    "float32": 4,
    "bfloat16": 2,
    "float16": 2,
    "fp8": 1,
    "int8": 1,
}
SPELLINGS = {"fp32": "float32", "bf16": "bfloat16", "fp16": "float16"}


@dataclass(frozen=True, kw_only=True)
class CacheSizes:
    """Bytes of one sequence in every layer together.

    Attributes:
        kv_per_token: keys and values of one token.
        conv: the last inputs of the convolutions.
        ssm: the states of the scans.
    """

    kv_per_token: int
    conv: int
    ssm: int

    def of(self, length: int) -> int:
        """A sequence of that many tokens."""
        return length * self.kv_per_token + self.conv + self.ssm

    @property
    def crossover(self) -> float:
        """Tokens whose keys and values take as much as the states; infinite without attention."""
        return self.ssm / self.kv_per_token if self.kv_per_token else float("inf")


def element_bytes(name: str, *, option: str) -> int:
    """Bytes of a number in that format.

    Raises:
        ConfigError: there is none of that name.
    """
    name = SPELLINGS.get(name, name)
    if name not in ELEMENT_BYTES:
        raise ConfigError(
            f"{option} is {name!r} but must be one of {', '.join([*ELEMENT_BYTES, *SPELLINGS])}."
        )
    return ELEMENT_BYTES[name]


def cache_sizes(
    config: LanguageConfig, *, kv_bytes: int = 2, ssm_bytes: int = 4, conv_bytes: int = 2
) -> CacheSizes:
    """What the model's own cache allocates for one sequence, with numbers of these bytes."""
    kv = conv = ssm = scales = 0
    # a byte a number has scales beside it
    narrow = SsmRounding(kind="int8") if ssm_bytes == 1 else None
    for layer in Cache.allocate(config, 1, capacity=1, device="meta", ssm=narrow).layers:
        if isinstance(layer, AttentionCache):
            kv += layer.keys.numel() + layer.values.numel()
        elif layer is not None:
            conv += layer.conv_rows.numel()
            ssm += layer.state.numel()
            scales += 0 if layer.scale is None else layer.scale.nbytes
    ssm = ssm * ssm_bytes + scales
    return CacheSizes(kv_per_token=kv * kv_bytes, conv=conv * conv_bytes, ssm=ssm)
