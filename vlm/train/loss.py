"""Losses of the language model, and the balance of its experts."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ...data.model_inputs import IGNORED_LABEL
from ...data.packed_batch import Batch
from ..language_model import LanguageModel
from ..layers.moe import MoEMixer


def answer_lengths(places: Tensor) -> Tensor:
    """Tokens of the answer that each labelled position belongs to.

    Args:
        places: int64 `(labelled,)`, rising; what follows without a gap is one answer.

    Returns:
        int64 `(labelled,)`.
    """
    answers = torch.cat([places.new_zeros(min(len(places), 1)), (places.diff() > 1).cumsum(0)])
    return answers.bincount()[answers]


def next_token_loss(
    language_model: LanguageModel, hidden: Tensor, labels: Tensor, *, short_answers: float = 0.0
) -> tuple[Tensor, Tensor]:
    """Mean cross-entropy in float32 over the labelled positions, and their log-normalisers.

    Logits are computed at labelled positions only: most of a row is pictures and questions.

    Args:
        hidden: `(tokens, hidden)` after the final norm.
        labels: int64 `(tokens,)`, already shifted; -100 where nothing is to be learnt.
        short_answers: a token of an answer of n tokens weighs `n ** -short_answers` in the mean.

    Returns:
        The loss, and the log-normalisers `(labelled,)`.
    """
    places = (labels != IGNORED_LABEL).nonzero().squeeze(1)
    logits = language_model.logits(hidden[places])
    losses = F.cross_entropy(logits, labels[places], reduction="none")
    weights = answer_lengths(places).to(losses.dtype) ** -short_answers
    return (losses * weights).sum() / weights.sum().clamp(min=1e-9), logits.logsumexp(-1)


def mtp_loss(language_model: LanguageModel, hidden: Tensor, batch: Batch) -> Tensor:
    """The same for the token after the next, by the multi-token-prediction head."""
    embeds = language_model.embed(batch.next_ids)
    drafted = language_model.mtp_hidden(hidden, embeds, cu_seqlens=batch.cu_seqlens)
    return next_token_loss(language_model, drafted, batch.next_labels)[0]


@torch.no_grad()
def balance_experts(module: nn.Module, *, rate: float) -> float:
    """Move every router's selection bias towards equal load (arXiv:2408.15664).

    Experts that got more tokens than the mean in the last forward become `rate` less likely to
    be selected, the others more; the weights of the selected ones do not change.

    Returns:
        The largest load of an expert relative to the mean, over all layers.
    """
    worst = 1.0
    for layer in module.modules():
        if isinstance(layer, MoEMixer) and layer.last_load is not None:
            load = layer.last_load.float()
            if layer.gate.e_score_correction_bias is not None:
                layer.gate.e_score_correction_bias += rate * torch.sign(load.mean() - load)
            worst = max(worst, float(load.max() / load.mean().clamp(min=1e-9)))
    return worst
