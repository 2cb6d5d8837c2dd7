"""The machine a figure was measured on: its ceilings, who else used it, how much memory it took."""

import os
import time
from dataclasses import dataclass
from pathlib import Path

import torch


@dataclass(frozen=True, kw_only=True)
class Ceilings:
    """The best this machine does with these threads, in float32.

    Attributes:
        gemm_gflops: a 1024 x 1024 x 1024 product of linear layers.
        read_gbytes: reading memory one after another.
    """

    gemm_gflops: float
    read_gbytes: float


def measure_ceilings(repeats: int = 7) -> Ceilings:
    """The best of several runs of each; takes about a second."""
    side = 1024
    x, weight = torch.randn(side, side), torch.randn(side, side)
    big = torch.ones(1 << 26)

    def best(run) -> float:
        run()
        times = []
        for _ in range(repeats):
            begin = time.perf_counter()
            run()
            times.append(time.perf_counter() - begin)
        return min(times)

    gemm = best(lambda: torch.nn.functional.linear(x, weight))
    return Ceilings(
        gemm_gflops=2 * side**3 / gemm / 1e9, read_gbytes=big.nbytes / best(big.sum) / 1e9
    )


class LoadWatch:
    """What part of the machine other processes used between `start` and `share`.

    Linux only; elsewhere the share is unknown (None).
    """

    def start(self) -> "LoadWatch":
        self._begin = self._read()
        return self

    def share(self) -> float | None:
        """Foreign busy time over the time all cores had, 0 to 1."""
        end = self._read()
        if self._begin is None or end is None:
            return None
        (busy, total, own), (busy_end, total_end, own_end) = self._begin, end
        if total_end <= total:
            return None
        return max(0.0, (busy_end - busy - (own_end - own)) / (total_end - total))

    @staticmethod
    def _read() -> tuple[float, float, float] | None:
        """Seconds all cores were busy, seconds they had, seconds this process used."""
        try:
            first = Path("/proc/stat").read_text().splitlines()[0]
        except OSError:
            return None
        # user nice system idle iowait irq softirq steal; guest time is within user already
        ticks = [int(part) for part in first.split()[1:9]]
        second = os.sysconf("SC_CLK_TCK")
        idle = ticks[3] + ticks[4]
        return (sum(ticks) - idle) / second, sum(ticks) / second, time.process_time()


def resident_bytes(*, peak: bool = False) -> int:
    """Memory of this process now, or the most since `forget_peak`.

    Raises:
        OSError: the machine has no `/proc`.
    """
    field = "VmHWM:" if peak else "VmRSS:"
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(field):
            return 1024 * int(line.split()[1])
    raise OSError(f"/proc/self/status has no {field}")


def forget_peak() -> None:
    """Start the record of `resident_bytes(peak=True)` anew."""
    Path("/proc/self/clear_refs").write_text("5")


def core_count() -> int:
    """Cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
