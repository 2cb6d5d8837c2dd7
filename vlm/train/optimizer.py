"""AdamW with a learning rate per part of the model, and the warm-up-stable-decay schedule."""

from __future__ import annotations

from typing import Literal

import torch
from torch import nn

from .recipe import LearningRates, OptimizerSettings

# Not pulled towards zero: vectors (norms, biases, A_log, D, dt_bias) and these tables.
NO_DECAY = ("embeddings.weight", "pos_embed", "cls_token.token")
# Kept as it is made: transformers and vLLM apply it, and its identity keeps them in agreement.
ALWAYS_FROZEN = "vision_final_layernorm."


def schedule(
    step: int,
    *,
    steps: int,
    warmup_steps: int,
    decay_fraction: float,
    kind: Literal["wsd", "constant"],
) -> float:
    """Factor of the learning rate at `step` (0-based) of `steps`: 0..1 up, 1, 1..0 down."""
    factor = min(1.0, (step + 1) / max(warmup_steps, 1))
    if kind == "wsd":
        decay_steps = max(round(steps * decay_fraction), 1)
        factor = min(factor, max(steps - step, 0) / decay_steps) if decay_fraction else factor
    return factor


def part_of(name: str) -> str:
    """Which part of the model a parameter of a `Trainee` belongs to."""
    name = name.removeprefix("model.")
    if name.startswith(ALWAYS_FROZEN) or ".video_embedder." in name:
        return "frozen"  # these documents have no video
    if name.startswith("char_head."):
        return "char_head"
    return name.split(".", 1)[0]


def rates_by_part(rates: LearningRates, *, char: bool) -> dict[str, float]:
    """Learning rate of each part; the character head follows the tower, or else the projector."""
    by_part = dict(vars(rates))
    if char:
        by_part["char_head"] = rates.vision_encoder or rates.projector or rates.language_model
    return by_part


def make_optimizer(
    module: nn.Module, rates: dict[str, float], settings: OptimizerSettings
) -> torch.optim.AdamW:
    """An optimizer over the trained parameters; the others get `requires_grad` False.

    Every group carries `peak_lr` and the `names` of its parameters.
    """
    groups: dict[tuple[str, bool], dict] = {}
    unknown = rates.keys() - {part_of(name) for name, _ in module.named_parameters()}
    assert not unknown, f"no parameters belong to {unknown}"
    for name, parameter in module.named_parameters():
        part = part_of(name)
        rate = rates.get(part, 0.0)
        parameter.requires_grad_(rate > 0)
        if rate > 0:
            decay = parameter.dim() > 1 and not name.endswith(NO_DECAY)
            decay = decay and "conv1d" not in name
            group = groups.setdefault(
                (part, decay),
                {
                    "params": [],
                    "names": [],
                    "lr": rate,
                    "peak_lr": rate,
                    "weight_decay": settings.weight_decay if decay else 0.0,
                },
            )
            group["params"].append(parameter)
            group["names"].append(name)
    return torch.optim.AdamW(
        list(groups.values()),
        betas=(settings.beta1, settings.beta2),
        eps=settings.eps,
        fused=True,
    )


def set_rates(optimizer: torch.optim.Optimizer, factor: float) -> None:
    """Scale every group's peak rate."""
    for group in optimizer.param_groups:
        group["lr"] = group["peak_lr"] * factor
