"""How far a scan's state in few bits is from the state in float64, over many steps.

    python -m latentvlm.eval.state_drift OUT.png [--steps 100000]

The state is that of a slow head of Mamba-2, h = a h + x with a = 1 - 2^-12, whose inputs have a
mean: the changes of a step are far smaller than a step of the number format, so rounding to nearest
loses them one and all.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

import torch

from ..vlm.mamba_cache import MambaCache, SsmKind, SsmRounding

_DECAY = 1 - 2.0**-12
_MEAN = 2.0**-12
_MARKS = 50
_KINDS: tuple[SsmKind, ...] = ("float16", "int8")


def drift(*, steps: int = 100_000, size: int = 128, seed: int = 0) -> dict[str, list[float]]:
    """Mean error of the state that a cache keeps, of its size, at 50 marks, by way of rounding."""
    caches = {
        f"{kind} {'nearest' if to_nearest else 'stochastic'}": MambaCache.allocate(
            torch.zeros(1, 0, 0),
            (1, 1, 1, size),
            rounding=SsmRounding(kind=kind, seed=seed, to_nearest=to_nearest),
        )
        for kind in _KINDS
        for to_nearest in (True, False)
    }
    exact = torch.zeros(size, dtype=torch.float64)
    found: dict[str, list[float]] = {kind: [] for kind in caches}
    every = max(1, steps // _MARKS)
    inputs = torch.Generator().manual_seed(seed + 1)
    for step in range(1, steps + 1):
        x = _MEAN * (1 + 0.5 * torch.randn(size, generator=inputs))
        exact.mul_(_DECAY).add_(x)
        for cache in caches.values():
            cache.keep_state(cache.wide_state().mul_(_DECAY).add_(x), [1])
        if step % every == 0:
            for kind, cache in caches.items():
                state = cache.wide_state().flatten().double()
                found[kind].append(float((state - exact).mean().abs() / exact.abs().mean()))
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
