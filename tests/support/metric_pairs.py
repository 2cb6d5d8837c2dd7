"""Predictions and golds to try metrics on, the same for the same seed on every machine.

The scores that two published kits give to these are recorded (`record_kit_scores.py`), so a change
here needs them to be recorded again.
"""

import random
from collections.abc import Callable, Iterator

from latentvlm.eval.metrics import Gold

_TEXT = (
    "a the an is red blue cup dog cats street house total invoice date company paid quick Quickly "
    "running runs largest big steel 24 2012 1,234 3.5 0.05 12% $5 Yes No none two dont can't it's "
    "Café straße John's U.S. A B C D ten page p.m. buy purchase car automobile show display"
)
WORDS = _TEXT.split()
CHINESE = (
    "总金额",
    "发票",
    "日期",
    "公司",
    "今天天气很好",
    "北京大学",
    "甲",
    "乙",
    "一百二十元",
    "的",
)
OPTION_TEXTS = (
    "A red cup",
    "the dog",
    "blue",
    "12 meters",
    "None of the above.",
    "Paris, France",
    "It runs",
    "steel",
    "Other",
    "B cells",
)
MARKS = (
    ".",
    ",",
    "!",
    "?",
    ";",
    ":",
    "'",
    '"',
    "(",
    ")",
    "-",
    "/",
    "%",
    "\n",
    "\t",
    "  ",
    "_",
    "*",
)


def phrase(rng: random.Random, most: int = 6) -> str:
    return " ".join(rng.choices(WORDS, k=rng.randint(1, most)))


def mutated(rng: random.Random, text: str) -> str:
    """The text with some changes of the kind that models make."""
    for _ in range(rng.choice((0, 1, 1, 2, 3))):
        at = rng.randint(0, len(text))
        kind = rng.randrange(9)
        if kind == 0:
            text = text[:at] + rng.choice(MARKS) + text[at:]
        elif kind == 1:
            text = text[:at] + text[at + 1 :]
        elif kind == 2:
            text = text.swapcase() if rng.random() < 0.5 else text.upper()
        elif kind == 3:
            text = f"{rng.choice(('The answer is ', 'Answer: ', 'so ', ' ', chr(10)))}{text}"
        elif kind == 4:
            text = f"{text}{rng.choice(('.', ' ', '%', chr(10), ' meters', ' because of it'))}"
        elif kind == 5:
            text = text[:at] + rng.choice(("x", "0", "é", " ")) + text[at:]
        elif kind == 6:
            text = f"{text} {phrase(rng, 3)}"
        elif kind == 7:
            text = text.replace(" ", rng.choice(("  ", "", " ")))
        else:
            text = text.lower()
    return text


def answered(rng: random.Random, gold: str) -> str:
    draw = rng.random()
    if draw < 0.03:
        return rng.choice(("", " ", "\n"))
    return mutated(rng, gold) if draw < 0.75 else phrase(rng)


def number(rng: random.Random) -> str:
    value = rng.choice((0, 1, 2, 5, 24, 100, 1234, 3.5, 0.05, 12.25, 99.5, 1000000))
    if rng.random() < 0.4:
        value = round(value * rng.choice((0.94, 0.95, 0.96, 1.005, 1.05, 1.051, 1.1)), 4)
    text = f"{value:,}" if rng.random() < 0.2 else str(value)
    before = rng.choice(("", "", "", "", "$", "-", "+", " ", "about "))
    return before + text + rng.choice(("", "", "", "%", " %", ".", ".0", "e2", " million"))


def text_pair(rng: random.Random) -> tuple[str, Gold]:
    golds = tuple(phrase(rng) for _ in range(rng.randint(1, 3)))
    return answered(rng, rng.choice(golds)), Gold(answers=golds)


def one_gold(rng: random.Random) -> tuple[str, Gold]:
    prediction, gold = text_pair(rng)
    return prediction, Gold(answers=gold.answers[:1])


def chart_pair(rng: random.Random) -> tuple[str, Gold]:
    if rng.random() < 0.3:
        return one_gold(rng)
    gold = number(rng)
    prediction = mutated(rng, gold) if rng.random() < 0.5 else number(rng)
    return prediction, Gold(answers=(gold,))


def vqa_pair(rng: random.Random) -> tuple[str, Gold]:
    base = [phrase(rng, 2) for _ in range(3)]
    golds = tuple(mutated(rng, rng.choice(base)) for _ in range(10))
    return answered(rng, rng.choice(golds)), Gold(answers=golds)


def document_pair(rng: random.Random) -> tuple[str, Gold]:
    kind = rng.choice(("Int", "Float", "Str", "List", "None"))
    if kind == "None":
        gold = "Not answerable"
    elif kind == "Int":
        gold = str(rng.randint(0, 30))
    elif kind == "Float":
        gold = rng.choice(("3.5", "12%", "0.05", "$5.25", "99.5", "100.0", "7.123"))
    elif kind == "Str":
        special = ("page 3", "https://a.b", "run.py", "2012-05", "2012-05-03", "3 p.m.", "x@y.org")
        gold = rng.choice(special) if rng.random() < 0.4 else phrase(rng, 3)
    else:
        items = [rng.choice((phrase(rng, 2), str(rng.randint(0, 9)))) for _ in range(3)]
        prediction = [mutated(rng, item) if rng.random() < 0.3 else item for item in items]
        if rng.random() < 0.5:
            prediction = prediction[: rng.randint(1, 3)]
        rng.shuffle(prediction)
        written = str(prediction) if rng.random() < 0.8 else ", ".join(prediction)
        return written, Gold(answers=(str(items),), kind=kind)
    draw = rng.random()
    prediction = mutated(rng, gold) if draw < 0.7 else number(rng) if draw < 0.85 else phrase(rng)
    if rng.random() < 0.05:
        prediction = "Not answerable"
    return prediction, Gold(answers=(gold,), kind=kind)


def choice_pair(rng: random.Random, *, fewest: int = 2, most: int = 5) -> tuple[str, Gold]:
    options = tuple(rng.sample(OPTION_TEXTS, rng.randint(fewest, most)))
    letters = "ABCDEFGH"[: len(options)]
    letter, text = rng.choice(list(zip(letters, options, strict=True)))
    other = rng.choice("ABCDEFGHZ")
    forms = (
        f"{letter}",
        f"{letter}.",
        f"({letter})",
        f"{letter}. {text}",
        f"{letter}) {text}",
        f"({letter}) {text}",
        f"{letter}: {text}",
        f"The answer is {letter}.",
        f"The best answer is {letter}",
        f"Based on the video, the answer is {letter}.",
        f"Considering the clip, {letter}",
        f"The person holds a cup, so {letter}",
        f"Answer: {letter}",
        f"Final Answer: {letter}.",
        f"The correct option is **{letter}** and not {other}",
        f"I choose {other}. No, {letter}.",
        f"{text}",
        f"It is {text.lower()} that one sees there at the end of it",
        f"Both {letter} and {other} may be right, but {letter}. is my answer",
        f"<think>Maybe {other}.</think> {letter}",
        f"I'm sorry, but without the image provided I say {letter}",
        f"{letter.lower()}",
        f"答案是{letter}",
        "a cup on the table",
        "I can not see it at all, it is too dark for me to say",
        "Z",
        "Best answer:Best option:",
        "",
    )
    prediction = rng.choice(forms)
    if rng.random() < 0.3:
        prediction = mutated(rng, prediction)
    return prediction, Gold(answers=(rng.choice((letter, letters[0])),), options=options)


def items_pair(rng: random.Random) -> tuple[str, Gold]:
    """ChartQAPro: numbers, texts and lists of them, with marks for years."""
    kinds = ("Factoid", "Conversational", "Hypothetical", "Fact Checking", "Multi Choice")
    kind = rng.choice(kinds)
    years = rng.choice((("NO",), ("YES",), ("NO", "YES"), ("no", "NO", "yes")))
    if kind == "Conversational":
        years = years[-1:]  # the mark of its last question
    if rng.random() < 0.6:
        gold = number(rng) if rng.random() < 0.5 else rng.choice(("True", "b", "2012", phrase(rng)))
        prediction = number(rng) if rng.random() < 0.3 else mutated(rng, gold)
        if rng.random() < 0.1:
            prediction = rng.choice((f"[{gold}]", f"['{gold}']", "[]", "", f"{gold}.\n"))
        return prediction, Gold(answers=(gold,), kind=kind, texts=years)
    items = [rng.choice((phrase(rng, 2), number(rng), "2012")) for _ in range(rng.randint(1, 4))]
    guessed = [mutated(rng, item) if rng.random() < 0.4 else item for item in items]
    if rng.random() < 0.3:
        guessed = guessed[: rng.randint(1, 4)] + [phrase(rng, 1)] * rng.randint(0, 1)
    bare, quoted = "[{}]".format(", ".join(items)), str(items)
    forms = (str(guessed), "[{}]".format(", ".join(guessed)), ", ".join(guessed), f"{guessed}.")
    gold = rng.choice((bare, quoted, quoted))
    return rng.choice(forms), Gold(answers=(gold,), kind=kind, texts=years)


def yes_no_pair(rng: random.Random) -> tuple[str, Gold]:
    gold = rng.choice(("yes", "no"))
    other = rng.choice(("yes", "no", "Yes", "NO", "Nothing", "It is", "not", "yesterday", ""))
    forms = (gold, gold.capitalize(), f"{gold}.", f"{gold}, it does", f" {gold}", other)
    prediction = rng.choice((*forms, f"{other} {phrase(rng, 3)}", f"Answer: {gold}"))
    return mutated(rng, prediction) if rng.random() < 0.3 else prediction, Gold(answers=(gold,))


def caption_pair(rng: random.Random) -> tuple[str, Gold]:
    """Captions under labels, as TempCompass has them, and replies that repeat a part of them."""
    word = rng.choice(("Caption", "Sentence", "Option"))
    labels = tuple(f"{word} {name}" for name in rng.choice(("AB", "12", "ABC", "BA")))
    captions = tuple(f"{rng.choice(('', '', 'so: '))}{phrase(rng, 4)}" for _ in labels)
    if rng.random() < 0.05:
        captions = captions[:1] * len(labels)
    at, other = rng.randrange(len(labels)), rng.randrange(len(labels))
    label, caption, name = labels[at], captions[at], labels[at].split()[1]
    forms = (
        f"{label}: {caption}",
        label,
        f"{label}.",
        name,
        f"{name}.",
        f"({name}) {caption}",
        f"{name}) {caption}",
        f"({name}) {labels[other]}",
        caption,
        f"{caption}.",
        f"{name}: {caption}",
        f"The answer is {label}.",
        f"{label} and not {labels[other]}",
        f"{captions[other]}",
        f"{label.lower()}",
        f"It is {caption}",
        "neither",
        "",
    )
    prediction = rng.choice(forms)
    if rng.random() < 0.2:
        prediction = mutated(rng, prediction)
    gold = "ABC"[rng.choice((at, other))]
    return prediction, Gold(answers=(gold,), options=captions, texts=labels)


def eight_choices(rng: random.Random) -> tuple[str, Gold]:
    return choice_pair(rng, fewest=8, most=8)


def open_pair(rng: random.Random) -> tuple[str, Gold]:
    gold = rng.choice(("steel", "24", "3.14", "1,234", "red cup", "x", "-5", "the dog"))
    forms = (
        gold,
        f"The answer is {gold}.",
        f"It could be {gold}\nso the result is = {gold}",
        f"x = {gold}",
        f"Thus 7 is wrong.\nTherefore final answer {gold}",
        number(rng),
        phrase(rng),
    )
    prediction = rng.choice(forms)
    return mutated(rng, prediction) if rng.random() < 0.4 else prediction, Gold(answers=(gold,))


def ocr_pair(rng: random.Random) -> tuple[str, Gold]:
    prediction, gold = text_pair(rng)
    if rng.random() < 0.2:
        wide = {ord("a"): "ａ", ord("2"): "２", ord(" "): "　", ord("A"): "Ａ"}
        prediction = prediction.translate(wide)
    return prediction, Gold(answers=gold.answers, kind=rng.choice(("text", "text", "formula")))


# OCRBench v2, by what its task types are measured with.


def v2_words(rng: random.Random) -> tuple[str, Gold]:
    kind = rng.choice(
        ("reasoning VQA en", "cognition VQA cn", "math QA en", "formula recognition en")
        + ("formula recognition cn", "handwritten answer extraction cn")
    )
    if kind.startswith("handwritten"):
        gold = "".join(rng.choices("ABCD", k=rng.randint(1, 3)))
        joined = rng.choice(("", ".", ", ", "、", " ", "和", "-")).join(gold)
        return mutated(rng, joined), Gold(answers=(gold,), kind=kind, question="选择")
    rule = rng.choice(("", "", "multiple choice", "case sensitive"))
    if kind.startswith("formula"):
        gold = rng.choice((r"\frac{a}{b}", r"x^2 + \text{if} y", r"\text{总}=1"))
        return mutated(rng, gold), Gold(answers=(gold,), kind=kind)
    if rule == "multiple choice":
        gold = rng.choice("ABCD")
        return rng.choice((gold, f"({gold})", f"{gold}.", f"{gold} x", "")), Gold(
            answers=(gold,), kind=kind, rule=rule
        )
    golds = tuple(
        phrase(rng, 9)
        if kind.endswith("en")
        else ",".join(rng.choices(CHINESE, k=rng.randint(1, 6)))
        for _ in range(rng.randint(1, 2))
    )
    return answered(rng, golds[0]), Gold(answers=golds, kind=kind, rule=rule)


def v2_counting(rng: random.Random) -> tuple[str, Gold]:
    gold = str(rng.randint(1, 30))
    near = str(int(gold) + rng.randint(-6, 6))
    prediction = rng.choice((gold, near, f"There are {near} words", "none", "0", f"{near}{gold}"))
    rule = rng.choice(("exact match", "regression"))
    return prediction, Gold(answers=(gold,), kind="text counting en", rule=rule)


def _cells(rng: random.Random) -> list[list[str]]:
    width = rng.randint(1, 3)
    return [[phrase(rng, 2) for _ in range(width)] for _ in range(rng.randint(1, 4))]


def _changed(rng: random.Random, rows: list[list[str]]) -> list[list[str]]:
    rows = [[mutated(rng, cell) if rng.random() < 0.3 else cell for cell in row] for row in rows]
    if rng.random() < 0.3:
        rows = rows[: rng.randint(1, len(rows))]
    return rows if rng.random() < 0.9 else [row[:-1] for row in rows]


def _html(rng: random.Random, rows: list[list[str]]) -> str:
    span = rng.choice(("", "", "", ' colspan="2"'))
    bold = rng.choice(("", "", "b"))
    open_, close = (f"<{bold}>", f"</{bold}>") if bold else ("", "")
    body = "\n".join(
        "<tr>" + "".join(f"<td{span}>{open_}{cell}{close}</td>" for cell in row) + "</tr>"
        for row in rows
    )
    return rng.choice(
        ("<table>{}</table>", "<table><tbody>{}</tbody></table>", "<table>{}")
    ).format(body)


def _markdown(rows: list[list[str]]) -> str:
    flat = [[" ".join(cell.split()).replace("|", "") for cell in row] for row in rows]
    lines = ["| " + " | ".join(row) + " |" for row in flat]
    return "\n".join([lines[0], "|" + " --- |" * len(rows[0]), *lines[1:]])


def v2_tables(rng: random.Random) -> tuple[str, Gold]:
    rows = _cells(rng)
    changed = _changed(rng, rows)
    draw = rng.random()
    if draw < 0.45:
        kind = rng.choice(("table parsing en", "table parsing cn"))
        reply = rng.choice(("{}", "Here it is:\n{}", "<html><body>{}</body></html>", "no table"))
        return reply.replace("{}", _html(rng, changed)), Gold(
            answers=(_html(rng, rows),), kind=kind, question="Give it as HTML"
        )
    if draw < 0.75:
        reply = rng.choice(("{}", "```markdown\n{}\n```")).replace("{}", _markdown(changed))
        return reply, Gold(
            answers=(_markdown(rows),), kind="table parsing en", question="Give it as Markdown"
        )
    gold = {row[0]: row[-1] for row in rows}
    if rng.random() < 0.3:
        gold[phrase(rng, 2)] = {"x": "1"}
    written = str({row[0]: row[-1] for row in changed if row})
    reply = rng.choice(
        ("{}", "```python\nd = {}\n```", "data = {} # done", "{}, that is all", "nothing")
    )
    return reply.replace("{}", written), Gold(answers=(gold,), kind="chart parsing en")


def v2_outline(rng: random.Random) -> tuple[str, Gold]:
    def page() -> str:
        lines = [
            rng.choice(("", "# ", "## ", "", "**", "\\begin ", " "))
            + phrase(rng, 3) * rng.randint(0, 1)
            for _ in range(rng.randint(1, 7))
        ]
        return "\n".join(lines)

    gold = page()
    prediction = mutated(rng, gold) if rng.random() < 0.6 else page()
    return prediction, Gold(answers=(gold,), kind=f"document parsing {rng.choice(('en', 'cn'))}")


def v2_keys(rng: random.Random) -> tuple[str, Gold]:
    keys = rng.sample(("company", "date", "total", "address", "公司"), rng.randint(1, 4))
    gold = {key: [phrase(rng, 3) for _ in range(rng.randint(1, 2))] for key in keys}
    pairs = {
        key: mutated(rng, rng.choice(values)) if rng.random() < 0.5 else rng.choice(values)
        for key, values in gold.items()
        if rng.random() < 0.85
    }
    if rng.random() < 0.2:
        pairs["extra"] = "x"
    as_json = "{" + ", ".join(f'"{key}": "{value}"' for key, value in pairs.items()) + "}"
    forms = (
        str(pairs),
        as_json,
        f"```json\n{as_json}\n```",
        "\n".join(f"{key}: {value}" for key, value in pairs.items()),
        "[1, 2]",
        "I see nothing",
    )
    kind = rng.choice(("key information extraction en", "key information mapping en"))
    if rng.random() < 0.3:
        return rng.choice(forms), Gold(answers=(str(gold),), kind="key information extraction cn")
    return rng.choice(forms), Gold(answers=(gold,), kind=kind)


def _box(rng: random.Random) -> tuple[int, int, int, int]:
    left, top = rng.randint(0, 800), rng.randint(0, 800)
    return left, top, left + rng.randint(5, 190), top + rng.randint(5, 190)


def _moved(
    rng: random.Random, box: tuple[int, int, int, int], by: int
) -> tuple[int, int, int, int]:
    left, top, right, bottom = (max(0, value + rng.randint(-by, by)) for value in box)
    return left, top, right, bottom


def v2_boxes(rng: random.Random) -> tuple[str, Gold]:
    gold = _box(rng)
    box = _moved(rng, gold, 60)
    written = rng.choice(
        (str(list(box)), str(box), f"It is {list(gold)}, no, {list(box)}.", "there")
    )
    if rng.random() < 0.4:
        return written, Gold(answers=("x",), kind="text grounding en", boxes=(gold,))
    answer = phrase(rng, 3)
    forms = (
        str({"answer": mutated(rng, answer), "bbox": str(list(box))}),
        str({"answer": answer, "bbox": list(box)}),
        str({"bbox": list(box)[:3], "answer": answer}),
        written,
    )
    return rng.choice(forms), Gold(answers=(answer,), kind="VQA with position en", boxes=(gold,))


def v2_spotting(rng: random.Random) -> tuple[str, Gold]:
    boxes = [_box(rng) for _ in range(rng.randint(1, 5))]
    texts = [rng.choice(("###", phrase(rng, 2), f"({phrase(rng, 1)})", "ABC.")) for _ in boxes]
    spots = [
        (*_moved(rng, box, 25), mutated(rng, text).replace("\n", "").strip() or "x")
        for box, text in zip(boxes, texts, strict=True)
        if rng.random() < 0.8
    ]
    if rng.random() < 0.2:
        spots.append((5, 5, 3, 9, "turned"))
    rng.shuffle(spots)
    bare = "\n".join(f"[{a}, {b}, {c}, {d}, {text}]" for a, b, c, d, text in spots)
    prediction = rng.choice((str([list(spot) for spot in spots]), str(spots), bare, "nothing"))
    corners = tuple((a, b, c, b, c, d, a, d) for a, b, c, d in boxes)
    return prediction, Gold(kind="text spotting en", boxes=corners, texts=tuple(texts))


def v2_pages(rng: random.Random) -> tuple[str, Gold]:
    if rng.random() < 0.25:
        gold = "".join(rng.choices(CHINESE, k=rng.randint(1, 6)))
        kind = rng.choice(("full-page OCR cn", "text translation cn"))
    else:
        gold = phrase(rng, 14)
        kind = rng.choice(("full-page OCR en", "fine-grained text recognition en"))
    prediction = mutated(rng, gold)
    if rng.random() < 0.3:
        shuffled = gold.split()
        rng.shuffle(shuffled)
        prediction = " ".join(shuffled)
    # A reply of blanks alone has no word, and the kits' code for Chinese fails on it.
    prediction = prediction if prediction.strip() else ""
    return prediction, Gold(answers=(gold,), kind=kind)


MAKERS: dict[str, Callable[[random.Random], tuple[str, Gold]]] = {
    "ai2d": choice_pair,
    "anls": text_pair,
    "chartqapro": items_pair,
    "choice": choice_pair,
    "egoschema": lambda rng: choice_pair(rng, fewest=5),
    "longvideobench": choice_pair,
    "mlvu": lambda rng: choice_pair(rng, most=4),
    "mmlongbench_doc": document_pair,
    "mmmu": choice_pair,
    "mmmu_open": open_pair,
    "mvbench": choice_pair,
    "ocrbench": ocr_pair,
    "ocrbench_v2/boxes": v2_boxes,
    "ocrbench_v2/counting": v2_counting,
    "ocrbench_v2/key_information": v2_keys,
    "ocrbench_v2/outline": v2_outline,
    "ocrbench_v2/page_text": v2_pages,
    "ocrbench_v2/spotting": v2_spotting,
    "ocrbench_v2/tables": v2_tables,
    "ocrbench_v2/words": v2_words,
    "relaxed_accuracy": chart_pair,
    "tempcompass": lambda rng: choice_pair(rng, most=4),
    "tempcompass_captions": caption_pair,
    "video_mme": lambda rng: choice_pair(rng, most=4),
    "video_mme_v2": eight_choices,
    "vqa_accuracy": vqa_pair,
    "yes_no": yes_no_pair,
}
# Metrics that a kit has no rule for, or of which the authors published no code.
LACKING = {
    "vlmevalkit": ("egoschema",),
    "official": ("ai2d", "choice", "egoschema", "longvideobench"),
}


def pairs(name: str, count: int, *, seed: int = 0) -> Iterator[tuple[str, Gold]]:
    """The first `count` pairs for a metric."""
    rng = random.Random(f"{name}/{seed}")
    for _ in range(count):
        yield MAKERS[name](rng)
