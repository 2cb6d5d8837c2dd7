"""Opening a checkpoint beside transformers: seconds and peak memory, each time in a new process.

python -m latentvlm.eval.load_speed SIDE FOLDER DEVICE DTYPE    (a child; see `measure_load`)

A side is ready once one value of every page of every weight was read, so that weights which
stay in the file are paid for too. The two take turns; the file lies in the system's cache.
"""

import json
import select
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ..errors import BackendError
from ..vlm.train.signals import on_stop_signals

SIDES = ("latentvlm", "transformers")
_SAMPLING_S = 0.005
_PAGE_BYTES = 4096


@dataclass(frozen=True, kw_only=True)
class Opening:
    """One opening of a checkpoint.

    Attributes:
        seconds, cpu_seconds: until every weight was read once.
        model_bytes: of the tensors in memory, files included.
        peak_bytes: the most anonymous memory (with the GPU's) beyond what the process had
            with its libraries imported.
    """

    seconds: float
    cpu_seconds: float
    model_bytes: int
    peak_bytes: int


@dataclass(frozen=True, kw_only=True)
class LoadReport:
    """Openings of each side, in the order they were made."""

    file_bytes: int
    device: str
    dtype: str
    openings: dict[str, list[Opening]]

    def median(self, side: str, key: str) -> float:
        return statistics.median(getattr(each, key) for each in self.openings[side])

    def ratio(self, key: str) -> float:
        """Ours over theirs; under 1 we need less."""
        ours, theirs = (self.median(side, key) for side in SIDES)
        return ours / theirs

    def as_values(self) -> dict[str, Any]:
        return asdict(self) | {
            "seconds_ratio": self.ratio("seconds"),
            "cpu_seconds_ratio": self.ratio("cpu_seconds"),
            "peak_over_model": self.median("latentvlm", "peak_bytes")
            / self.median("latentvlm", "model_bytes"),
        }


def measure_load(
    size_gb: float,
    *,
    device: str = "cpu",
    dtype: str = "bfloat16",
    repeats: int = 3,
    threads: int = 1,
    folder: str | Path | None = None,
    notify: Callable[[str], None] = lambda line: None,
) -> LoadReport:
    """Write a checkpoint of random weights, open it by turns, remove it: on SIGTERM too.

    Args:
        size_gb: of the checkpoint in bfloat16.
        repeats: openings of each side that count; one more of each comes before.
        folder: where the checkpoint is written for the time being; None is the system's.

    Raises:
        InputError: the disk has no room.
        BackendError: a side failed, or the system does not tell a process's memory.
    """
    from .synthetic_checkpoint import write_synthetic

    with (
        on_stop_signals(_end, [signal.SIGTERM]),
        tempfile.TemporaryDirectory(dir=folder, prefix="latentvlm-load-") as made,
    ):
        checkpoint = Path(made) / "model"
        notify(f"writing a checkpoint of {size_gb:g} GB")
        size = write_synthetic(checkpoint, size_gb)
        openings: dict[str, list[Opening]] = {side: [] for side in SIDES}
        for repeat in range(repeats + 1):
            for side in SIDES if repeat % 2 == 0 else SIDES[::-1]:
                notify(f"{side}, {f'opening {repeat}' if repeat else 'once to warm up'}")
                opening = open_once(side, checkpoint, device=device, dtype=dtype, threads=threads)
                if repeat:
                    openings[side].append(opening)
    return LoadReport(file_bytes=size, device=device, dtype=dtype, openings=openings)


def _end(number: int) -> None:
    raise SystemExit(128 + number)


def open_once(side: str, folder: Path, *, device: str, dtype: str, threads: int = 1) -> Opening:
    """Open a folder in a new process and watch its memory from outside.

    Raises:
        BackendError: as `measure_load`.
    """
    if not Path("/proc/self/status").is_file():
        raise BackendError("Peak memory is read from /proc, which only Linux has.")
    command = [sys.executable, "-W", "ignore", "-m", __name__, side, str(folder), device, dtype]
    with subprocess.Popen(
        [*command, str(threads)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as child:
        try:
            answer, peak = _watch(child, side, device)
        except BaseException:
            child.kill()  # else leaving waits until it is done
            raise
    return Opening(**json.loads(answer), peak_bytes=peak)


def _watch(child: subprocess.Popen[str], side: str, device: str) -> tuple[str, int]:
    """What a child says in the end, and the most memory it had beyond that before opening."""
    assert child.stdin and child.stdout and child.stderr
    watch = _MemoryWatch(child.pid, device)
    if child.stdout.readline().strip() != "ready":
        raise BackendError(f"{side} cannot be measured: {_last_line(child.stderr.read())}")
    watch.start()
    child.stdin.write("go\n")
    child.stdin.flush()
    while not select.select([child.stdout], [], [], _SAMPLING_S)[0]:
        watch.sample()
    answer = child.stdout.readline()
    if not answer:
        raise BackendError(f"{side} cannot open the folder: {_last_line(child.stderr.read())}")
    watch.sample()
    child.stdin.close()
    return answer, watch.peak - watch.base


class _MemoryWatch:
    """Anonymous memory of a process, and of a GPU while one is in use."""

    def __init__(self, pid: int, device: str) -> None:
        self._status = Path(f"/proc/{pid}/status")
        self._device = device

    def start(self) -> None:
        self.base = self.peak = self._bytes()

    def sample(self) -> None:
        self.peak = max(self.peak, self._bytes())

    def _bytes(self) -> int:
        held = 0
        for line in self._status.read_text().splitlines():
            if line.startswith("RssAnon:"):
                held = 1024 * int(line.split()[1])
        if self._device.startswith("cuda"):
            import torch

            free, total = torch.cuda.mem_get_info(self._device)
            held += total - free
        return held


def _last_line(text: str) -> str:
    return (text.strip().splitlines() or ["no message"])[-1]


def open_here(side: str, folder: str, device: str, dtype: str, threads: int) -> None:
    """The child: imports first, then, once told to, the opening."""
    import torch

    torch.set_num_threads(threads)
    if device.startswith("cuda"):
        torch.zeros(1, device=device)
    opener = (_ours if side == "latentvlm" else _theirs)(folder, device, dtype)
    print("ready", flush=True)
    sys.stdin.readline()
    begin, cpu = time.perf_counter(), time.process_time()
    tensors = opener()
    for tensor in tensors:
        touch(tensor)
    if device.startswith("cuda"):
        torch.cuda.synchronize(device)
    values = {
        "seconds": time.perf_counter() - begin,
        "cpu_seconds": time.process_time() - cpu,
        "model_bytes": sum(tensor.nbytes for tensor in tensors),
    }
    print(json.dumps(values), flush=True)
    sys.stdin.readline()


def _ours(folder: str, device: str, dtype: str) -> Callable[[], Sequence[Any]]:
    from ..vlm.api import load

    return lambda: list(load(folder, device=device, dtype=dtype).model.state_dict().values())


def _theirs(folder: str, device: str, dtype: str) -> Callable[[], Sequence[Any]]:
    import transformers
    from transformers.models.nemotron_h import modeling_nemotron_h as nemotron_h

    transformers.logging.disable_progress_bar()
    # on a CPU their way without a device map, which is the faster one there
    where: dict[str, Any] = {} if device == "cpu" else {"device_map": device}
    model: Any = nemotron_h.NemotronHForCausalLM
    return lambda: list(model.from_pretrained(folder, dtype=dtype, **where).state_dict().values())


def touch(tensor) -> None:
    """Read one value of every page, in the order the tensor lies in memory."""
    if tensor.device.type == "cpu" and tensor.dim() == 3 and tensor.stride(0) > tensor[0].numel():
        for expert in tensor:  # between experts that stay in their file lie bytes of no value
            touch(expert)
    elif tensor.device.type == "cpu":
        row = tensor.as_strided((tensor.numel(),), (1,))
        row[:: max(1, _PAGE_BYTES // tensor.element_size())].sum()


if __name__ == "__main__":
    which, path, place, kind, count = sys.argv[1:]
    open_here(which, path, place, kind, int(count))
