"""What this machine has, what of it is used, and which checkpoints it could hold."""

import os
import platform
import shutil
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, requires, version
from typing import Any

# Room beside the weights: activations, a cache for some pages, the system.
_SPARE = 0.85
_OURS = ("tiny", "default", "bench-")  # what these names begin with is not published


@dataclass(frozen=True, kw_only=True)
class Part:
    """Something optional: what it is for, whether it is here, how to get it."""

    name: str
    purpose: str
    found: str | None
    install: str


def check() -> dict[str, Any]:
    """Everything `latentvlm doctor` says, as values."""
    import torch

    from ..vlm.device import choose_device, choose_dtype
    from ..vlm.ops.linear import cpu_multiplies_bfloat16

    device = choose_device(None)
    memory, free = _memory()
    gpus = [_gpu(index) for index in range(torch.cuda.device_count())]
    room = sum(gpu["memory_bytes"] for gpu in gpus) or memory
    return {
        "latentvlm": version("latentvlm"),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "system": f"{platform.system()} {platform.machine()}",
        "cpu": {
            "cores": _cores(),
            "threads": torch.get_num_threads(),
            "instructions": torch.backends.cpu.get_cpu_capability(),
            "multiplies_bfloat16": cpu_multiplies_bfloat16(),
        },
        "memory_bytes": memory,
        "memory_free_bytes": free,
        "gpus": gpus,
        "runs_on": str(device),
        "dtype": str(choose_dtype(None, device, stored=torch.bfloat16)).removeprefix("torch."),
        "kernels": "PyTorch's own, for every operation",
        "parts": [vars(part) for part in _parts()],
        "fits": _fitting(room, on_gpu=bool(gpus)),
    }


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _memory() -> tuple[int | None, int | None]:
    """Bytes of the machine and bytes free, where the system tells."""
    try:
        with open("/proc/meminfo", encoding="ascii") as file:
            values = {line.split(":")[0]: int(line.split()[1]) * 1024 for line in file}
        return values["MemTotal"], values["MemAvailable"]
    except (OSError, KeyError, ValueError):
        pass
    try:
        pages = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, ValueError, OSError):
        return None, None
    return pages, None


def _gpu(index: int) -> dict[str, Any]:
    import torch

    properties = torch.cuda.get_device_properties(index)
    return {
        "name": properties.name,
        "memory_bytes": properties.total_memory,
        "capability": f"{properties.major}.{properties.minor}",
    }


def _parts() -> list[Part]:
    """The extras of this package, each by its own requirements, and the programs it can use."""
    needed: dict[str, list[str]] = {}
    for requirement in requires("latentvlm") or ():
        name, _, marker = requirement.partition(";")
        if "extra ==" in marker:
            extra = marker.split("extra ==")[1].strip().strip("'\"")
            needed.setdefault(extra, []).append(_bare(name))
    purposes = {
        "gpu": "kernels of mamba-ssm, for other programs beside this one",
        "eval": "the metrics of tables and page text",
        "serve": "the server",
        "demo": "the demo in a browser",
    }
    parts = []
    for extra, purpose in purposes.items():
        if extra in needed:
            missing = [name for name in needed[extra] if _version(name) is None]
            found = None if missing else ", ".join(f"{n} {_version(n)}" for n in needed[extra])
            parts.append(
                Part(
                    name=extra,
                    purpose=purpose,
                    found=found,
                    install=f"pip install 'latentvlm[{extra}]'",
                )
            )
    parts.append(
        Part(
            name="tesseract",
            purpose="the rival in evaluations",
            found=shutil.which("tesseract"),
            install="apt-get install tesseract-ocr",
        )
    )
    return parts


def _bare(requirement: str) -> str:
    """`uvicorn` of `uvicorn[standard]>=0.30`."""
    end = next((i for i, c in enumerate(requirement) if not (c.isalnum() or c in "-_.")), None)
    return requirement[:end].strip()


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _fitting(room: int | None, *, on_gpu: bool) -> list[dict[str, Any]]:
    """Published checkpoints whose weights fit, the largest first."""
    from ..vlm.census.source import find_source
    from ..vlm.config import VisionLanguageConfig
    from ..vlm.presets import PRESETS
    from ..vlm.quantize.releases import RELEASES

    found: dict[int, dict[str, Any]] = {}
    for name in [*PRESETS, *RELEASES]:
        if room is None or name.startswith(_OURS):
            continue
        source = find_source(name)
        size = sum(tensor.num_bytes for tensor in source.tensors)
        if size <= _SPARE * room:
            sees = isinstance(source.config, VisionLanguageConfig)
            entry = {"name": name, "bytes": size, "sees": sees, "on": "gpu" if on_gpu else "cpu"}
            found.setdefault(size, entry)  # a second name of the same is left out
    return [found[size] for size in sorted(found, reverse=True)]
