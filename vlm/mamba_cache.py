"""What a Mamba layer carries from one call to the next, its state in few bits if asked for.

A state of float16 or int8 is rounded by chance after every call (`quantize/stochastic.py` says
why), widened before the next. The chances of a sequence are those of the seed, the layer and how
many tokens the sequence has, so they are the same alone and beside others, and after a rollback.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Literal, get_args

import torch
from torch import Tensor

from ..errors import ConfigError
from .quantize.stochastic import BLOCK, round_to_half, round_to_int8, widen_int8

SsmKind = Literal["float16", "int8"]


@dataclass(frozen=True, kw_only=True)
class SsmRounding:
    """How states are kept.

    Attributes:
        kind: "float16", or "int8" with a float32 scale for each 128 numbers of a channel.
        seed: of the chances.
        to_nearest: not by chance; drifts, and is there to show that.
    """

    kind: SsmKind
    seed: int = 0
    to_nearest: bool = False

    def __post_init__(self) -> None:
        if self.kind not in get_args(SsmKind):
            raise ConfigError(f"ssm_cache is {self.kind!r}; it must be 'float16', 'int8' or None.")


@dataclass
class MambaCache:
    """Convolution inputs `(num_seqs, kernel - 1, channels)` and the scan's state.

    The state is `(num_seqs, heads, head_dim, state_size)`; Mamba-1's heads have one channel.

    Attributes:
        state: float32, float16, or int8 codes.
        scale: of int8 codes, for each block of the last dimension.
        rounding: how states of fewer bits are kept; None for float32.
        layer: its number, for the chances.
        tokens: of each sequence, so far.
    """

    conv_rows: Tensor
    state: Tensor
    scale: Tensor | None = None
    rounding: SsmRounding | None = None
    layer: int = 0
    tokens: list[int] = field(default_factory=list)

    @classmethod
    def allocate(
        cls,
        conv_rows: Tensor,
        shape: tuple[int, ...],
        *,
        rounding: SsmRounding | None = None,
        layer: int = 0,
    ) -> "MambaCache":
        """An empty one, on the device of `conv_rows`."""
        kinds = {None: torch.float32, "float16": torch.float16, "int8": torch.int8}
        kind = None if rounding is None else rounding.kind
        state = torch.zeros(shape, dtype=kinds[kind], device=conv_rows.device)
        scale = None
        if kind == "int8":
            scale = torch.ones((*shape[:-1], -(-shape[-1] // BLOCK)), device=conv_rows.device)
        return cls(conv_rows, state, scale, rounding, layer, [0] * shape[0])

    def wide_state(self) -> Tensor:
        """The state in float32: itself, if it is kept so, and else a copy for `keep_state`."""
        if self.rounding is None:
            return self.state
        if self.scale is None:
            return self.state.float()
        return widen_int8(self.state, self.scale)

    def keep_state(self, state: Tensor, counts: Sequence[int]) -> None:
        """Take the state over after `counts` more tokens of each sequence.

        Raises:
            InputError: a number of it is NaN or infinite and cannot be rounded.
        """
        if self.rounding is None:
            if state is not self.state:
                self.state.copy_(state)
            return
        self.tokens = [old + new for old, new in zip(self.tokens, counts, strict=True)]
        for seq, tokens in enumerate(self.tokens):
            if not counts[seq]:
                continue
            draw = self._draw(tokens)
            if self.scale is None:
                self.state[seq] = round_to_half(state[seq], draw)
            else:
                self.state[seq], self.scale[seq] = round_to_int8(state[seq], draw)

    def _draw(self, tokens: int) -> torch.Generator | None:
        assert self.rounding is not None
        if self.rounding.to_nearest:
            return None
        seed = hash((self.rounding.seed, self.layer, tokens))
        return torch.Generator(self.state.device).manual_seed(seed)

    def tensors(self) -> list[Tensor]:
        """Everything held."""
        held = [self.conv_rows, self.state]
        return held if self.scale is None else [*held, self.scale]

    def select(self, seqs: list[int]) -> "MambaCache":
        """A copy that holds only the given sequences, in that order."""
        return replace(
            self,
            conv_rows=self.conv_rows[seqs],
            state=self.state[seqs],
            scale=None if self.scale is None else self.scale[seqs],
            tokens=[self.tokens[seq] for seq in seqs] if self.tokens else [],
        )

    @classmethod
    def join(cls, parts: Sequence["MambaCache"]) -> "MambaCache":
        """The sequences of several in one."""
        scales = [part.scale for part in parts if part.scale is not None]
        return replace(
            parts[0],
            conv_rows=torch.cat([part.conv_rows for part in parts]),
            state=torch.cat([part.state for part in parts]),
            scale=torch.cat(scales) if scales else None,
            tokens=[count for part in parts for count in part.tokens],
        )

    def copy(self) -> "MambaCache":
        """One that keeps what is held now."""
        return replace(
            self,
            conv_rows=self.conv_rows.clone(),
            state=self.state.clone(),
            scale=None if self.scale is None else self.scale.clone(),
            tokens=list(self.tokens),
        )

    def restore(self, saved: "MambaCache") -> None:
        """Hold what a copy has kept, in the same tensors."""
        for ours, theirs in zip(self.tensors(), saved.tensors(), strict=True):
            ours.copy_(theirs)
        self.tokens = list(saved.tokens)
