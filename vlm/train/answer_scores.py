"""How right answers are, token by token and whole, without decoding any."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch.nn.functional as F
from torch import Tensor

from ...data.model_inputs import IGNORED_LABEL
from ...data.packed_batch import Batch


def labelled(batch: Batch) -> Tensor:
    """Places of a row where there is something to be learnt."""
    return (batch.labels != IGNORED_LABEL).nonzero().squeeze(1)


@dataclass
class AnswerScores:
    """Running counts; `report()` turns them into rates.

    An answer is right in every token, its end included, exactly if greedy decoding would give it.
    """

    loss: float = 0.0
    tokens: int = 0
    right: int = 0
    by_kind: dict[str, list[int]] = field(default_factory=dict)

    def add(self, logits: Tensor, batch: Batch) -> None:
        """Count a row, of logits `(labelled, vocab)` at its labelled places."""
        places = labelled(batch)
        labels = batch.labels[places]
        self.loss += float(F.cross_entropy(logits, labels, reduction="sum"))
        hits = logits.argmax(-1) == labels
        self.tokens += len(places)
        self.right += int(hits.sum())
        # Answers are runs of labelled places; questions lie between them.
        starts = [0, *((places.diff() > 1).nonzero().squeeze(1) + 1).tolist(), len(places)]
        whole = [bool(hits[a:b].all()) for a, b in zip(starts, starts[1:], strict=False) if b > a]
        for kind, is_right in zip(batch.kinds, whole, strict=True):
            self.by_kind.setdefault(kind, []).append(int(is_right))

    @property
    def answers(self) -> int:
        return sum(map(len, self.by_kind.values()))

    def report(self) -> dict[str, float]:
        """Loss, share of right tokens, share of answers right in every token, by kind too."""
        right = sum(map(sum, self.by_kind.values()))
        return {
            "loss": self.loss / max(self.tokens, 1),
            "token_accuracy": self.right / max(self.tokens, 1),
            "exact": right / max(self.answers, 1),
            **{f"exact {kind}": sum(hit) / len(hit) for kind, hit in sorted(self.by_kind.items())},
        }
