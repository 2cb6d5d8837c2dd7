"""The rules answer rightly from true text; what Tesseract writes is taken apart rightly."""

import numpy as np
import pytest
from PIL import Image

from latentvlm.data.synthetic.questions import NOT_IN_DOCUMENT
from latentvlm.errors import MissingDependencyError
from latentvlm.eval.documents import document_samples
from latentvlm.eval.metrics import character_error_rate, exact_match
from latentvlm.eval.ocr import Line, Tesseract, Word, parse_tsv, prepare, split_cells
from latentvlm.eval.rival import Rival, answer, number
from latentvlm.eval.rival_questions import parse_question

RECEIPT = [
    "Onyx Bakery", "Receipt no: 740/834", "Served by: Tara Moreau", "Toy car ¥38.28",
    "2 x Glass jar ¥1,107.32", "Ink ¥6.48", "Total: ¥1,152.08",
]  # fmt: skip
LIST = ["Guest list", "Guest Table City", "Amir Hill 13 Madrid", "Leo Nowak 7 Bergen"]
LETTER = ["17/01/2037", "Dear Chen Bapru,", "Order 2614-EJ comes to EUR 42.36.", "Sam Prily"]


@pytest.mark.parametrize(
    ("lines", "question", "expected"),
    [
        (RECEIPT, "What is the receipt number?", "740/834"),
        (RECEIPT, "I need the total amount.", "¥1,152.08"),
        (RECEIPT, "Who knows?", "\n".join(RECEIPT)),
        (RECEIPT, "Read all the text.", "\n".join(RECEIPT)),
        (RECEIPT, "What is the company?", "Onyx Bakery"),
        (RECEIPT, "What is the price of Glass jar?", "¥1,107.32"),
        (RECEIPT, "Which item has the price ¥6.48?", "Ink"),
        (RECEIPT, "Which item has the highest price?", "Glass jar"),
        (RECEIPT, "Where is the price lowest?", "Ink"),
        (RECEIPT, "Toy car or Ink: which has the higher price?", "Toy car"),
        (RECEIPT, "How many items are there?", "3"),
        (RECEIPT, "How many lines does it have?", "7"),
        (RECEIPT, "Read the second line.", "Receipt no: 740/834"),
        (RECEIPT, "Type the last line.", "Total: ¥1,152.08"),
        (RECEIPT, "Is the total ¥1,152.08?", "Yes"),
        (RECEIPT, "Is the total ¥1,152.09?", "No"),
        (RECEIPT, "Is there an email?", "No"),
        (RECEIPT, "Is Toy car listed?", "Yes"),
        (RECEIPT, "Do you see Lamp shade?", "No"),
        (RECEIPT, "What is the due date?", NOT_IN_DOCUMENT),
        (RECEIPT, "What is the price of Lamp shade?", NOT_IN_DOCUMENT),
        (LIST, "What is the city for Amir Hill?", "Madrid"),
        (LIST, "Which guest has 7 as its table?", "Leo Nowak"),
        (LIST, "Count the guests.", "2"),
        (LETTER, "What is the date?", "17/01/2037"),
        (LETTER, "Find the recipient.", "Chen Bapru"),
        (LETTER, "Find the sender.", "Sam Prily"),
        (LETTER, "Order number?", "2614-EJ"),
        (LETTER, "What is the total?", "EUR 42.36"),
        (["Total", "12.50", "Tel: 677-559-5613 Room: 12"], "What is the room?", "12"),
        (["Total", "12.50", "Tel: 677-559-5613 Room: 12"], "What is the total?", "12.50"),
        (["Totai: 12.50"], "What is the total?", "12.50"),
    ],
)
def test_rules_on_worked_pages(lines: list[str], question: str, expected: str) -> None:
    assert answer(question, [Line((line,)) for line in lines]) == expected


class TrueText:
    """Recognises nothing: it knows what is printed."""

    name = "truth"

    def __init__(self, samples):
        self.lines = {
            id(s.request.image): [Line((text,)) for text in s.document_text.split("\n")]
            for s in samples
        }
        self.pages = 0

    def read(self, images):
        self.pages += len(images)
        return [self.lines[id(image)] for image in images]


def test_with_true_text_the_rules_are_nearly_always_right() -> None:
    samples = document_samples(("lines", "small"), limit=60)
    reader = TrueText(samples)
    rival = Rival(reader)
    responses = list(rival.generate(sample.request for sample in samples))
    assert rival.name == "truth + rules"
    assert [r.id for r in responses] == [s.id for s in samples]
    right = [exact_match(r.text, s.golds) for r, s in zip(responses, samples, strict=True)]
    assert sum(right) / len(right) >= 0.95
    assert reader.pages < len(samples) / 2, "questions about a page share its text"


def test_every_question_is_understood() -> None:
    for sample in document_samples(("lines", "small"), limit=80):
        assert parse_question(sample.request.question) is not None, sample.request.question
    asked = parse_question("Whose score is higher, Ann Lee or Bo Ek?")
    assert asked is not None
    assert (asked.what, asked.slots["a"], asked.slots["b"]) == ("versus", "Ann Lee", "Bo Ek")


def test_numbers_of_any_notation() -> None:
    assert number("¥1,107.32") == number("1.107,32") == number("CHF 1107,32") == 1107.32
    assert number("56") == 56
    assert number("") == 0


def test_tsv_becomes_lines_of_cells_page_by_page() -> None:
    head = "level\tpage_num\tblock_num\tpar_num\tline_num\tword_num\tleft\ttop\twidth\theight"
    rows = [
        (5, 1, 1, 1, 1, 1, 10, 0, 30, 12, 96, "Total"),
        (5, 1, 1, 1, 1, 2, 90, 0, 40, 12, 96, "12.50"),
        (4, 1, 1, 1, 2, 0, 0, 20, 99, 12, -1, ""),
        (5, 1, 1, 1, 2, 1, 10, 20, 30, 12, 90, "a"),
        (5, 1, 1, 1, 2, 2, 44, 20, 30, 12, 90, "b"),
        (5, 3, 1, 1, 1, 1, 10, 0, 30, 12, 90, "c"),
        (5, 3, 1, 1, 1, 2, 50, 0, 30, 12, 95, " "),
    ]
    table = "\n".join(["\t".join((head, "conf", "text")), *("\t".join(map(str, r)) for r in rows)])
    assert parse_tsv(table) == {1: [Line(("Total", "12.50")), Line(("a b",))], 3: [Line(("c",))]}
    assert parse_tsv("") == {}
    assert split_cells([Word("b", 20, 0, 30, 9), Word("a", 0, 0, 15, 9)]) == ["a b"]


def test_rules_are_wiped_out_and_type_is_not() -> None:
    page = np.full((60, 80, 3), 250, dtype=np.uint8)
    page[10, 5:75] = 0
    page[5:55, 40] = 90
    page[20:34, 20:22] = 0
    ready = np.array(prepare(page).resize((100, 80), Image.Resampling.BOX))
    assert ready[30 + 2 : 44 - 2, 30:32].max() < 100, "a stroke of 14 pixels stays"
    ready[28:46, 27:35] = 250
    assert ready.min() > 200


def test_a_missing_program_is_named() -> None:
    with pytest.raises(MissingDependencyError, match="no-such-program.*apt-get install tesseract"):
        Tesseract("no-such-program")


@pytest.mark.slow
def test_the_real_program_reads_crisp_lines() -> None:
    reader = Tesseract()
    samples = document_samples(("line-one-font",), limit=20)
    pages = reader.read([sample.request.image for sample in samples])
    texts = [" ".join(line.text for line in page) for page in pages]
    pairs = [(text, sample.golds[0]) for text, sample in zip(texts, samples, strict=True)]
    assert character_error_rate(pairs) < 0.1
    assert reader.read([]) == []
