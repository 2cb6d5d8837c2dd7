"""What the strict profile promises, and how the others differ from it, on worked answers."""

import subprocess
import sys

import pytest

from latentvlm.errors import ConfigError, DataError, InputError
from latentvlm.eval.extract import strict_letter, without_thinking
from latentvlm.eval.metrics import (
    METRICS,
    Gold,
    Grade,
    Outcome,
    Profile,
    generalized_f1,
    logic_score,
    macro_mean,
    mean,
    ocrbench_v2_totals,
    outcomes,
    relevance_score,
)

# No kit has a function of its own for these, or it asks a judge model.
FEWER_PROFILES = {
    "choice": {Profile.LMMS_EVAL, Profile.VLMEVALKIT, Profile.STRICT},
    "egoschema": {Profile.LMMS_EVAL, Profile.STRICT},
}
OPTIONS = ("A red cup", "The dog", "Blue", "Steel")
LABELS = ("Caption A", "Caption B", "Caption C", "Caption D")


def grade(metric: str, prediction: str, gold: Gold, profile: str = "strict") -> Grade:
    return METRICS[metric].grade(prediction, gold, profile=profile)


def example(metric: str) -> tuple[str, Gold]:
    """A right answer and its gold."""
    if metric == "ocrbench_v2":
        return "steel", Gold(answers=("steel",), kind="reasoning VQA en")
    if metric == "mmlongbench_doc":
        return "steel", Gold(answers=("steel",), kind="Str")
    if metric == "yes_no":
        return "Yes, it is.", Gold(answers=("yes",))
    if metric == "tempcompass_captions":
        return "D", Gold(answers=("D",), options=OPTIONS, texts=LABELS)
    if METRICS[metric].name in (
        "AI2D",
        "EgoSchema",
        "TempCompass",
        "multiple choice",
        "MMMU",
        "MLVU",
        "MVBench",
        "LongVideoBench",
    ) or (metric.startswith("video")):
        return "D", Gold(answers=("D",), options=OPTIONS)
    return "steel", Gold(answers=("steel",) * 10)


@pytest.mark.parametrize("metric", sorted(METRICS))
def test_strict_reports_what_it_cannot_grade_and_counts_it_as_wrong(metric: str) -> None:
    prediction, gold = example(metric)
    right = grade(metric, prediction, gold)
    empty = grade(metric, " \n", gold)
    cut_off = METRICS[metric].grade(prediction, gold, is_cut_off=True)
    assert (right.score, right.outcome) == (1.0, Outcome.GRADED)
    assert (empty.score, empty.outcome, empty.counts) == (0.0, Outcome.EMPTY, True)
    assert (cut_off.score, cut_off.outcome, cut_off.counts) == (0.0, Outcome.CUT_OFF, True)
    assert mean([right, empty, cut_off]) == pytest.approx(1 / 3)
    assert outcomes([right, empty]) == {"graded": 1, "empty": 1, "unparsed": 0, "cut_off": 0}


@pytest.mark.parametrize("field", ["answers", "options", "texts"])
def test_a_text_is_no_list_of_texts(field: str) -> None:
    with pytest.raises(InputError, match=f"Gold.{field} is the text 'paris'"):
        Gold(**{field: "paris"})  # type: ignore[arg-type]


def test_what_cannot_be_graded_says_so() -> None:
    with pytest.raises(InputError, match="grades a text, not a NoneType"):
        METRICS["anls"].grade(None, Gold(answers=("paris",)))  # type: ignore[arg-type]
    with pytest.raises(InputError, match="needs the answers of the annotators"):
        grade("vqa_accuracy", "paris", Gold())


@pytest.mark.parametrize("gold", [
    Gold(answers=("B",)), Gold(answers=("E",), options=OPTIONS), Gold(options=OPTIONS),
])  # fmt: skip
def test_a_gold_that_is_no_option_is_not_graded_as_wrong(gold: Gold) -> None:
    for profile in Profile:
        with pytest.raises(DataError, match="needs the letter of an option"):
            grade("video_mme", "B", gold, profile)


def test_an_answer_format_that_is_none_is_named() -> None:
    for profile in Profile:
        with pytest.raises(InputError, match="has no answer format 'Integer'"):
            grade("mmlongbench_doc", "5", Gold(answers=("5",), kind="Integer"), profile)


@pytest.mark.parametrize(
    ("prediction", "gold", "is_same"),
    [
        ("1,234.50 EUR", "1234.50 eur", True),
        ("$5", "5.00", True),
        ("**Yes.**", "yes", True),
        ("<think>no</think> Yes", "yes", True),
        ("5 kg", "5 lb", False),
        ("5", "5.2", False),
        ("2024-03-17", "2024-03-18", False),
        ("12 of 13", "12", False),
        ("", "", False),
        ("-5", "5", False),
        ("1 234", "1234", True),
    ],
)
def test_an_answer_says_the_same(prediction: str, gold: str, is_same: bool) -> None:
    assert grade("answer", prediction, Gold(answers=("x y", gold))).score == is_same


@pytest.mark.parametrize(
    ("prediction", "gold", "official", "strict"),
    [
        ("10.4", Gold(answers=("10",)), 1.0, 1.0),
        ("2013", Gold(answers=("2012",), texts=("YES",)), 0.0, 0.0),
        ("1,000", Gold(answers=("1000",)), 0.8, 1.0),
        ("['5', 'Spain']", Gold(answers=("[5, Spain]",)), 1.0, 1.0),
        ("5", Gold(answers=("[5, 6]",)), 0.5, 0.5),
        ("true", Gold(answers=("False",), kind="Fact Checking"), 0.0, 0.0),
    ],
)
def test_chartqapro_grades_item_by_item(
    prediction: str, gold: Gold, official: float, strict: float
) -> None:
    assert grade("chartqapro", prediction, gold, "official").score == official
    assert grade("chartqapro", prediction, gold).score == strict


def test_yes_or_no_is_the_first_word() -> None:
    no = Gold(answers=("no",))
    assert grade("yes_no", "Nothing moves", no, "official").score == 1.0
    assert grade("yes_no", "Nothing moves", no).outcome == Outcome.UNPARSED
    assert grade("yes_no", "Yes or no", no).outcome == Outcome.UNPARSED
    assert grade("yes_no", "**No**, it stays", no).score == 1.0


@pytest.mark.parametrize("metric", sorted(METRICS))
def test_every_metric_has_every_profile(metric: str) -> None:
    prediction, gold = example(metric)
    assert set(METRICS[metric].graders) == FEWER_PROFILES.get(metric, set(Profile))
    for profile in METRICS[metric].graders:
        expected = 0.0 if (metric, profile) == ("mmmu_open", Profile.LMMS_EVAL) else 1.0
        assert grade(metric, prediction, gold, profile).score == expected, profile


def test_an_unknown_profile_is_named() -> None:
    with pytest.raises(ConfigError, match="no profile 'lenient'; choose one of lmms-eval"):
        grade("anls", "a", Gold(answers=("a",)), "lenient")


@pytest.mark.parametrize(
    ("reply", "letter"),
    [
        ("B", "B"),
        (" (b). ", "B"),
        ("**C**", "C"),
        ("B. The dog", "B"),
        ("(D) because of it", "D"),
        ("the dog", "B"),
        ("A red cup.", "A"),
        ("Based on the video, the answer is C.", "C"),
        ("The correct answer is **B** because it barks", "B"),
        ("Final answer: \\boxed{D}", "D"),
        ("<think>A. B. The answer is A.</think>\nAnswer: C", "C"),
        ("A man walks", None),
        ("The answer is A cup", None),
        ("Option A or option B", None),
        ("The answer is B or C", None),
        ("The answer is A because of it", "A"),
        ("The answer is A. No, the answer is B.", None),
        ("A. red\nB. blue", None),
        ("I would not choose option A", None),
        ("Option A is wrong. Option B is wrong. It must be D", None),
        ("B. is wrong", None),
        ("(B) no", None),
        ("The answer is B, which is wrong", None),
        ("Option B", "B"),
        ("The correct option is B", "B"),
        ("It is not blue. The answer is B.", "B"),
        ("E", None),
        ("I cannot see", None),
        ("<think>B. it goes on", None),
    ],
)
def test_strict_reads_one_letter_or_none(reply: str, letter: str | None) -> None:
    assert strict_letter(reply, OPTIONS) == letter


@pytest.mark.parametrize(
    ("reply", "published", "strict"),
    [
        ("Sentence 2: a dog", 1, 1),
        ("Sentence 2", 1, 1),
        ("2", 1, 1),
        ("2.", 1, 1),
        ("a dog", 1, 1),
        ("2) a dog", 1, 1),
        ("1) Sentence 2", 0, 0),  # The text behind a bracket is read where it is a caption.
        ("sentence 2.", 0, 1),
        ("**Sentence 2**", 0, 1),
        ("The answer is Sentence 2.", 0, 1),
        ("A dog.", 0, 1),
        ("2 dogs", 0, 0),
        ("Sentence 1 or Sentence 2", 0, 0),
        ("It is not Sentence 2", 0, 0),
        ("Sentence 1: a dog", 0, 0),
        ("B", 0, 1),
    ],
)
def test_a_caption_is_told_by_its_label_or_its_text(
    reply: str, published: int, strict: int
) -> None:
    labels = ("Sentence 1", "Sentence 2")
    gold = Gold(answers=("B",), options=("a cat", "a dog"), texts=labels)
    for profile in ("official", "lmms-eval", "vlmevalkit"):
        assert grade("tempcompass_captions", reply, gold, profile).score == published, profile
    assert grade("tempcompass_captions", reply, gold).score == strict


def test_captions_that_are_the_same_are_both_right_and_labels_are_needed() -> None:
    gold = Gold(answers=("A",), options=("a cat", "a cat"), texts=("Option B", "Option A"))
    assert grade("tempcompass_captions", "a cat", gold, "official").score == 1
    assert grade("tempcompass_captions", "a cat", gold).outcome == Outcome.UNPARSED
    assert grade("tempcompass_captions", "Option B", gold).taken == "A"
    for profile in Profile:
        with pytest.raises(DataError, match="a label of each"):
            grade("tempcompass_captions", "A", Gold(answers=("A",), options=("x", "y")), profile)


def test_an_option_may_itself_say_no() -> None:
    for reply in ("B. No", "Answer: (B) No"):
        assert strict_letter(reply, ("Yes", "No")) == "B"


def test_reasoning_is_no_answer() -> None:
    assert without_thinking("<think>a</think> b") == "b"
    assert without_thinking("a</think>b") == "b"
    assert without_thinking("<think>a") == ""


def test_the_kits_quirks_that_strict_has_not() -> None:
    gold = Gold(answers=("C",), options=OPTIONS)
    flawed = "Based on the video, the answer is C."
    assert grade("video_mme", flawed, gold, "vlmevalkit").taken == "B"
    assert grade("video_mme", flawed, gold).score == 1
    guess = grade("longvideobench", "no idea", gold, "lmms-eval")
    assert (guess.score, guess.chance, guess.outcome) == (0.0, 0.25, Outcome.UNPARSED)
    empty = grade("mvbench", "", gold, "lmms-eval")
    assert mean([Grade(score=1.0), empty]) == 1.0
    assert grade("mvbench", "", gold, "vlmevalkit").score == 1
    assert grade("mvbench", "The person holds a cup, so C", gold, "lmms-eval").taken == "A"


@pytest.mark.parametrize(
    ("prediction", "gold", "official", "strict"),
    [
        ("1,000", "1000", 0, 1),
        ("$5", "5", 0, 1),
        ("5", "5%", 0, 1),
        ("0.05", "5%", 1, 1),
        ("0.0", "0", 0, 1),
        ("Yes.", "Yes", 0, 1),
        ("104", "100", 1, 1),
        ("106", "100", 0, 0),
        ("-5", "5", 0, 0),
        ("1,00", "100", 0, 0),
    ],
)
def test_numbers_of_charts(prediction: str, gold: str, official: int, strict: int) -> None:
    golds = Gold(answers=(gold,))
    assert grade("relaxed_accuracy", prediction, golds, "official").score == official
    assert grade("relaxed_accuracy", prediction, golds).score == strict


def test_strict_finds_whole_words_only() -> None:
    year = Gold(answers=("12",))
    assert grade("ocrbench", "in 2012", year, "official").score == 1
    assert grade("ocrbench", "in 2012", year).score == 0
    assert grade("ocrbench", "in 2012, 12 times", year).score == 1
    assert grade("ocrbench", "共12元", year).score == 1


def test_blanks_around_a_wrong_answer_do_not_make_it_less_wrong() -> None:
    gold = Gold(answers=("abcd",))
    assert grade("anls", "abxy", gold, "official").score == 0.5
    assert grade("anls", "abxyz", gold, "official").score == 0
    assert grade("anls", "abxyz   ", gold, "official").score == pytest.approx(1 - 3 / 8)
    assert grade("anls", "abxyz   ", gold).score == 0


def test_scores_that_are_no_plain_mean() -> None:
    assert (
        macro_mean([("a", Grade(score=1.0)), ("a", Grade(score=1.0)), ("b", Grade(score=0.0))])
        == 0.5
    )
    assert relevance_score([True, True, True, False]) == pytest.approx(9 / 16)
    assert logic_score([True, False, True, True], "[1, 2, 3, 4]") == pytest.approx(1 / 16)
    assert logic_score([True, False, True, True], "[1, [2, 3], 4]") == pytest.approx(4 / 12)
    assert logic_score([False, True, True, True], "[[1, 2], 3, 4]") == pytest.approx(1 / 10)
    assert logic_score([True] * 4, "[[1, 2], 3, 4]") == 1
    samples = [("text recognition en", 1.0), ("full-page OCR en", 0.0), ("science QA en", 1.0)]
    graded = [(kind, Grade(score=score)) for kind, score in samples]
    assert ocrbench_v2_totals(graded) == {"en": pytest.approx(0.75)}
    assert ocrbench_v2_totals(graded, Profile.LMMS_EVAL) == {"en": pytest.approx(2 / 3)}
    documents = [
        (Grade(score=1.0), "x", "x"),
        (Grade(score=0.0), "y", "Not answerable"),
        (Grade(score=1.0), "Not answerable", "Not answerable"),
    ]
    assert generalized_f1(documents) == pytest.approx(2 * 1 * 0.5 / 1.5)


def test_without_lxml_tables_say_what_to_install() -> None:
    code = (
        "import sys; sys.modules['lxml'] = None\n"
        "from latentvlm.errors import MissingDependencyError\n"
        "from latentvlm.eval.metrics.teds import teds\n"
        "try:\n    teds('<table>', '<table>')\n"
        "except MissingDependencyError as error:\n    print(error)\n"
    )
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert 'pip install "latentvlm[eval]"' in said.stdout
