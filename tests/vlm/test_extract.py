"""Fields as typed values: read from answers, and asked of the default model."""

from pathlib import Path

import pytest

import latentvlm
from latentvlm.errors import CheckpointError, ConfigError
from latentvlm.vlm.extract import FieldSpec, judge, read_fields
from latentvlm.vlm.field_values import read_choice, read_value
from latentvlm.vlm.limits import ModelLimits

SAMPLE = Path(__file__).parents[2] / "data" / "samples" / "invoice.png"


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("$28.21", 28.21), ("EUR 1,234.50", 1234.5), ("1.234,50 €", 1234.5), ("1,234", 1234.0),
        ("12,5", 12.5), ("1'234'567", 1234567.0), ("-7", -7.0), ("1.234.567", 1234567.0),
        ("2 500", 2500.0), ("3.", 3.0), ("none", None),
    ],
)  # fmt: skip
def test_numbers(text: str, value: float | None) -> None:
    assert read_value(text, "number") == value


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("2024-05-31", "2024-05-31"), ("31.05.2024", "2024-05-31"), ("31/05/24", "2024-05-31"),
        ("05/31/2024", "2024-05-31"), ("5 May 2024", "2024-05-05"), ("May 5, 2024", "2024-05-05"),
        ("13-DEC-1993", "1993-12-13"), ("32.05.2024", None), ("Room 7", None),
    ],
)  # fmt: skip
def test_dates(text: str, value: str | None) -> None:
    assert read_value(text, "date") == value


def test_whole_numbers_are_whole() -> None:
    assert read_value("7 pieces", "integer") == 7 and read_value("7.5", "integer") is None


def test_yes_and_no() -> None:
    found = [read_value(text, "boolean") for text in ("Yes.", "no", "True", "It is paid.", "")]
    assert found == [True, False, True, None, None]


def test_a_choice_is_one_of_those_allowed() -> None:
    choices = ("invoice", "letter", "cover letter")
    texts = ("Invoice.", "It is an invoice", "an invoice and a letter", "invoices", "a memo")
    assert [read_choice(text, choices) for text in texts] == [
        "invoice", "invoice", None, None, None,
    ]  # fmt: skip


def test_fields_have_three_spellings() -> None:
    short = read_fields("number, date:date,total:number")
    assert [(each.name, each.type) for each in short] == [
        ("number", "string"), ("date", "date"), ("total", "number"),
    ]  # fmt: skip
    assert short[0].asked == "What is the number?"
    assert read_fields(["number", FieldSpec(name="date", type="date")]) == short[:2]
    schema = {
        "properties": {
            "total": {"type": "number", "description": "What is to be paid?"},
            "due_date": {"type": "string", "format": "date"},
        }
    }
    total, due = read_fields(schema)
    assert (total.type, total.asked) == ("number", "What is to be paid?")
    assert (due.type, due.asked) == ("date", "What is the due date?")
    paid, kind = read_fields(
        {
            "properties": {
                "paid": {"type": ["boolean", "null"]},
                "kind": {"type": "string", "enum": ["invoice", "letter", None]},
            }
        }
    )
    assert paid.type == "boolean" and kind.choices == ("invoice", "letter")
    with pytest.raises(ConfigError, match="its type must be string"):
        FieldSpec(name="a", type="number", choices=("x",))
    for wrong, message in [
        ("", "needs a name"), ("a,a", "'a' is named twice"), ("a:colour", "the type 'colour'"),
        ({"type": "object"}, "no properties"), ([], "No field is named"),
        ({"properties": {"a": {"type": ["string", "number"]}}}, "the type 'string or number'"),
        ({"properties": {"a": {"type": "array"}}}, "the type 'array'"),
        ({"properties": {"a": {"enum": [1, 2]}}}, "other than texts"),
        ([FieldSpec(name="a", choices=("x",)), "a"], "'a' is named twice"),
    ]:  # fmt: skip
        with pytest.raises(ConfigError, match=message):
            read_fields(wrong)


def test_the_default_model_reads_the_sample() -> None:
    vlm = latentvlm.load()
    found = vlm.extract("total:number,postcode", SAMPLE)
    assert found["total"].value == 28.21 and found["total"].text == "$28.21"
    assert found["postcode"].value is None or found["postcode"].text
    alone = vlm.ask("What is the total?", SAMPLE)
    assert found["total"].confidence == vlm.limits.calibrated(alone.confidence)
    assert found["total"].page == 1
    spec = FieldSpec(name="total", type="number")
    assert judge(vlm.limits, spec, alone).page is None, "nobody said which page was shown"
    assert judge(vlm.limits, FieldSpec(name="total", choices=("12", "13")), alone).value is None


def test_pages_are_encoded_once_for_all_fields() -> None:
    vlm = latentvlm.load()
    vlm.extract("total:number,date:date,number,name", SAMPLE)
    state = vlm.engine.state()
    assert (state.media_misses, state.media_hits) == (1, 3)


def test_confidence_is_what_held_out_answers_of_its_kind_were(tmp_path: Path) -> None:
    limits = ModelLimits(calibration=((0.0, 0.1), (0.7, 0.4), (0.97, 0.9)))
    assert [limits.calibrated(value) for value in (0.0, 0.69, 0.7, 0.98, 1.0)] == [
        0.1, 0.1, 0.4, 0.9, 0.9,
    ]  # fmt: skip
    assert ModelLimits().calibrated(0.6) == 0.6
    limits.write(tmp_path)
    assert ModelLimits.read(tmp_path) == limits
    (tmp_path / "latentvlm.json").write_text('{"calibration": [[0.5, 2]]}')
    with pytest.raises(CheckpointError, match="for calibration, which cannot be"):
        ModelLimits.read(tmp_path)
