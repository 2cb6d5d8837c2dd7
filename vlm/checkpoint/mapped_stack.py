"""Experts that a file holds one by one, seen as a stack without being copied.

A writer sorts its tensors by name as text, so expert 10 lies between 1 and 2, ups beside downs: no
view of the file is a stack. But a file is mapped page by page, so the pages of each expert can be
mapped to where the stack wants them. Neighbours in the stack may share a page of neither file, so
each expert begins in a page of its own; between two of them lie a few bytes that belong to none.
"""

import ctypes
import math
import mmap
import os
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

_LEAST_PAGES = 16  # an expert of less is not worth a mapping of its own
_MAP_FIXED = 0x10
_FAILED = ctypes.c_void_p(-1).value
_LIMIT = Path("/proc/sys/vm/max_map_count")


class Extent(NamedTuple):
    """Where a tensor's bytes begin: file and offset."""

    path: Path
    offset: int


class StackMapper:
    """Maps stacks for one model; a process may hold so many mappings, of which it takes half."""

    def __init__(self) -> None:
        self._left = 0
        if sys.platform == "linux" and _LIMIT.is_file():
            self._left = int(_LIMIT.read_text()) // 2

    def stack(
        self, extents: Sequence[Extent], shape: tuple[int, ...], dtype: torch.dtype
    ) -> tuple[Tensor, list[int]] | None:
        """A stack `shape`, one mapping an expert, each expert contiguous by itself.

        Written to, a page becomes the process's own; the file stays as it is.

        Args:
            extents: of each expert in order, all of the same number format.
            shape: of the stack, experts first.

        Returns:
            The stack, and the experts that lie in the file at another place within a page
            than most, which are left empty for the caller to fill. None where mapping does not pay
            or cannot be done.
        """
        page, size = mmap.PAGESIZE, math.prod(shape[1:]) * dtype.itemsize
        within, hits = Counter(extent.offset % page for extent in extents).most_common(1)[0]
        if size < _LEAST_PAGES * page or 2 * hits < len(extents) or within % dtype.itemsize:
            return None
        if hits > self._left:
            return None
        self._left -= hits
        slot = -(-(within + size) // page) * page
        memory = mmap.mmap(-1, slot * len(extents), flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
        base = ctypes.addressof(ctypes.c_char.from_buffer(memory))
        fitting = [idx for idx, each in enumerate(extents) if each.offset % page == within]
        with _opened({extents[idx].path for idx in fitting}) as descriptors:
            for idx in fitting:
                path, offset = extents[idx]
                if not _map(base + idx * slot, slot, descriptors[path], offset - within):
                    return None
        row = torch.frombuffer(memory, dtype=dtype)
        strides = (slot // dtype.itemsize, *_contiguous(shape[1:]))
        stack = row.as_strided(shape, strides, within // dtype.itemsize)
        return stack, sorted(set(range(len(extents))) - set(fitting))


@contextmanager
def _opened(paths: set[Path]) -> Iterator[dict[Path, int]]:
    descriptors: dict[Path, int] = {}
    try:
        for path in paths:
            descriptors[path] = os.open(path, os.O_RDONLY)
        yield descriptors
    finally:
        for descriptor in descriptors.values():
            os.close(descriptor)


def _map(address: int, size: int, descriptor: int, offset: int) -> bool:
    """Put pages of a file at an address that is ours already."""
    libc = ctypes.CDLL(None, use_errno=True)
    libc.mmap.restype = ctypes.c_void_p
    libc.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, *[ctypes.c_int] * 3, ctypes.c_long]
    protection, flags = mmap.PROT_READ | mmap.PROT_WRITE, mmap.MAP_PRIVATE | _MAP_FIXED
    return libc.mmap(address, size, protection, flags, descriptor, offset) != _FAILED


def _contiguous(shape: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(math.prod(shape[dim + 1 :]) for dim in range(len(shape)))
