"""How much each device may hold of a model: as `device_map` says, or what is free."""

import os
import re
from collections.abc import Mapping
from pathlib import Path

import torch

from ..errors import ConfigError
from .device import choose_device

Budgets = dict[torch.device, int]  # bytes, in the order in which devices are filled
DeviceMap = str | Mapping[str, str | int]

# Of the free memory: the rest is for activations, for the runtime, and for others.
_SHARE_OF_GPU, _SHARE_OF_CPU = 0.88, 0.8
_UNITS = {"": 1} | {f"{c}iB": 2 ** (10 * n) for n, c in enumerate("KMGT", start=1)}
_UNITS |= {f"{c}B": 10 ** (3 * n) for n, c in enumerate("KMGT", start=1)}
_SIZE = re.compile(r"(\d+(?:\.\d+)?) *([KMGT]i?B|)", re.ASCII)


def read_budgets(device_map: DeviceMap) -> Budgets:
    """The devices of a `device_map` and the bytes each may hold.

    Args:
        device_map: "auto", `{"cuda:0": "20GiB", "cpu": "64GiB"}` (numbers are bytes), or the
            same as a text, "cuda:0=20GiB,cpu=64GiB".

    Raises:
        ConfigError: it is none of these.
        BackendError: this machine does not have a device.
    """
    if device_map == "auto":
        return free_memory()
    if isinstance(device_map, str):
        pairs = [part.partition("=") for part in device_map.split(",")]
        device_map = {name.strip(): size for name, _, size in pairs}
    if not isinstance(device_map, Mapping) or not device_map:
        raise ConfigError(
            f"device_map is {device_map!r} but must be 'auto' or devices with sizes, such as "
            "{'cuda:0': '20GiB', 'cpu': '64GiB'}."
        )
    budgets: Budgets = {}
    for name, size in device_map.items():
        device = choose_device(name)
        if device.type == "cuda":
            device = torch.device("cuda", device.index or 0)
        if device in budgets:
            raise ConfigError(f"device_map names {device} twice.")
        budgets[device] = _read_size(size, name)
    return budgets


def free_memory() -> Budgets:
    """What is free on every CUDA device, then in main memory, less a margin."""
    budgets: Budgets = {}
    for idx in range(torch.cuda.device_count()):
        free, _ = torch.cuda.mem_get_info(idx)
        budgets[torch.device("cuda", idx)] = int(_SHARE_OF_GPU * free)
    budgets[torch.device("cpu")] = int(_SHARE_OF_CPU * _free_main_memory())
    return budgets


def _free_main_memory() -> int:
    meminfo = Path("/proc/meminfo")
    if meminfo.is_file():
        found = re.search(r"MemAvailable: *(\d+) kB", meminfo.read_text())
        if found:
            return 1024 * int(found[1])
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def _read_size(size: object, name: str) -> int:
    match = _SIZE.fullmatch(str(size).strip())
    if match is None or isinstance(size, bool):
        raise ConfigError(
            f"device_map gives {name} {size!r} but must give it a size, such as '20GiB'."
        )
    return int(float(match[1]) * _UNITS[match[2]])
