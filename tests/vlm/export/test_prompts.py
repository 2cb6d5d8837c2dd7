"""Calibration on any iterable of messages, texts, records and files, and on files by name."""

import json
from pathlib import Path

import numpy as np
import pytest

from latentvlm.data.shards import Record, write_shard
from latentvlm.errors import InputError
from latentvlm.vlm.export.prompts import find_prompts
from latentvlm.vlm.export.source import WeightSource


def shard(path: Path, *names: str) -> None:
    page = np.full((32, 48, 3), 255, dtype=np.uint8)
    write_shard(
        path,
        [
            Record(
                key=name,
                image=page,
                meta={"qas": [{"kind": "field", "question": f"{name}?", "answer": "12.50"}]},
            )
            for name in names
        ],
    )


def questions(source: WeightSource, data, count: int = 8, skip: int = 0) -> list[str]:
    found = find_prompts(source, data, count, split="train", skip=skip)
    assert all(len(prompt.inputs.input_ids) for prompt in found.prompts)
    return [prompt.question for prompt in found.prompts]


def test_every_kind_of_calibration_data(original: Path, tmp_path: Path) -> None:
    source = WeightSource(original)
    shards = tmp_path / "shards"
    shards.mkdir()
    shard(shards / "a.tar", "one", "two")
    shard(shards / "b.tar", "three")
    lines = tmp_path / "data.jsonl"
    lines.write_text(json.dumps([{"role": "user", "content": "four?"}]) + "\n")
    assert questions(source, shards / "a.tar") == ["one?", "two?"]
    assert questions(source, str(shards)) == ["one?", "two?", "three?"]
    assert questions(source, shards, count=1, skip=2) == ["three?"]
    mixed = iter(["zero?", shards / "b.tar", lines, [{"role": "user", "content": "five?"}]])
    assert questions(source, mixed) == ["zero?", "three?", "four?", "five?"]
    pages = find_prompts(source, shards / "a.tar", 1, split="train").inputs[0]
    assert pages.pixel_values is not None and len(pages.pixel_values)
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="empty holds no shard"):
        questions(source, tmp_path / "empty")
    with pytest.raises(InputError, match="A calibration item is a int"):
        questions(source, [3])
