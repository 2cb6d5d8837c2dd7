"""What computers can do, as values: memory, bandwidth and peak rates without sparsity."""

from dataclasses import dataclass
from difflib import get_close_matches

from ...errors import ConfigError

GIB = 2**30


@dataclass(frozen=True, kw_only=True)
class Gpu:
    """One device.

    Attributes:
        memory_gib: what the driver reports.
        bandwidth: bytes a second from memory.
        link: bytes a second to other devices, one way.
        bf16: floating-point operations a second; so `fp8` and `fp4`, None without units for it.
    """

    name: str
    memory_gib: float
    bandwidth: float
    link: float
    bf16: float
    fp8: float | None = None
    fp4: float | None = None

    def peak(self, bits: float) -> float:
        """The rate at which weights of so many bits are multiplied: unpacked if need be."""
        if bits < 6 and self.fp4:
            return self.fp4
        return self.fp8 if bits < 12 and self.fp8 else self.bf16


def _gpu(
    name: str, gib: float, tb_s: float, link_gb_s: float, bf16: float, fp8=None, fp4=None
) -> Gpu:
    """In GiB, TB/s, GB/s and TFLOP/s."""
    tera = 1e12
    return Gpu(
        name=name,
        memory_gib=gib,
        bandwidth=tb_s * tera,
        link=link_gb_s * 1e9,
        bf16=bf16 * tera,
        fp8=fp8 and fp8 * tera,
        fp4=fp4 and fp4 * tera,
    )


GPUS: dict[str, Gpu] = {
    gpu.name: gpu
    for gpu in (
        _gpu("h100", 79.6, 3.35, 450, 989, 1979),
        _gpu("h200", 140.4, 4.8, 450, 989, 1979),
        _gpu("b200", 179.0, 8.0, 900, 2250, 4500, 9000),
        _gpu("gb200", 185.0, 8.0, 900, 2500, 5000, 10000),
        _gpu("a100-40", 40.0, 1.555, 300, 312),
        _gpu("a100-80", 80.0, 2.039, 300, 312),
        _gpu("a10g", 22.06, 0.6, 32, 70),
        _gpu("rtx-6000-pro", 95.6, 1.792, 64, 500, 1000, 2000),
        _gpu("l40s", 45.0, 0.864, 32, 362, 733),
        _gpu("rtx-4090", 24.0, 1.008, 32, 165, 330),
        _gpu("laptop-cpu", 16.0, 0.06, 8, 0.5),
    )
}


def find_gpu(name: str) -> Gpu:
    """The device of that name.

    Raises:
        ConfigError: there is none; the message has the nearest name.
    """
    if name.lower() in GPUS:
        return GPUS[name.lower()]
    near = get_close_matches(name.lower(), GPUS, n=1)
    hint = f"; did you mean {near[0]!r}?" if near else f"; known are {', '.join(GPUS)}."
    raise ConfigError(f"There is no GPU named {name!r}{hint}")
