"""Named architectures. Each is a function; a variant derives from another with `replace`."""

from collections.abc import Callable
from difflib import get_close_matches

from ...errors import ConfigError
from ..config import LanguageConfig, VisionLanguageConfig
from . import jamba, nemotron_2, nemotron_3
from .small import bench_m, bench_s, bench_vl, default, default_cpu, tiny

__all__ = ["PRESETS", "bench_m", "bench_s", "bench_vl", "default", "default_cpu", "preset", "tiny"]

PRESETS: dict[str, Callable[[], VisionLanguageConfig | LanguageConfig]] = {
    "tiny": tiny,
    "default-cpu": default_cpu,
    "default": default,
    "bench-s": bench_s,
    "bench-m": bench_m,
    "bench-vl": bench_vl,
    "nemotron-h-4b": nemotron_2.nemotron_h_4b,
    "nemotron-h-8b": nemotron_2.nemotron_h_8b,
    "nemotron-h-47b": nemotron_2.nemotron_h_47b,
    "nemotron-h-56b": nemotron_2.nemotron_h_56b,
    "nemotron-nano-9b-v2": nemotron_2.nano_9b_v2,
    "nemotron-nano-12b-v2": nemotron_2.nano_12b_v2,
    "nemotron-nano-12b-v2-vl": nemotron_2.nano_12b_v2_vl,
    "nemotron-3-nano-4b": nemotron_3.nano_4b,
    "nemotron-nano-3-4b": nemotron_3.nano_4b,
    "nemotron-3-nano-30b-a3b": nemotron_3.nano_30b_a3b,
    "nemotron-3-super-120b-a12b": nemotron_3.super_120b_a12b,
    "nemotron-3-ultra-550b-a55b": nemotron_3.ultra_550b_a55b,
    "nemotron-3.5-lightning-30b-a3b": nemotron_3.lightning_30b_a3b,
    "nemotron-3-nano-omni-30b-a3b": nemotron_3.nano_omni_30b_a3b,
    "jamba-v0.1": jamba.v01,
    "jamba-1.5-mini": jamba.mini_1_5,
    "jamba-1.5-large": jamba.large_1_5,
}


def preset(name: str) -> VisionLanguageConfig | LanguageConfig:
    """The architecture of that name.

    Raises:
        ConfigError: there is none; the message has the nearest name.
    """
    if name in PRESETS:
        return PRESETS[name]()
    near = get_close_matches(name, PRESETS, n=1)
    hint = f"; did you mean {near[0]!r}?" if near else f"; known are {', '.join(PRESETS)}."
    raise ConfigError(f"There is no preset named {name!r}{hint}")
