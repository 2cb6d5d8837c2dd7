"""A second device on a machine that has only its CPU, as strict as a real one.

While `SecondDevice` is entered, tensors of the device "meta" hold values (on the CPU, inside).
As on a GPU, an operation that takes tensors of both devices is refused, a scalar of the CPU
apart; only copies cross, and they are counted.
"""

from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map

SECOND = torch.device("meta")
_COPIES = ("aten::_to_copy", "aten::to", "aten::copy_")


class _There(Tensor):
    """A tensor of the second device."""

    inside: Tensor

    @staticmethod
    def __new__(cls, inside: Tensor) -> "_There":
        return Tensor._make_wrapper_subclass(
            cls,
            inside.size(),
            strides=inside.stride(),
            storage_offset=inside.storage_offset(),
            dtype=inside.dtype,
            device=SECOND,
        )

    def __init__(self, inside: Tensor) -> None:
        self.inside = inside

    def tolist(self) -> Any:
        return self.inside.tolist()

    def __repr__(self, **_: Any) -> str:
        return f"There({self.inside!r})"

    @classmethod
    def __torch_dispatch__(cls, func, types, args=(), kwargs=None) -> Any:
        raise RuntimeError(f"{func} on the second device while it is not entered")


def _is_device(value: object) -> bool:
    return isinstance(value, torch.device)


class _Literals(TorchFunctionMode):
    """Literals and lists of indices on the CPU first, then moved where a dispatch mode sees it."""

    def __torch_function__(self, func, types, args=(), kwargs=None) -> Any:
        kwargs = dict(kwargs or {})
        if func is torch.tensor and kwargs.get("device") is not None:
            return func(*args, **{**kwargs, "device": "cpu"}).to(kwargs["device"])
        if func is Tensor.__getitem__ and isinstance(args[1], list):
            return args[0][torch.tensor(args[1])]
        return func(*args, **kwargs)


class SecondDevice(TorchDispatchMode):
    """Attributes: moves: copies between the devices, as shapes."""

    def __init__(self) -> None:
        super().__init__()
        self.moves: list[tuple[int, ...]] = []
        self._literals = _Literals()

    def __enter__(self) -> "SecondDevice":
        self._literals.__enter__()
        return super().__enter__()

    def __exit__(self, *error: Any) -> None:
        super().__exit__(*error)
        self._literals.__exit__(*error)

    def __torch_dispatch__(self, func, types, args=(), kwargs=None) -> Any:
        kwargs = dict(kwargs or {})
        tensors = [each for each in tree_leaves((args, kwargs)) if isinstance(each, Tensor)]
        there = [isinstance(each, _There) for each in tensors]
        name = func.name().partition(".")[0]
        goes_there = any(there)
        for device in [each for each in (*args, kwargs.get("device")) if _is_device(each)]:
            goes_there = device == SECOND
        args = tuple(torch.device("cpu") if _is_device(each) else each for each in args)
        if kwargs.get("device") is not None:
            kwargs["device"] = torch.device("cpu")
        if name in _COPIES:
            from_there, to_there = (
                (there[1], there[0])
                if name.endswith("copy_")
                else (
                    there[0],
                    goes_there,
                )
            )
            goes_there = to_there
            if from_there != to_there:
                self.moves.append(tuple(tensors[0].shape))
        elif any(there):
            strangers = [t for t, is_there in zip(tensors, there, strict=True) if not is_there]
            indices = name in ("aten::index", "aten::index_put_", "aten::index_put")
            if any(t.dim() for t in strangers) and not (indices and there[0]):
                raise RuntimeError(f"{name} of tensors on two devices")
        inner = tree_map(lambda each: each.inside if isinstance(each, _There) else each, args)
        named = tree_map(lambda each: each.inside if isinstance(each, _There) else each, kwargs)
        result = func(*inner, **named)
        if not goes_there:
            return result
        # what changes in place stays the same object
        known = {id(each.inside): each for each in tensors if isinstance(each, _There)}

        def wrapped(each: Any) -> Any:
            if not isinstance(each, Tensor):
                return each
            return known[id(each)] if id(each) in known else _There(each)

        return tree_map(wrapped, result)
