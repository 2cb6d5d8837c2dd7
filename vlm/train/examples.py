"""Records -> training examples: a pure function of the record, so a stream can be redrawn."""

from __future__ import annotations

import random
from dataclasses import replace
from typing import Any

import numpy as np
import torch

from ...data.char_labels import SLOTS, char_targets
from ...data.image_transform import ImageTransform
from ...data.model_inputs import ModelInputs
from ...data.packed_batch import Example
from ...data.processor import Processor
from ...data.shards import Record

_NOTHING = np.zeros(0, dtype=np.int64)
# How much of the page an answer says, by kind of question; other kinds say one value of it.
_SAYS = {"yes_no": 0, "read_line": 2, "transcribe": 2}


class TowerExamples:
    """Pictures with the characters of their patches, and no text."""

    def __init__(self, transform: ImageTransform):
        self.transform = transform

    def __call__(self, record: Record) -> Example:
        packed = self.transform(record.pages)
        return Example(
            input_ids=_NOTHING,
            labels=_NOTHING,
            pixel_values=packed.pixel_values.numpy(),
            image_grid_hw=packed.image_grid_hw.numpy(),
            char_targets=page_targets(record, [info.grid for info in packed.infos]),
        )


class AnswerExamples:
    """Pictures and videos with a conversation about them: up to `questions` of their questions.

    Which questions, and in which order, is drawn from the record's key; so each document shows
    other questions first, and the same record always makes the same example. Half of the
    conversations begin with the questions whose answers say least, so that these are looked up on
    the page and not in a transcription above them.

    Args:
        processor: the one inference uses.
        questions: the most questions of one conversation.
        char_targets: also give the characters of the patches.
    """

    def __init__(self, processor: Processor, *, questions: int, char_targets: bool):
        self.processor = processor
        self.questions = questions
        self.char_targets = char_targets

    def __call__(self, record: Record) -> Example | None:
        """The example of a record, or `None` if the record has no questions."""
        asked = record.questions()
        if not asked:
            return None
        rng = random.Random(f"{record.key} {record.meta.get('seed')}")
        rng.shuffle(asked)
        asked = asked[: self.questions]
        if rng.random() < 0.5:
            asked.sort(key=lambda each: _SAYS.get(each[0], 1))
        inputs = self.processor.encode_conversation(conversation(record, asked))
        targets = None
        if self.char_targets and record.frames is not None:
            targets = np.zeros((0, SLOTS), dtype=np.int64)  # a video has patches of tubelets only
        elif self.char_targets:
            targets = page_targets(record, [info.grid for info in inputs.images])
        return replace(
            example_of(inputs, patch_size=self.processor.transform.config.patch_size),
            char_targets=targets,
            kinds=tuple(kind for kind, _, _ in asked),
        )


def example_of(inputs: ModelInputs, *, patch_size: int) -> Example:
    """An encoded conversation with its pictures and videos, every visual token still in place."""
    assert inputs.labels is not None, "only conversations encoded for training have labels"
    pixels, grids = inputs.pixel_values, inputs.image_grid_hw
    if pixels is None or grids is None:
        pixels, grids = torch.zeros(0, 3 * patch_size**2), torch.zeros(0, 2, dtype=torch.int64)
    videos, shapes = inputs.pixel_values_videos, inputs.video_grid_thw
    return Example(
        input_ids=inputs.input_ids.numpy(),
        labels=inputs.labels.numpy(),
        pixel_values=pixels.numpy(),
        image_grid_hw=grids.numpy(),
        pixel_values_videos=None if videos is None else videos.numpy(),
        video_grid_thw=None if shapes is None else shapes.numpy(),
        video_shapes=tuple(info.shape for info in inputs.videos),
    )


def conversation(record: Record, asked: list[Any]) -> list[dict[str, Any]]:
    """Messages of `(kind, question, answer)` triples; pages or video come with the first."""
    shown: list[dict[str, Any]] = [{"type": "image", "image": page} for page in record.pages]
    if record.frames is not None:
        shown = [{"type": "video", "frames": record.frames, "timestamps": record.timestamps}]
    messages: list[dict[str, Any]] = []
    for _, question, answer in asked:
        parts: list[dict[str, Any]] = [{"type": "text", "text": question}]
        if not messages:
            parts = [*shown, *parts]
        messages.append({"role": "user", "content": parts})
        messages.append({"role": "assistant", "content": answer})
    return messages


def page_targets(record: Record, grids: list[tuple[int, int]]) -> np.ndarray | None:
    """`record_targets` of all pages of a record, one after another."""
    if not record.more_pages:
        return record_targets(record, grids[0])
    known = record.meta.get("pages") or [{}] * len(grids)
    found = [
        record_targets(Record(key=record.key, image=page, meta=meta), grid)
        for page, meta, grid in zip(record.pages, known, grids, strict=True)
    ]
    return None if any(each is None for each in found) else np.concatenate(found)  # type: ignore[arg-type]


def record_targets(record: Record, grid: tuple[int, int]) -> np.ndarray | None:
    """The character classes of a record's patches, if its characters are known."""
    if "codes" not in record.meta:
        return None
    return char_targets(
        np.array(record.meta["codes"], dtype=np.int64),
        np.array(record.meta["centers"], dtype=np.float64).reshape(-1, 2),
        size=(record.image.shape[0], record.image.shape[1]),
        grid=grid,
    )
