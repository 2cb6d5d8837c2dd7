"""AdamW, or Muon beside it, with a learning rate per part of the model, and the schedule.

Warming the tower up, Muon needs less than half of AdamW's steps.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from torch import nn

from .muon import Muon
from .settings import OptimizerSettings
from .stage import LearningRates

# Not pulled towards zero: vectors (norms, biases, A_log, D, dt_bias) and these tables.
NO_DECAY = (
    *("embeddings.weight", "pos_embed", "cls_token.token", "A_log"),
    # of towers of libraries
    *("cls_token", "reg_token", "positional_embedding", "class_embedding"),
)
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


def make_optimizers(
    module: nn.Module,
    rates: dict[str, float],
    settings: OptimizerSettings,
    kind: Literal["adamw", "muon"] = "adamw",
) -> list[torch.optim.Optimizer]:
    """The optimizers of the trained parameters; the others get `requires_grad` False.

    Every group carries `peak_lr` and the `names` of its parameters.
    """
    groups: dict[tuple[bool, str, bool], dict] = {}
    unknown = rates.keys() - {part_of(name) for name, _ in module.named_parameters()}
    assert not unknown, f"no parameters belong to {unknown}"
    for name, parameter in module.named_parameters():
        part = part_of(name)
        rate = rates.get(part, 0.0)
        parameter.requires_grad_(rate > 0)
        if rate > 0:
            decay = parameter.dim() > 1 and not name.endswith(NO_DECAY)
            decay = decay and "conv1d" not in name
            muon = kind == "muon" and _is_inner_matrix(name, parameter)
            group = groups.setdefault(
                (muon, part, decay),
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
    by_adamw = [group for (muon, _, _), group in groups.items() if not muon]
    by_muon = [group for (muon, _, _), group in groups.items() if muon]
    optimizers: list[torch.optim.Optimizer] = []
    if by_adamw:
        betas = (settings.beta1, settings.beta2)
        optimizers.append(torch.optim.AdamW(by_adamw, betas=betas, eps=settings.eps, fused=True))
    if by_muon:
        optimizers.append(Muon(by_muon))
    return optimizers


def _is_inner_matrix(name: str, parameter: nn.Parameter) -> bool:
    """Products inside the blocks and the projector, stacks of experts among them; not what reads
    pixels or reads and writes ids."""
    outer = ("embedder.", "embeddings.", "lm_head.", "char_head.", "conv1d.")
    if parameter.dim() > 3:  # kernels, such as those that read pixels in towers of libraries
        return False
    return parameter.dim() > 1 and not any(part in name for part in (*outer, *NO_DECAY))


def set_rates(optimizers: Sequence[torch.optim.Optimizer], factor: float) -> None:
    """Scale every group's peak rate."""
    for optimizer in optimizers:
        for group in optimizer.param_groups:
            group["lr"] = group["peak_lr"] * factor
