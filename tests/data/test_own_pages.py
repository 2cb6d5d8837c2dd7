"""Pages of one's own and questions about them become records."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from latentvlm.data.mixed_source import MixedSource
from latentvlm.data.own_pages import own_records
from latentvlm.data.producer import ShardFolder
from latentvlm.data.shards import Record
from latentvlm.errors import DataError


@pytest.fixture
def pages(tmp_path: Path) -> Path:
    Image.new("RGB", (40, 30), "red").save(tmp_path / "a.png")
    sheets = [Image.new("RGB", (80, 60), colour) for colour in ("white", "blue")]
    sheets[0].save(tmp_path / "b.pdf", save_all=True, append_images=sheets[1:], resolution=96)
    return tmp_path


def test_a_page_carries_all_its_questions(pages: Path) -> None:
    lines = [
        {"file": "a.png", "question": "Colour?", "answer": "Red"},
        {"file": "b.pdf", "page": 2, "question": "Colour?", "answer": "Blue", "kind": "field"},
        {"file": "a.png", "question": "Is it red?", "answer": "Yes"},
    ]
    path = pages / "q.jsonl"
    path.write_text("\n\n".join(json.dumps(line) for line in lines))
    red, blue = own_records(path)
    assert red.image.shape == (30, 40, 3) and (red.image == [255, 0, 0]).all()
    assert red.questions() == [("asked", "Colour?", "Red"), ("asked", "Is it red?", "Yes")]
    assert blue.questions() == [("field", "Colour?", "Blue")]
    assert blue.image[30, 40, 2] > 200 > 60 > blue.image[30, 40, 0]
    assert "page 2" in blue.meta["source"]


def test_a_table_says_the_same(pages: Path) -> None:
    path = pages / "q.csv"
    path.write_text('file,page,question,answer\nb.pdf,1,"Is it ""white""?",Yes\n')
    (record,) = own_records(path)
    assert record.questions() == [("asked", 'Is it "white"?', "Yes")]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ({"file": "a.png", "question": "Colour?"}, "line 2, lacks answer"),
        ({"file": "none.png", "question": "?", "answer": "!"}, "line 2: .*none.png"),
        ({"file": "b.pdf", "page": 3, "question": "?", "answer": "!"}, "line 2: .*page"),
        ({"file": "b.pdf", "page": "x", "question": "?", "answer": "!"}, "no page number"),
        ([], "line 2, is no JSON object"),
    ],
)
def test_what_is_wrong_is_named_with_its_line(pages: Path, line, message: str) -> None:
    good = {"file": "a.png", "question": "Colour?", "answer": "Red"}
    path = pages / "q.jsonl"
    path.write_text(json.dumps(good) + "\n" + json.dumps(line))
    with pytest.raises(DataError, match=message):
        list(own_records(path))


def test_questions_of_a_record_have_two_spellings() -> None:
    image = np.zeros((8, 8, 3), dtype=np.uint8)
    spelled = [["field", "A?", "a"], {"question": "B?", "answer": "b"}]
    record = Record(key="x", image=image, meta={"qas": spelled})
    assert record.questions() == [("field", "A?", "a"), ("asked", "B?", "b")]
    for wrong in (["A?", "a"], {"question": "B?"}, "C?"):
        with pytest.raises(DataError, match="record 'x' has the question"):
            Record(key="x", image=image, meta={"qas": [wrong]}).questions()


def test_sources_take_turns_by_weight(tmp_path: Path) -> None:
    sources = []
    for name, count in (("a", 2), ("b", 3)):
        (tmp_path / name).mkdir()
        for number in range(count):
            (tmp_path / name / f"{number}.tar").touch()
        sources.append(ShardFolder(tmp_path / name, epochs=None))
    mixed = MixedSource(sources, [3, 1])
    paths = [mixed.path(shard) for shard in range(12)]
    seen = [str(path.relative_to(tmp_path)) for path in paths if path]
    assert sum(each.startswith("a") for each in seen) == 9
    assert [each for each in seen if each.startswith("b")] == ["b/0.tar", "b/1.tar", "b/2.tar"]
    assert all(sum(s.startswith("a") for s in seen[i : i + 4]) >= 2 for i in range(9))
    assert [mixed.path(shard) for shard in (7, 2, 11)] == [paths[7], paths[2], paths[11]]
