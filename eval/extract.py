"""Answers out of replies: the letter of a multiple-choice reply, under each kit's rules and ours.

Every function gives None where it finds no letter. Where a kit would then draw one at random, who
calls says so: nothing here guesses.
"""

import re
from collections.abc import Sequence
from string import ascii_uppercase

_THINKING = re.compile(r"<think>.*?</think>", re.DOTALL)
_DECORATION = "*_`$() []{}.:\"'"
_BOXED = re.compile(r"\\boxed\{\s*(?:\\text\{)?\(?([A-Z])\)?\}?\s*\}")
_STATED = re.compile(
    r"(?i:answer|option|choice)(?i:\s+is\s*:?|\s*:)\s*(?i:option\s+|choice\s+)?"
    # "The answer is A cup" names no option.
    r"[*_`]*[\(\[]?(A(?!\s+(?!or\b|and\b|because\b|since\b|as\b)[a-z])|[B-Z])(?![A-Za-z])"
)
_JOINED = re.compile(r"\b[A-Z]\)?\s*(?:,|/|&|or|and)\s*\(?[A-Z]\b")
_NAMED = re.compile(r"(?i:answer|option|choice)\s+[*_`]*[\(\[]?([A-Z])[\)\]]?[*_`]*\.?")
_SENTENCE = re.compile(r"(?<=[.!?])\s+|\n")
_NEGATED = re.compile(
    r"\b(?:no|not|never|nor|neither|cannot|wrong|incorrect|false|except|unlikely|eliminated?"
    r"|excluded?|ruled?\s+out|rather\s+than|instead)\b|n['’]t\b",
    re.IGNORECASE,
)
_HEADED = re.compile(r"[*_`]*[\(\[]?([A-Z])(?:[\)\]][*_`]*[.:]?|[*_`]*[.:])(?:\s|$)")


def without_thinking(text: str) -> str:
    """The reply after its reasoning; empty if the reasoning never ended."""
    text = _THINKING.sub("", text)
    if "</think>" in text:
        text = text.split("</think>")[-1]
    return text.split("<think>")[0].strip()


def without_end_mark(text: str) -> str:
    """The reply as TempCompass's authors take it: no end mark, no outer blanks."""
    return text.replace("</s>", "").strip()


def strict_letter(text: str, options: Sequence[str], *, count: int = 0) -> str | None:
    """The letter that a reply states, if it states exactly one.

    In this order: the reply is a letter alone; it is the text of exactly one option; it boxes a
    letter or says "the answer is B", always the same one and not "A or B"; it begins "B." or "(B)"
    and states no other. The article "A", a letter in passing ("option A fits") and one in a
    sentence that denies something are no answers; "option B" is one as the whole reply.

    Args:
        text: the reply.
        options: the texts of the options, A first; may be empty if `count` is given.
        count: how many options there are, where their texts are not known.
    """
    text = without_thinking(text)
    letters = ascii_uppercase[: count or len(options)]
    bare = text.strip(_DECORATION)
    if len(bare) == 1 and bare.upper() in letters:
        return bare.upper()
    same = [
        letter
        for letter, option in zip(letters, options, strict=False)
        if _plain(option) == _plain(text)
    ]
    if same:
        return same[0] if len(same) == 1 else None
    named = _NAMED.fullmatch(text.strip())
    if named:
        return named.group(1) if named.group(1) in letters else None
    for pattern in (_BOXED, _STATED):
        stated = {found.upper() for found in pattern.findall(text) if found.upper() in letters}
        if stated:
            is_clear = len(stated) == 1 and not _JOINED.search(text)
            letter = stated.pop()
            is_denied = pattern is _STATED and any(
                _denies(sentence, letter, options)
                for sentence in _SENTENCE.split(text)
                if pattern.search(sentence)
            )
            return letter if is_clear and not is_denied else None
    headed = {
        found.group(1) for line in text.splitlines() if (found := _HEADED.match(line.strip()))
    }
    if len(headed) == 1 and _HEADED.match(text) and headed <= set(letters):
        letter = headed.pop()
        return None if _denies(text.splitlines()[0], letter, options) else letter
    return None


def _denies(sentence: str, letter: str, options: Sequence[str]) -> bool:
    """Whether a sentence denies something beyond what the option of that letter itself says."""
    idx = ascii_uppercase.index(letter)
    option = _plain(options[idx]) if idx < len(options) else ""
    sentence = " ".join(sentence.casefold().split())
    if option and _NEGATED.search(option):
        sentence = sentence.replace(option, "", 1)
    return bool(_NEGATED.search(sentence))


def _plain(text: str) -> str:
    return " ".join(text.casefold().split()).strip(".")


def first_letter(text: str, letters: str, dropped: Sequence[str]) -> str | None:
    """The first capital of `letters` once some phrases are taken out.

    "Based on the video, the answer is C" is B: the flaw of LongVideoBench's and Video-MME's own
    evaluations, which both kits keep.
    """
    text = text.strip()
    for phrase in dropped:
        text = text.replace(phrase, "")
    return next((char for char in text if char in letters), None)


# How a letter is looked for, and where it then stands.
LMMS_EVAL_FORMS = (("({})", "({})"), ("{} ", " {} "), ("{}.", " {} "))
MMMU_FORMS = (("({})", "({})"), (" {} ", " {} "))


def bracketed_or_last(
    text: str, options: Sequence[str], forms: Sequence[tuple[str, str]]
) -> str | None:
    """The last letter of the first form that there is; else the last option's text.

    MMMU's authors look for "(A)" and " A ", lmms-eval for "(A)", "A " and "A.".
    """
    for mark in ",.!?;:'":
        text = text.strip(mark)
    text = f" {text} "
    letters = ascii_uppercase[: len(options)]
    for form, place in forms:
        found = [letter for letter in letters if form.format(letter) in text]
        if found:
            return max(found, key=lambda letter: text.rfind(place.format(letter)))
    if len(text.split()) <= 5:
        return None
    lower = text.lower()
    places = {
        letter: lower.rfind(option.lower())
        for letter, option in zip(letters, options, strict=True)
        if option.lower() in lower
    }
    return max(places, key=lambda letter: places[letter]) if places else None


def earliest_letter(text: str, options: Sequence[str]) -> str | None:
    """lmms-eval's EgoSchema: of "(A)", "A " and "A.", each where it stands last, the first one.

    Args:
        options: the texts that stand for A, B, ... in a reply of more than five words.
    """
    for mark in ",.!?;:'":
        text = text.strip(mark)
    text = f" {text} "
    letters = ascii_uppercase[: len(options)]
    forms = [(form.format(letter), letter) for form in ("({})", "{} ", "{}.") for letter in letters]
    found = [(text.rfind(form), letter) for form, letter in forms if form in text]
    if not found and len(text.split()) > 5:
        lower = text.lower()
        places = zip(letters, (option.lower() for option in options), strict=True)
        found = [(lower.rfind(option), letter) for letter, option in places if option in lower]
    return min(found, key=lambda each: each[0])[1] if found else None


_PHRASES = (
    *("answer is", "the answer is", "correct answer is", "the correct answer is"),
    *("best answer is", "the best answer is", "correct option is", "the correct option is"),
    *("best option is", "the best option is", "choice is", "the choice is"),
    *("correct choice is", "the correct choice is", "my answer is", "my choice is"),
    *("i choose", "i select", "i pick", "옵션", "정답은", "답은", "답:"),
    *("答案是", "答案为", "选", "答えは"),
)


def ranked_letter(text: str, letters: str) -> str | None:
    """lmms-eval's shared extraction: every place a letter stands is ranked, the last one wins.

    A letter at the start outranks one at the end, then one anywhere after "the answer is" and its
    like, "(A)", "A.", "A:", "A)", "A " and, if there is none of those, a letter inside a word.
    """
    text = text.strip()
    for mark in ",.!?;:'\"":
        text = text.strip(mark)
    text = f" {text} "
    found: list[tuple[tuple[int, int], str]] = []
    for rank, form in ((6, "({})"), (5, "{}."), (4, "{}:"), (3, "{})"), (2, "{} ")):
        for letter in letters:
            place = text.rfind(form.format(letter))
            if place >= 0:
                found.append(((rank, place), letter))
    lower = text.lower()
    for phrase in _PHRASES:
        start = lower.find(phrase)
        for letter in letters if start >= 0 else "":
            place = text.find(letter, start + len(phrase))
            if place >= 0:
                found.append(((7, place), letter))
    bare = text.strip()
    for letter in letters:
        if bare.startswith(letter) and not bare[1:2].isalpha():
            found.append(((10, 0), letter))
        if bare.endswith(letter) and not bare[:-1][-1:].isalpha():
            found.append(((9, len(text) - 1), letter))
    if not found:
        found = [((0, text.rfind(letter)), letter) for letter in letters if letter in text]
    return max(found, key=lambda item: item[0])[1] if found else None


_REFUSALS = (
    "Sorry, I can't help with images of people yet.",
    "I can't process this file.",
    "I'm sorry, but without the image provided",
    "Cannot determine the answer",
)
_TO_BLANKS = str.maketrans(dict.fromkeys(".()[],:;!*#{}", " "))
_ANSWER_IS = re.compile(r"answer\s+is\s+\**([ABCD])\**", re.IGNORECASE)


def inferred_letter(text: str, options: Sequence[str]) -> str | None:
    """VLMEvalKit's `exact_matching`: one label among the last words, else one option's text.

    The kit takes a refusal, and a reply whose only label is "Z", for an answer that is wrong; here
    both are None.
    """
    letters = ascii_uppercase[: len(options)]
    if "Failed to obtain answer via API" not in text:
        if any(refusal in text for refusal in _REFUSALS):
            return None
        words = text.translate(_TO_BLANKS).split()
        labels = [letter for letter in letters if letter in words]
        if len(labels) == 1 and words.index(labels[0]) > len(words) - 5:
            return labels[0]
        if not labels and "Z" in words:
            return None
        stated = _ANSWER_IS.search(text)
        if stated and stated.group(1).upper() in letters:
            return stated.group(1).upper()
    lower = text.lower()
    if len(lower) > 2 * sum(map(len, options)):
        return None
    held = [
        letter for letter, option in zip(letters, options, strict=True) if option.lower() in lower
    ]
    return held[0] if len(held) == 1 else None
