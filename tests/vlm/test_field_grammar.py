"""What the answer to the question of a field may be, token by token."""

import random
from pathlib import Path

import numpy as np
import pytest

from latentvlm.data.synthetic.questions import NOT_IN_DOCUMENT
from latentvlm.data.synthetic.values import CURRENCIES, date, format_cents
from latentvlm.errors import ConfigError
from latentvlm.vlm.api import load
from latentvlm.vlm.constraint import new_constraint
from latentvlm.vlm.extract import FieldSpec, extract
from latentvlm.vlm.field_grammar import field_grammar
from latentvlm.vlm.field_values import TYPES, FieldType, read_value
from latentvlm.vlm.sampling import GenerationConfig
from latentvlm.vlm.vlm import VLM

TYPED: list[FieldType] = [each for each in TYPES if each != "string"]


@pytest.fixture(scope="module")
def vlm(tiny_folder: Path) -> VLM:
    return load(tiny_folder, device="cpu", dtype="float32")


class Taker:
    """Whether a text can be a whole answer."""

    def __init__(self, vlm: VLM, kind: FieldType, choices: tuple[str, ...] = ()) -> None:
        self._vlm = vlm
        grammar = field_grammar(kind, choices)
        assert grammar is not None
        self._new = new_constraint(vlm.processor, grammar, vlm.end_ids, vlm.model)

    def takes(self, text: str) -> bool:
        constraint = self._new()
        assert constraint is not None
        for idx in self._vlm.processor.encode(text):
            if not constraint.allowed()[idx]:
                return False
            constraint.accept(idx)
        return bool(constraint.allowed()[next(iter(self._vlm.end_ids))])


@pytest.mark.parametrize(
    ("kind", "taken", "refused"),
    [
        ("number", ["$28.21", "1.234,50 €", "1'234'567", "-$5.00", "12 %", "3 kg.", "7"],
         ["", "twelve", "The total is 5", "Yes", "7 8 9 pieces of it"]),
        ("integer", ["7 pieces", "1,234", "1.234", "-3"], ["7.5", "seven"]),
        ("date", ["2024-05-31", "31.05.2024", "05/31/24", "31st May 2024", "May 5, 2024"],
         ["32.05.2024", "31.13.2024", "Room 7", "May", "2024"]),
        ("boolean", ["Yes", "No.", "true"], ["maybe", "Yes, it is"]),
    ],
)  # fmt: skip
def test_what_is_taken_is_read(
    vlm: VLM, kind: FieldType, taken: list[str], refused: list[str]
) -> None:
    taker = Taker(vlm, kind)
    for text in taken:
        assert taker.takes(text) and read_value(text, kind) is not None, text
    assert [text for text in refused if taker.takes(text)] == []
    for text in (NOT_IN_DOCUMENT, "N/A"):
        assert taker.takes(text)


def test_what_documents_print_is_taken(vlm: VLM) -> None:
    rng = random.Random(0)
    days, amounts = Taker(vlm, "date"), Taker(vlm, "number")
    for pattern in range(8):
        text = date(rng, "train", pattern)
        assert days.takes(text) and read_value(text, "date"), text
    for currency in CURRENCIES:
        for style in [(",", "."), (".", ","), (" ", ","), ("'", "."), ("", ".")]:
            cents = rng.randrange(10**8)
            text = format_cents(cents, style, currency)
            assert amounts.takes(text) and read_value(text, "number") == cents / 100, text


def test_signs_and_thousands_are_read() -> None:
    assert [read_value(text, "number") for text in ("-$5.00", "$-5", "- 5", "INV-7")] == [
        -5.0, -5.0, 5.0, -7.0,
    ]  # fmt: skip
    assert [read_value(text, "integer") for text in ("1.234", "1,234,567", "1.23")] == [
        1234, 1234567, None,
    ]  # fmt: skip


def test_choices_are_taken_as_they_are_spelt(vlm: VLM) -> None:
    choices = ('a "letter"', "invoice", "None")
    taker = Taker(vlm, "string", choices)
    taken = [*choices, NOT_IN_DOCUMENT]
    assert [text for text in (*taken, "letter", "Invoice", "invoice 7") if taker.takes(text)] == (
        taken
    )
    with pytest.raises(ConfigError, match="at most 100000"):
        Taker(vlm, "string", ("x" * 100_000,))


def test_whatever_a_model_says_is_of_the_type(vlm: VLM) -> None:
    page = np.random.default_rng(0).integers(0, 256, (48, 80, 3), dtype=np.uint8)
    choices = ("invoice", "letter")
    specs = [
        *(FieldSpec(name=kind, type=kind) for kind in TYPED),
        FieldSpec(name="kind", choices=choices),
        FieldSpec(name="text"),
    ]
    config = GenerationConfig(temperature=1.5, seed=3, max_tokens=90)
    found = extract(vlm, specs, [page], generation=config)
    for spec in specs[:-1]:
        each = found[spec.name]
        assert Taker(vlm, spec.type, spec.choices).takes(each.text), each
        # the confidence is the model's own: it would have said something else
        assert 0 < each.confidence < 0.5
    free = vlm.ask(specs[-1].asked, page, generation=config).text
    assert found["text"].text == free.strip(), "a text is free"
    assert not any(Taker(vlm, kind).takes(free) for kind in TYPED)
