"""How much tensor memory lives at once while a function runs, on any device."""

import weakref
from collections import Counter
from collections.abc import Callable
from typing import Any

from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves


class _Ledger(TorchDispatchMode):
    def __init__(self) -> None:
        super().__init__()
        self.users: Counter[int] = Counter()
        self.sizes: dict[int, int] = {}
        self.live = self.peak = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None) -> Any:
        result = func(*args, **(kwargs or {}))
        for tensor in tree_leaves(result):
            if isinstance(tensor, Tensor):
                self._enter(tensor)
        return result

    def _enter(self, tensor: Tensor) -> None:
        storage = tensor.untyped_storage()
        key = storage.data_ptr()
        if self.users[key] == 0:
            self.sizes[key] = storage.nbytes()
            self.live += self.sizes[key]
            self.peak = max(self.peak, self.live)
        self.users[key] += 1
        weakref.finalize(tensor, self._leave, key)

    def _leave(self, key: int) -> None:
        self.users[key] -= 1
        if self.users[key] == 0:
            self.live -= self.sizes.pop(key)


def peak_bytes(compute: Callable[[], Any]) -> int:
    """The most bytes held at once by tensors that `compute` makes."""
    with _Ledger() as ledger:
        compute()
    return ledger.peak
