"""How questions are phrased: many ways for each, some of them kept from training."""

import random

from .more_questions import MORE

NOT_IN_DOCUMENT = "Not in the document."
KINDS = ("field", "row", "count", "compare", "read_line", "transcribe", "yes_no", "absent")
# Of videos; their phrasings are in `videos/phrases.py`.
VIDEO_KINDS = ("video_read", "video_second", "video_change", "video_order", "video_count")

# What is asked -> (phrasings for training, held-out phrasings).
PHRASINGS: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "field": (
        (
            "What is the {asked}?",
            "What's the {asked}?",
            "Tell me the {asked}.",
            "Find the {asked}.",
            "Give the {asked}.",
            "Which {asked} is given?",
            "What {asked} does it show?",
            "Read the {asked}.",
            "{Asked}?",
            "Please state the {asked}.",
        ),
        ("Can you tell me the {asked}?", "I need the {asked}.", "What does it say for {asked}?"),
    ),
    "cell": (
        (
            "What is the {asked} of {key}?",
            "What is the {asked} for {key}?",
            "Give the {asked} of {key}.",
            "{key}: what is the {asked}?",
            "Find the {asked} of {key}.",
            "What {asked} does {key} have?",
            "Tell me the {asked} for {key}.",
            "Look up {key}: {asked}?",
            "Which {asked} belongs to {key}?",
        ),
        ("I need the {asked} of {key}.", "For {key}, what {asked} is given?"),
    ),
    "row": (
        (
            "Which {noun} has the {asked} {value}?",
            "Which {noun} has {value} as its {asked}?",
            "What {noun} goes with the {asked} {value}?",
            "The {asked} {value} belongs to which {noun}?",
            "Find the {noun} with {asked} {value}.",
            "Name the {noun} whose {asked} is {value}.",
            "For which {noun} is the {asked} {value}?",
            "{value} is the {asked} of which {noun}?",
        ),
        ("Which {noun} shows {value} under {asked}?", "Whose {asked} is {value}?"),
    ),
    "count_rows": (
        (
            "How many {plural} are there?",
            "How many {plural} are listed?",
            "Count the {plural}.",
            "What is the number of {plural}?",
            "How many {plural} do you see?",
            "How many different {plural} are shown?",
            "How many {plural} does it list?",
            "Give the number of {plural}.",
        ),
        ("How many {plural} are on the list?", "Tell me how many {plural} there are."),
    ),
    "count_lines": (
        (
            "How many lines of text are there?",
            "How many lines does it have?",
            "Count the lines.",
            "What is the number of lines?",
            "How many lines are printed?",
            "How many lines of text do you see?",
            "Give the number of lines.",
            "How many lines long is it?",
        ),
        ("How many rows of text are there?", "Tell me how many lines there are."),
    ),
    "most": (
        (
            "Which {noun} has the highest {asked}?",
            "Which {noun} has the largest {asked}?",
            "Which {noun} has the biggest {asked}?",
            "What {noun} has the greatest {asked}?",
            "Name the {noun} with the highest {asked}.",
            "Find the {noun} with the largest {asked}.",
            "The highest {asked} belongs to which {noun}?",
            "For which {noun} is the {asked} highest?",
        ),
        ("Which {noun} comes first by {asked}?", "Where is the {asked} highest?"),
    ),
    "least": (
        (
            "Which {noun} has the lowest {asked}?",
            "Which {noun} has the smallest {asked}?",
            "Which {noun} has the least {asked}?",
            "What {noun} has the lowest {asked}?",
            "Name the {noun} with the lowest {asked}.",
            "Find the {noun} with the smallest {asked}.",
            "The lowest {asked} belongs to which {noun}?",
            "For which {noun} is the {asked} lowest?",
        ),
        ("Which {noun} comes last by {asked}?", "Where is the {asked} lowest?"),
    ),
    "versus": (
        (
            "Which has the higher {asked}, {a} or {b}?",
            "Which {noun} has the larger {asked}: {a} or {b}?",
            "Is the {asked} of {a} or of {b} higher?",
            "{a} or {b}: which has the higher {asked}?",
            "Compare {a} and {b}: which has more {asked}?",
            "Between {a} and {b}, which has the larger {asked}?",
            "Whose {asked} is higher, {a} or {b}?",
            "Of {a} and {b}, which has the greater {asked}?",
        ),
        ("Does {a} or {b} have the bigger {asked}?", "Which is ahead by {asked}, {a} or {b}?"),
    ),
    "read_line": (
        (
            "Read the {ordinal} line.",
            "What does the {ordinal} line say?",
            "What is written on the {ordinal} line?",
            "Transcribe the {ordinal} line.",
            "Copy out the {ordinal} line.",
            "Give me the text of the {ordinal} line.",
            "What is the {ordinal} line?",
            "{Ordinal} line, please.",
        ),
        ("Type the {ordinal} line.", "What text is on the {ordinal} line?"),
    ),
    "transcribe": (
        (
            "Transcribe the text.",
            "Read all the text.",
            "What does it say?",
            "Write down everything you see.",
            "Transcribe this.",
            "What is written here?",
            "Copy out the whole text.",
            "Give me the full text.",
            "Read this aloud.",
            "Type out the document.",
        ),
        ("What text is in the picture?", "Please transcribe the page.", "Read it all to me."),
    ),
    "is_value": (
        (
            "Is the {asked} {value}?",
            "Is {value} the {asked}?",
            "Does it give {value} as the {asked}?",
            "Is it true that the {asked} is {value}?",
            "Is the {asked} given as {value}?",
            "Does the {asked} read {value}?",
            "The {asked} is {value}, right?",
            "Can you confirm that the {asked} is {value}?",
        ),
        ("Would you say the {asked} is {value}?", "Is {value} what it says for {asked}?"),
    ),
    "has_field": (
        (
            "Is there a {asked}?",
            "Does it give a {asked}?",
            "Does it show a {asked}?",
            "Is the {asked} given?",
            "Is the {asked} printed?",
            "Can you find a {asked} here?",
            "Does this mention a {asked}?",
            "Is a {asked} stated?",
        ),
        ("Do you see a {asked}?", "Does the document have a {asked}?"),
    ),
    "which_page": (
        (
            "Which page says {a}?",
            "On which page is {a}?",
            "What page has {a}?",
            "Which page shows {a}?",
            "Where is {a}, on which page?",
            "Find the page with {a}.",
            "{a}: which page?",
            "Which page is {a} on?",
        ),
        ("Which page mentions {a}?", "On what page do you see {a}?"),
    ),
    "count_pages": (
        (
            "How many pages are there?",
            "How many pages does it have?",
            "Count the pages.",
            "What is the number of pages?",
            "How many pages?",
            "Say how many pages there are.",
            "Give the number of pages.",
            "How many pages are in it?",
        ),
        ("How many pages do you see?", "Of how many pages is it?"),
    ),
    "is_listed": (
        (
            "Is {key} listed?",
            "Is {key} on the list?",
            "Does it list {key}?",
            "Does {key} appear?",
            "Is there an entry for {key}?",
            "Can you find {key}?",
            "Does it mention {key}?",
            "Is {key} among the {plural}?",
        ),
        ("Do you see {key}?", "Is {key} one of the {plural}?"),
    ),
}


def phrase(rng: random.Random, what: str, split: str, **slots: str) -> str:
    """A question with its slots filled in.

    Training uses the phrasings for training only, and more of them; held-out documents use either
    sort of `PHRASINGS`, each in half of the cases.

    Args:
        rng: the random source.
        what: a key of `PHRASINGS`.
        split: "train" or "heldout".
        slots: what the phrasings name in braces; `{Asked}` is `{asked}` with a capital.
    """
    train, heldout = PHRASINGS[what]
    if split == "heldout":
        pool = heldout if rng.random() < 0.5 else train
    else:
        pool = MORE[what] if rng.random() < 0.6 else train
    capitals = {name.capitalize(): text[:1].upper() + text[1:] for name, text in slots.items()}
    template = rng.choice(pool)
    while split == "train" and template in heldout:
        template = rng.choice(pool)
    text = template.format(**slots, **capitals)
    return text[:1].upper() + text[1:] if "key" not in slots and "a" not in slots else text
