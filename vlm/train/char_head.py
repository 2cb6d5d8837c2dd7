"""The reading lesson of a vision tower: which character stands in each half of each patch.

Next-token loss alone takes very long to discover the pixels; dense targets, one per half
patch, teach the tower to read first. The head is a norm and one linear layer on the tower's
patch features, so that what it knows lies in the tower. It is dropped from the model.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ...data.char_labels import BLANK, CHARSET, IGNORE, NUM_CLASSES, SLOTS, read_slots


class CharHead(nn.Module):
    """Patch features `(patches, hidden)` -> logits `(patches, SLOTS, NUM_CLASSES)`."""

    def __init__(self, hidden_size: int):
        super().__init__()
        self.norm = nn.LayerNorm(hidden_size)
        self.linear = nn.Linear(hidden_size, SLOTS * NUM_CLASSES)
        with torch.no_grad():
            self.linear.weight.normal_(std=0.02)
            bias = self.linear.bias.view(SLOTS, NUM_CLASSES)
            bias.zero_()
            bias[:, BLANK] = 3.0  # most slots are empty: start from there

    def forward(self, features: Tensor) -> Tensor:
        return self.linear(self.norm(features)).view(-1, SLOTS, NUM_CLASSES)


def char_loss(logits: Tensor, targets: Tensor, *, blank_weight: float) -> Tensor:
    """Mean cross-entropy in float32, empty slots weighing `blank_weight`.

    Args:
        logits: `(patches, SLOTS, NUM_CLASSES)`.
        targets: int64 `(patches, SLOTS)`.
    """
    flat = targets.reshape(-1)
    losses = F.cross_entropy(
        logits.reshape(-1, NUM_CLASSES).float(), flat, ignore_index=IGNORE, reduction="none"
    )
    weights = torch.where(flat == BLANK, blank_weight, 1.0) * (flat != IGNORE)
    return (losses * weights).sum() / weights.sum().clamp(min=1.0)


@dataclass
class CharScores:
    """Running counts of what the head reads; `report()` turns them into rates."""

    chars: int = 0
    chars_right: int = 0
    blanks: int = 0
    blanks_right: int = 0
    edits: int = 0
    line_chars: int = 0

    def add(self, logits: Tensor, targets: Tensor, grids: Tensor) -> None:
        """Count one batch; pictures with a single row of characters also count as lines."""
        best = logits.argmax(-1)
        char_mask, blank_mask = targets > BLANK, targets == BLANK
        self.chars += int(char_mask.sum())
        self.chars_right += int((best == targets)[char_mask].sum())
        self.blanks += int(blank_mask.sum())
        self.blanks_right += int((best == targets)[blank_mask].sum())
        sizes = grids.prod(-1).tolist()
        pieces = zip(logits.split(sizes), targets.split(sizes), grids.tolist(), strict=True)
        for piece, wanted, (rows, columns) in pieces:
            truth = read_slots(wanted.cpu().numpy(), grid=(rows, columns))
            if len(truth) == 1:
                text = read_line(piece, grid=(rows, columns))
                self.edits += edit_distance(text, truth[0])
                self.line_chars += len(truth[0])

    def report(self) -> dict[str, float]:
        """Accuracy of characters and of empty slots, and character error rate of lines."""
        rates = {
            "char_accuracy": self.chars_right / max(self.chars, 1),
            "blank_accuracy": self.blanks_right / max(self.blanks, 1),
        }
        if self.line_chars:
            rates["line_error"] = self.edits / self.line_chars
        return rates


def read_line(logits: Tensor, *, grid: tuple[int, int]) -> str:
    """Text of a picture of one line: in each column of slots the likeliest row speaks.

    Args:
        logits: `(rows * columns, SLOTS, NUM_CLASSES)`.
        grid: `(rows, columns)` of patches.
    """
    rows, columns = grid
    log_p = logits.float().log_softmax(-1).view(rows, columns * SLOTS, NUM_CLASSES)
    # A column is empty only if every row says so: compare the rows' chance of a character.
    row = log_p[..., BLANK].argmin(0)
    best = log_p[row, torch.arange(columns * SLOTS, device=row.device)].argmax(-1)
    return "".join(CHARSET[c - 1] for c in best.tolist() if c != BLANK)


def edit_distance(a: Sequence, b: Sequence) -> int:
    """Levenshtein distance."""
    before = np.arange(len(b) + 1)
    for i, item in enumerate(a, start=1):
        swap = before[:-1] + np.array([item != other for other in b], dtype=np.int64)
        now = np.minimum(before[1:] + 1, swap) if len(b) else np.zeros(0, dtype=np.int64)
        row = np.concatenate([[i], now])
        # Insertions run along the row: a running minimum of (value - index).
        steps = np.arange(len(row))
        before = np.minimum.accumulate(row - steps) + steps
    return int(before[-1])
