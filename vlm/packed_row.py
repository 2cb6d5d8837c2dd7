"""A packed row: several sequences one after another, and where each begins."""

from copy import copy
from functools import cached_property

import torch
from torch import Tensor

from ..errors import InputError


class PackedRow:
    """The boundaries of a packed row, with what the layers derive from them, computed once.

    Args:
        cu_seqlens: int32 `(num_seqs + 1,)`, first 0, last the number of tokens.

    Raises:
        InputError: the boundaries do not start at 0, fall, or do not end at `num_tokens`.
    """

    def __init__(self, cu_seqlens: Tensor, num_tokens: int) -> None:
        self.cu_seqlens = cu_seqlens
        self.bounds: list[int] = cu_seqlens.tolist()
        spans = list(zip(self.bounds, self.bounds[1:], strict=False))
        if self.bounds[0] != 0 or self.bounds[-1] != num_tokens or any(a >= b for a, b in spans):
            raise InputError(
                f"cu_seqlens {self.bounds} must rise from 0 to the {num_tokens} tokens of the row."
            )
        self.spans = spans
        self._elsewhere: dict[torch.device, PackedRow] = {}

    @classmethod
    def of(cls, x: Tensor, cu_seqlens: Tensor | None) -> "PackedRow":
        """The row of `x` `(tokens, ...)`; one sequence if no boundaries are given."""
        if cu_seqlens is None:
            cu_seqlens = torch.tensor([0, x.shape[0]], dtype=torch.int32, device=x.device)
        return cls(cu_seqlens, x.shape[0])

    def on(self, device: torch.device) -> "PackedRow":
        """The same row with its boundaries on a device, copied there once."""
        if self.cu_seqlens.device == device:
            return self
        if device not in self._elsewhere:
            row = copy(self)
            row.cu_seqlens, row._elsewhere = self.cu_seqlens.to(device), {}
            self._elsewhere[device] = row
        return self._elsewhere[device]

    @cached_property
    def is_decode(self) -> bool:
        """Every sequence brings exactly one token."""
        return self.bounds[-1] == len(self.spans)

    @cached_property
    def counts(self) -> list[int]:
        """Tokens of each sequence."""
        return [stop - start for start, stop in self.spans]

    @staticmethod
    def join(parts: list[Tensor]) -> Tensor:
        return torch.cat(parts) if len(parts) > 1 else parts[0]
