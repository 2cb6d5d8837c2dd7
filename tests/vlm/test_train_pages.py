"""Documents of several pages as training records: drawn, kept in shards, made into examples."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import latentvlm
from latentvlm.data.shards import ShardReader, write_shard
from latentvlm.data.synthetic import GeneratorConfig
from latentvlm.errors import ConfigError, DataError
from latentvlm.vlm.train.examples import AnswerExamples, TowerExamples
from latentvlm.vlm.train.plan import SyntheticPlan
from latentvlm.vlm.train.stage import MixtureEntry

CONFIG = GeneratorConfig(level="lines", font_sizes=(13, 16), widths=(224, 288))
ENTRY = MixtureEntry(config=CONFIG, pages=(2, 4))


def records() -> list:
    plan = SyntheticPlan(seed=1, stage="s", mixture=(ENTRY,), documents_per_shard=6)
    return list(plan.records(0))


def test_pages_travel_through_shards_and_become_one_example(tmp_path: Path, tiny_folder) -> None:
    drawn = records()
    write_shard(tmp_path / "a.tar", drawn)
    read = [record for _, record in ShardReader().read(tmp_path / "a.tar")]
    assert {len(record.pages) for record in read} <= {2, 3, 4}
    processor = latentvlm.load(tiny_folder).processor
    make = AnswerExamples(processor, questions=3, char_targets=True)
    for was, record in zip(drawn, read, strict=True):
        for before, after in zip(was.pages, record.pages, strict=True):
            assert np.array_equal(before, after)
        counts = [answer for kind, _, answer in record.questions() if kind == "count_pages"]
        assert counts == [str(len(record.pages))]
        example = make(record)
        assert example is not None and len(example.image_grid_hw) == len(record.pages)
        assert example.char_targets is not None
        assert len(example.char_targets) == len(example.pixel_values)
        assert (example.char_targets > 0).any()


def test_a_missing_page_is_named(tmp_path: Path) -> None:
    import tarfile

    write_shard(tmp_path / "a.tar", [r for r in records() if len(r.pages) > 2][:1])
    with tarfile.open(tmp_path / "a.tar") as old, tarfile.open(tmp_path / "b.tar", "w") as new:
        for member in old.getmembers():
            if not member.name.endswith("page2.png"):
                new.addfile(member, old.extractfile(member))
    with pytest.raises(DataError, match="its pages are numbered 1 and .*one is missing"):
        list(ShardReader().read(tmp_path / "b.tar"))


def test_pages_that_cannot_be_are_refused() -> None:
    for pages in ((1, 3), (4, 2), (2, 99)):
        with pytest.raises(ConfigError, match="must rise within 2 to 32"):
            MixtureEntry(config=CONFIG, pages=pages)
    with pytest.raises(ConfigError, match="level lines, small or page"):
        MixtureEntry(config=replace(CONFIG, level="line"), pages=(2, 3))


def test_a_tower_learns_the_characters_of_every_page(tiny_folder: Path) -> None:
    transform = latentvlm.load(tiny_folder).processor.transform
    for record in records()[:2]:
        example = TowerExamples(transform)(record)  # type: ignore[arg-type]  # it has no tiles
        assert example.char_targets is not None
        assert len(example.image_grid_hw) == len(record.pages)
        assert len(example.char_targets) == len(example.pixel_values)
