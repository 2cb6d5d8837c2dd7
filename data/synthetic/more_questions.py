"""Many more phrasings for training, put together from parts, so that meaning is learnt and not a
list. Those of `questions.PHRASINGS` that are held out are never among them.
"""

from collections.abc import Iterable
from itertools import product

_VERBS = (
    "transcribe", "read", "read out", "copy", "copy out", "write down", "write out", "type out",
    "type up", "type", "give me", "show me", "put down", "spell out", "return", "print", "tell me",
)  # fmt: skip
_ALL_TEXT = (
    "the text", "all the text", "the whole text", "the full text", "everything", "all of it",
    "everything you see", "this", "this page", "the page", "the document", "the picture",
    "the image", "what is written", "what it says", "the words", "all the words", "the whole page",
    "every word", "the lines", "all lines", "the text in the picture", "the text on the page",
)  # fmt: skip
_VALUE_VERBS = (
    "give me", "find", "read", "read out", "show", "show me", "state", "say", "look up", "get",
    "write down", "name", "tell me", "return", "copy",
)  # fmt: skip
_FRAMES = (
    "{}.", "{}", "{}, please.", "please {}.", "can you {}?", "could you {}?", "now {}.",
    "would you {}?", "{} for me.", "i want you to {}.", "kindly {}.",
)  # fmt: skip


def _framed(wishes: Iterable[str]) -> tuple[str, ...]:
    texts = (frame.format(wish) for frame, wish in product(_FRAMES, wishes))
    return tuple(text[:1].upper() + text[1:] for text in texts)


def _wishes(verbs: Iterable[str], objects: Iterable[str]) -> list[str]:
    return [f"{verb} {thing}" for verb, thing in product(verbs, objects)]


_TEXT_QUESTIONS = tuple(
    f"{start}{end}?"
    for start, end in product(
        ("What text", "Which text", "What", "Which words", "What words"),
        (" is written here", " is shown", " do you see", " is printed", " is on the page",
         " can you read", " is in the image", " is there to read", " does the page show",
         " does the picture show", " is in this document", " does this say"),
    )
)  # fmt: skip

MORE: dict[str, tuple[str, ...]] = {
    "transcribe": _framed(_wishes(_VERBS, _ALL_TEXT)) + 8 * _TEXT_QUESTIONS,
    "read_line": _framed(_wishes(_VERBS, (
        "the {ordinal} line", "the {ordinal} line of text", "line: the {ordinal} one",
        "what the {ordinal} line says",
    )))
    + 12 * (
        "What is on the {ordinal} line?", "What stands on the {ordinal} line?",
        "What does line number {ordinal} say?", "Which text is in the {ordinal} line?",
        "What does the {ordinal} line read?", "What can be read on the {ordinal} line?",
        "What text does the {ordinal} line have?", "The {ordinal} line?",
    ),
    "field": _framed(_wishes(_VALUE_VERBS, ("the {asked}", "what is given as {asked}",
                                            "what the {asked} is", "the {asked} shown here")))
    + 12 * (
        "What {asked} is given?", "What {asked} is printed here?", "What does it give as {asked}?",
        "What is printed as {asked}?", "What does the document say about the {asked}?",
        "What is shown for {asked}?", "The {asked}?", "What is written for {asked}?",
        "Which {asked} do you see?", "How does the {asked} read?", "I want the {asked}.",
        "I would like to know the {asked}.", "What does the page say for the {asked}?",
    ),
    "cell": _framed(_wishes(_VALUE_VERBS, ("the {asked} of {key}", "the {asked} for {key}",
                                           "what {key} has as {asked}")))
    + 8 * (
        "What {asked} is given for {key}?", "For {key}, what is the {asked}?",
        "What is shown as {asked} for {key}?", "What is {key}'s {asked}?",
        "I want the {asked} of {key}.", "How does the {asked} of {key} read?",
    ),
    "row": _framed(["find the {noun} with the {asked} {value}", "name the {noun} with {value}"])
    + 3 * (
        "Which {noun} has {value}?", "Which {noun} comes with {value} as {asked}?",
        "Where is the {asked} {value}?", "{value}: which {noun} is it?",
    ),
    "count_rows": _framed(["count the {plural}", "say how many {plural} there are",
                           "give me the number of {plural}"])
    + 4 * (
        "How many {plural}?", "How many {plural} are in it?", "What number of {plural} is there?",
    ),
    "count_lines": _framed(["count the lines", "count the lines of text", "count the rows of text",
                            "say how many lines there are", "give me the number of lines"])
    + 8 * ("How many lines?", "How many lines are on the page?", "How many rows are there?"),
    "most": _framed(["name the {noun} with the most {asked}", "find the {noun} first in {asked}"])
    + 4 * ("Which {noun} is first in {asked}?", "Where is the {asked} largest?"),
    "least": _framed(["name the {noun} with the least {asked}", "find the {noun} last in {asked}"])
    + 4 * ("Which {noun} is last in {asked}?", "Where is the {asked} smallest?"),
    "versus": ("Who has more {asked}, {a} or {b}?", "Which is first in {asked}, {a} or {b}?",
               "Is {a} or {b} ahead in {asked}?", "Does {a} or {b} have more {asked}?"),
    "is_value": ("Is it {value} for the {asked}?", "Does it say {value} for {asked}?",
                 "Is {value} what is given as {asked}?",
                 "Would it be right that the {asked} is {value}?",
                 "Do you read {value} as the {asked}?", "Is the {asked} really {value}?",
                 "{Asked}: is it {value}?", "Is {value} printed as the {asked}?"),
    "has_field": ("Do you find a {asked}?", "Does the page have a {asked}?",
                  "Is any {asked} given?", "Has it got a {asked}?",
                  "Does the document show a {asked}?", "Can you see a {asked}?",
                  "Is there any {asked} on it?"),
    "is_listed": ("Do you find {key}?", "Can you see {key}?", "Is {key} one of them?",
                  "Does the list have {key}?", "Is {key} there?", "Is {key} in it?"),
    "which_page": ("Name the page that has {a}.", "What is the number of the page with {a}?",
                   "Say which page {a} stands on.", "Tell me the page of {a}.",
                   "Look for {a}: which page is it on?"),
    "count_pages": ("Of how many pages is this made up?", "Tell me how many pages this has.",
                    "How many pages long is it?", "How many pages do I have here?"),
}  # fmt: skip
