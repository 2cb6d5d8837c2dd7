"""How the block scales of NVFP4 are chosen: by the largest number, by a search, by two rules.

    max             the largest number of a block becomes 6
    mse             of all 126 positive E4M3 scales the one whose block comes back closest
    four-over-six   the largest becomes 6, or 4 with a scale half as large again, whichever comes
                    back closer; the matrix's scale leaves room for it (256 in place of 448)

Four-over-six is what Nemotron 3 Ultra's routed experts have. On the weights of Mamba layers its
makers measured a collapse (a recovery of 84.71% where the others keep 98%), so no recipe here
uses it there.
"""

from collections.abc import Callable, Iterator
from typing import Literal, get_args

import torch
from torch import Tensor

from ...errors import ConfigError

ScaleSearch = Literal["max", "mse", "four-over-six"]

Errors = Callable[[Tensor, Tensor], Tensor]
_LARGEST_CODE = 0x7E  # 448
_SMALLEST_CODE = 0x01
# Scales above 24 times the usual one round a whole block to zero; E4M3 has 8 in an octave.
_STEPS_UP = 40


def check_search(search: str) -> None:
    """Raise a ConfigError unless it is one of `ScaleSearch`."""
    if search not in get_args(ScaleSearch):
        raise ConfigError(
            f"The scale search is {search!r}; it must be one of {', '.join(get_args(ScaleSearch))}."
        )


def closest_scales(start: Tensor, errors: Errors, floors: Errors) -> Tensor:
    """The best of all positive E4M3 scales for each block.

    Args:
        start: uint8 `(B,)`, the scale by the largest number.
        errors: `(codes (b,), blocks (b,))` to the squared error of those blocks under those scales.
        floors: the same, to a number that the error cannot be below: what clipping the largest
            number costs. Blocks are left out once that is more than what they have.

    Returns:
        uint8 `(B,)`; of equals, the one nearest `start`.
    """
    every = torch.arange(len(start), device=start.device)
    best, chosen = errors(start, every), start.clone()
    for step in _outward():
        codes = start.int() + step
        possible = (codes >= _SMALLEST_CODE) & (codes <= _LARGEST_CODE)
        at = every[possible]
        codes = codes[possible].to(torch.uint8)
        if step < 0 and len(at):
            hopeful = floors(codes, at) < best[at]
            at, codes = at[hopeful], codes[hopeful]
        if not len(at):
            continue
        found = errors(codes, at)
        better = found < best[at]
        best[at[better]] = found[better]
        chosen[at[better]] = codes[better]
    return chosen


def better_of(first: Tensor, second: Tensor, errors: Errors) -> Tensor:
    """Of two scales for each block the one with the smaller error; the first if they are equal."""
    every = torch.arange(len(first), device=first.device)
    return torch.where(errors(second, every) < errors(first, every), second, first)


def _outward() -> Iterator[int]:
    for distance in range(1, _LARGEST_CODE):
        if distance <= _STEPS_UP:
            yield distance
        yield -distance
