"""How far a scan's state in few bits is from the state in float64, over many steps.

    python -m latentvlm.eval.state_drift OUT.png [--steps 100000]

The state is that of a slow head of Mamba-2, h = a h + x with a = 1 - 2^-12, whose inputs have a
mean: the changes of a step are far smaller than a step of the number format, so rounding to nearest
loses them one and all.
"""

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from torch import Tensor

from ..vlm.quantize.stochastic import round_to_half, round_to_int8, widen_int8

_DECAY = 1 - 2.0**-12
_MEAN = 2.0**-12
_MARKS = 50


def drift(*, steps: int = 100_000, size: int = 128, seed: int = 0) -> dict[str, list[float]]:
    """Mean error of the state, of its size, at 50 marks on the way, by way of rounding."""
    draw = torch.Generator().manual_seed(seed)
    kinds: dict[str, Callable[[Tensor], Tensor]] = {
        "float16 nearest": lambda h: round_to_half(h).float(),
        "float16 stochastic": lambda h: round_to_half(h, draw).float(),
        "int8 nearest": lambda h: widen_int8(*round_to_int8(h)),
        "int8 stochastic": lambda h: widen_int8(*round_to_int8(h, draw)),
    }
    exact = torch.zeros(size, dtype=torch.float64)
    states = {kind: torch.zeros(size) for kind in kinds}
    found: dict[str, list[float]] = {kind: [] for kind in kinds}
    every = max(1, steps // _MARKS)
    inputs = torch.Generator().manual_seed(seed + 1)
    for step in range(1, steps + 1):
        x = _MEAN * (1 + 0.5 * torch.randn(size, generator=inputs))
        exact.mul_(_DECAY).add_(x)
        for kind, narrow in kinds.items():
            states[kind] = narrow(states[kind].mul(_DECAY).add_(x))
        if step % every == 0:
            for kind, state in states.items():
                error = (state.double() - exact).mean().abs() / exact.abs().mean()
                found[kind].append(float(error))
    return found


def main(argv: Sequence[str] | None = None) -> int:
    """Draw the plot."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path)
    parser.add_argument("--steps", type=int, default=100_000)
    options = parser.parse_args(argv)
    found = drift(steps=options.steps)
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(6, 4))
    for kind, errors in found.items():
        every = options.steps / max(1, len(errors))
        axes.semilogy([every * (idx + 1) for idx in range(len(errors))], errors, label=kind)
    axes.set_xlabel("tokens")
    axes.set_ylabel("error of the mean state, of its size")
    axes.legend()
    figure.savefig(options.out, dpi=120, bbox_inches="tight")
    print(f"{options.out}: " + ", ".join(f"{k} {v[-1]:.2e}" for k, v in found.items()))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
