"""How a packed weight lies in the file it came from, so that it can be written as it was."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor


@dataclass(frozen=True, kw_only=True)
class StoredPart:
    """One tensor of the file, which a packed weight keeps in a buffer.

    Attributes:
        name, shape, dtype: as in the file.
        joined: the dimension along which it is one half of the tensor of that name; None if it
            is all of it.
    """

    name: str
    shape: tuple[int, ...]
    dtype: torch.dtype
    joined: int | None = None

    def tensor(self, buffer: Tensor) -> Tensor:
        """The tensor of the file again."""
        if buffer.dtype == torch.uint8:
            return buffer.view(self.dtype)
        # one number may have been repeated for all of a stack
        few = buffer.flatten()[:1] if torch.Size(self.shape).numel() == 1 else buffer
        return few.reshape(self.shape).to(self.dtype)


@dataclass(frozen=True, kw_only=True)
class Spelling:
    """One matrix or stack of the file.

    Attributes:
        parts: by buffer.
        beside: tensors that belong to it and are not used here, such as scales of activations.
    """

    parts: Mapping[str, StoredPart]
    beside: Mapping[str, Tensor] = field(default_factory=dict)

    def tensors(self, buffers: Mapping[str, Tensor]) -> Iterator[tuple[str, Tensor, int | None]]:
        """What is written: name, tensor, and the dimension along which it is half of it."""
        for buffer, part in self.parts.items():
            yield part.name, part.tensor(buffers[buffer]), part.joined
        for name, tensor in self.beside.items():
            yield name, tensor, None
