"""OCRBench v2: thirty types of task in two languages, each with a metric of its own.

L. Fu et al., "OCRBench v2: an improved benchmark for evaluating large multimodal models on visual
text localization and reasoning", NeurIPS 2025 (datasets track), section 4.
"""

import re
from collections import defaultdict
from collections.abc import Callable, Iterable

from ...errors import InputError
from ..extract import without_thinking
from .boxes import (
    corners_to_box,
    iou,
    position_iou,
    read_box,
    read_spots,
    spotting_f1,
)
from .edits import normalize, similarity
from .grade import Gold, Grade, Grader, Metric, Profile, unparsed
from .key_information import key_information_f1, read_golds, read_pairs
from .ocrbench import formula_form, holds
from .page_text import Language, page_text_score
from .teds import chart_teds, html_teds, markdown_teds, outline_similarity

# Task type without its language -> the group that its score is averaged in.
GROUPS = {
    "text recognition": "text recognition",
    "fine-grained text recognition": "text recognition",
    "full-page OCR": "text recognition",
    "text grounding": "text detection",
    "VQA with position": "text detection",
    "text spotting": "text spotting",
    "key information extraction": "relationship extraction",
    "key information mapping": "relationship extraction",
    "handwritten answer extraction": "relationship extraction",
    "document parsing": "element parsing",
    "chart parsing": "element parsing",
    "table parsing": "element parsing",
    "formula recognition": "element parsing",
    "math QA": "mathematical calculation",
    "text counting": "mathematical calculation",
    "document classification": "visual text understanding",
    "cognition VQA": "visual text understanding",
    "diagram QA": "visual text understanding",
    "reasoning VQA": "knowledge reasoning",
    "science QA": "knowledge reasoning",
    "APP agent": "knowledge reasoning",
    "ASCII art classification": "knowledge reasoning",
    "text translation": "knowledge reasoning",
}
_TEXT_TAG = re.compile(r"\\text\{([^{}]*)\}")
_JOINS = ("", ".", ". ", ",", ", ", "、", ";", "; ", " ", "和")
Found = Callable[[str, str], bool]


def _within(prediction: str, answer: str) -> bool:
    return answer in prediction


def _plain(text: str) -> str:
    return text.strip().replace("\n", " ")


def _words(prediction: str, gold: Gold, found: Found) -> float:
    """A short answer stands in the reply; a long one is near to it (ANLS of at least one half)."""
    if gold.rule == "multiple choice":
        letters = "".join(char for char in prediction if char.isalpha())
        return float(letters == str(gold.answers[0]))
    lower = (lambda text: text) if gold.rule == "case sensitive" else str.lower
    is_chinese = gold.kind.endswith(" cn") and gold.rule != "case sensitive"
    separator, longest = (",", 3) if is_chinese else (None, 4)
    best = 0.0
    for answer in map(str, gold.answers):
        pair = [_plain(lower(text)) for text in (prediction, answer)]
        if is_chinese:
            pair = [text.replace(" ", "") for text in pair]
        if len(pair[1].split(separator)) <= longest:
            best = max(best, float(found(*pair)))
        elif (near := similarity(*pair)) >= 0.5:
            best = max(best, near)
    return best


def _counting(prediction: str, gold: Gold, found: Found) -> float:
    """The number stands in the reply; or, of a regression, how near the reply's first number is."""
    best = 0.0
    for answer in (_plain(str(answer).lower()) for answer in gold.answers):
        if gold.rule == "exact match":
            best = max(best, float(found(prediction, answer)))
        elif first := re.search(r"\d+", prediction):
            number, target = int(first.group()), int(answer)
            if 0 < number < 2 * target:
                near = 1 - abs(number - target) / target
                best = max(best, near if near > 0.5 else 0.0)
    return best


def _formula(prediction: str, gold: Gold) -> float:
    tagged = gold.kind.endswith(" cn")
    predicted, *answers = (
        formula_form(_TEXT_TAG.sub(r"\1", text) if tagged else text)
        for text in (prediction, *gold.answers)
    )
    return float(any(answer in predicted for answer in answers))


def _short_answers(prediction: str, gold: Gold, language: Language) -> float:
    """Handwritten answers: letters in a row with any separator, or a text where one was asked."""
    if "简答" in gold.question:
        return page_text_score(prediction, gold.answers[0], language)
    return float(any(join.join(gold.answers[0]) in prediction for join in _JOINS))


def _table(prediction: str, gold: Gold) -> float:
    question = gold.question.lower()
    if gold.kind.endswith(" cn") or "html" in question:
        return html_teds(prediction, gold.answers[0])
    if "markdown" in question:
        return markdown_teds(prediction, gold.answers[0])
    return 0.0


def _key_information(prediction: str, gold: Gold) -> float | Grade:
    pairs = read_pairs(prediction)
    score = key_information_f1(pairs, read_golds(gold.answers[0]))
    return score if pairs else Grade(score=score, outcome=unparsed().outcome)


def _grounding(prediction: str, gold: Gold) -> float | Grade:
    box = read_box(prediction)
    return iou(box, gold.boxes[0]) if box else unparsed()


def _position(prediction: str, gold: Gold, found: Found) -> float | Grade:
    """Half for what it says, half for where it says that this stands."""
    pairs = read_pairs(prediction)
    if not pairs:
        return unparsed()
    words = _words(pairs["answer"], gold, found) if "answer" in pairs else 0.0
    place = position_iou(pairs["bbox"], gold.boxes[0]) if "bbox" in pairs else 0.0
    return 0.5 * words + 0.5 * place


def _spotting(prediction: str, gold: Gold) -> float | Grade:
    spots = read_spots(prediction)
    golds = [(corners_to_box(box), text) for box, text in zip(gold.boxes, gold.texts, strict=True)]
    return spotting_f1(spots, golds) if spots else unparsed()


def _page(prediction: str, gold: Gold, language: Language) -> float:
    return page_text_score(prediction, gold.answers[0], language) if prediction else 0.0


def _grader(language: Language, found: Found, *, ignores_empty_golds: bool = False) -> Grader:
    def grade(prediction: str, gold: Gold) -> Grade | float:
        match gold.kind.rpartition(" ")[0]:
            case "text counting":
                return _counting(prediction, gold, found)
            case "formula recognition":
                return _formula(prediction, gold)
            case "handwritten answer extraction":
                return _short_answers(prediction, gold, language)
            case "table parsing":
                return _table(prediction, gold)
            case "chart parsing":
                return chart_teds(prediction, gold.answers[0])
            case "document parsing":
                return outline_similarity(prediction, gold.answers[0])
            case "key information extraction" | "key information mapping":
                return _key_information(prediction, gold)
            case "VQA with position":
                return _position(prediction, gold, found)
            case "text grounding":
                return _grounding(prediction, gold)
            case "text spotting":
                return _spotting(prediction, gold)
            case "text translation" if ignores_empty_golds and not gold.answers[0]:
                return Grade(score=0.0, counts=False)
            case "text translation" | "fine-grained text recognition" | "full-page OCR":
                return _page(prediction, gold, language)
            case kind if kind in GROUPS:
                return _words(prediction, gold, found)
        raise InputError(f"OCRBench v2 has no task type {gold.kind!r}.")

    return grade


def _strict(language: Language) -> Grader:
    """The same measures for the reply without its reasoning; short answers as whole words.

    Page text is one minus the edits over the longer text: one number that needs no dictionary.
    """
    by_type = _grader(language, holds)
    pages = {"text translation", "fine-grained text recognition", "full-page OCR"}

    def grade(prediction: str, gold: Gold) -> Grade | float:
        reply = without_thinking(prediction)
        if not reply:
            return unparsed()
        kind = gold.kind.rpartition(" ")[0]
        if kind in pages or (kind.startswith("handwritten") and "简答" in gold.question):
            return similarity(normalize(reply), normalize(gold.answers[0]))
        return by_type(reply, gold)

    return grade


def ocrbench_v2(language: Language) -> Metric:
    """The metric; `Language()` takes words from the packages of the `eval` extra."""
    official = _grader(language, _within, ignores_empty_golds=True)
    return Metric(
        name="OCRBench v2",
        graders={
            Profile.LMMS_EVAL: _grader(language, _within),
            Profile.VLMEVALKIT: official,
            Profile.OFFICIAL: official,
            Profile.STRICT: _strict(language),
        },
    )


OCRBENCH_V2 = ocrbench_v2(Language())


def ocrbench_v2_totals(
    graded: Iterable[tuple[str, Grade]], profile: Profile = Profile.STRICT
) -> dict[str, float]:
    """Scores of the English and the Chinese half.

    Args:
        graded: (task type, grade) of every sample.
        profile: `lmms-eval` takes the mean over samples; all others take the mean over the groups'
            means, as the authors do.

    Returns:
        `{"en": score, "cn": score}`, without a language that has no sample.
    """
    groups: dict[str, dict[str, list[float]]] = {"en": defaultdict(list), "cn": defaultdict(list)}
    for kind, grade in graded:
        task, _, language = kind.rpartition(" ")
        if grade.counts:
            groups[language][GROUPS[task]].append(grade.score)
    totals = {}
    for language, scores in groups.items():
        if profile == Profile.LMMS_EVAL:
            parts = [score for group in scores.values() for score in group]
        else:
            parts = [sum(group) / len(group) for group in scores.values()]
        if parts:
            totals[language] = sum(parts) / len(parts)
    return totals
