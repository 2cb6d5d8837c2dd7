"""How questions about videos are phrased: several ways for each, some of them held out."""

import random

# What is asked -> its kind, phrasings for training, held-out phrasings.
_PHRASES: dict[str, tuple[str, tuple[str, ...], tuple[str, ...]]] = {
    "slide_title_at": (
        "video_read",
        (
            "What is the title at {second} seconds?",
            "Which title is shown at {second} seconds?",
            "Read the title at {second} seconds.",
        ),
        ("What title do you see at {second} seconds?",),
    ),
    "slide_field": (
        "video_read",
        (
            "What is the {label} on {title}?",
            "On {title}, what is the {label}?",
            "{title}: {label}?",
        ),
        ("Which {label} does {title} show?",),
    ),
    "slide_second": (
        "video_second",
        (
            "When does {title} appear?",
            "At which second does {title} first appear?",
            "From which second on is {title} shown?",
        ),
        ("When is {title} first shown?",),
    ),
    "slide_after": (
        "video_order",
        (
            "Which title comes after {title}?",
            "What follows {title}?",
            "Which slide is next to {title}?",
        ),
        ("After {title}, which title is shown?",),
    ),
    "slide_first": (
        "video_order",
        ("Which title comes first?", "What is the first title?", "Read the first title."),
        ("Which title does it begin with?",),
    ),
    "slide_last": (
        "video_order",
        ("Which title comes last?", "What is the last title?", "Read the last title."),
        ("Which title does it end with?",),
    ),
    "slide_count": (
        "video_count",
        ("How many slides are shown?", "Count the slides.", "How many different slides are there?"),
        ("What is the number of slides?",),
    ),
    "slide_change": (
        "video_change",
        (
            "What changes at {second} seconds?",
            "Which value changes at {second} seconds?",
            "What is different from {second} seconds on?",
        ),
        ("At {second} seconds, what changes?",),
    ),
    "slide_becomes": (
        "video_change",
        (
            "What does the {label} change to?",
            "What does the {label} become?",
            "To what does the {label} change?",
        ),
        ("Which {label} replaces the first one?",),
    ),
    "typed_all": (
        "video_read",
        ("What is typed?", "Which text is typed?", "Read what is typed."),
        ("What does the user type?",),
    ),
    "typed_in": (
        "video_read",
        ("What is typed for {label}?", "What is entered as {label}?", "Which {label} is typed?"),
        ("What does the user enter for {label}?",),
    ),
    "typed_order": (
        "video_order",
        ("Which field is filled in first?", "What is filled in first?", "Which field comes first?"),
        ("Which field does the user fill in first?",),
    ),
    "typed_second": (
        "video_second",
        (
            "When does {label} begin to be typed?",
            "At which second does typing of {label} begin?",
            "When is {label} started?",
        ),
        ("When does the user begin {label}?",),
    ),
    "typed_count": (
        "video_count",
        (
            "How many fields are filled in?",
            "Count the fields that are filled in.",
            "How many fields get a text?",
        ),
        ("What is the number of fields filled in?",),
    ),
    "clicked": (
        "video_change",
        ("Which button is pressed?", "Which button turns dark?", "What is clicked?"),
        ("Which button does the pointer press?",),
    ),
    "clicked_second": (
        "video_second",
        (
            "When is {label} pressed?",
            "At which second is {label} pressed?",
            "When is {label} clicked?",
        ),
        ("When does the pointer press {label}?",),
    ),
    "list_first": (
        "video_order",
        (
            "Which item is at the top first?",
            "Which item tops the list at the start?",
            "What is the first item?",
        ),
        ("Which item does the list begin with?",),
    ),
    "list_last": (
        "video_order",
        (
            "Which item is at the bottom at the end?",
            "What is the last item?",
            "Which item comes last?",
        ),
        ("Which item does the list end with?",),
    ),
    "list_count": (
        "video_count",
        ("How many items are in the list?", "Count the items.", "How many items scroll by?"),
        ("What is the number of items?",),
    ),
    "list_top": (
        "video_read",
        (
            "Which item is at the top at {second} seconds?",
            "What is at the top at {second} seconds?",
            "Read the top item at {second} seconds.",
        ),
        ("At {second} seconds, which item is on top?",),
    ),
    "list_way": (
        "video_change",
        (
            "Does the list move up or down?",
            "Which way does the list move?",
            "Where does the list move to?",
        ),
        ("In which direction does the list go?",),
    ),
    "shape_way": (
        "video_change",
        (
            "Which way does the {shape} move?",
            "In which direction does the {shape} go?",
            "Where does the {shape} move to?",
        ),
        ("The {shape} moves in which direction?",),
    ),
    "shape_count": (
        "video_count",
        ("How many shapes are shown?", "Count the shapes.", "How many different shapes appear?"),
        ("What is the number of shapes?",),
    ),
    "shape_second": (
        "video_second",
        (
            "When does the {shape} appear?",
            "At which second does the {shape} appear?",
            "From when on is the {shape} shown?",
        ),
        ("When is the {shape} first seen?",),
    ),
    "shape_order": (
        "video_order",
        ("Which shape appears first?", "What appears first?", "Which shape comes first?"),
        ("Which shape does it begin with?",),
    ),
    "shape_last": (
        "video_order",
        ("Which shape appears last?", "What appears last?", "Which shape comes last?"),
        ("Which shape is the last to appear?",),
    ),
    "shape_colour": (
        "video_change",
        (
            "Which colour does the {shape} turn?",
            "What colour does the {shape} become?",
            "To which colour does the {shape} change?",
        ),
        ("The {shape} changes to which colour?",),
    ),
    "counter_at": (
        "video_read",
        (
            "What does the counter show at {second} seconds?",
            "Which number is shown at {second} seconds?",
            "Read the counter at {second} seconds.",
        ),
        ("At {second} seconds, what is the counter?",),
    ),
    "counter_last": (
        "video_read",
        (
            "What does the counter show at the end?",
            "Which number comes last?",
            "Read the last number.",
        ),
        ("Where does the counter end?",),
    ),
    "counter_second": (
        "video_second",
        (
            "When does the counter reach {number}?",
            "At which second does the counter show {number} first?",
            "When does {number} appear?",
        ),
        ("When is {number} first shown?",),
    ),
    "counter_way": (
        "video_change",
        (
            "Does the counter go up or down?",
            "Which way does the counter go?",
            "Does the number rise or fall?",
        ),
        ("Is the counter going up or down?",),
    ),
    "counter_count": (
        "video_count",
        (
            "How many different numbers are shown?",
            "Count the different numbers.",
            "How many numbers does it show?",
        ),
        ("What is the number of different numbers?",),
    ),
    "ticker_first": (
        "video_order",
        ("Which message comes first?", "What is the first message?", "Read the first message."),
        ("Which message does the ticker begin with?",),
    ),
    "ticker_last": (
        "video_order",
        ("Which message comes last?", "What is the last message?", "Read the last message."),
        ("Which message does the ticker end with?",),
    ),
    "ticker_count": (
        "video_count",
        ("How many messages run by?", "Count the messages.", "How many messages are there?"),
        ("What is the number of messages?",),
    ),
    "ticker_after": (
        "video_order",
        (
            "What follows {message}?",
            "Which message comes after {message}?",
            "After {message}, what comes?",
        ),
        ("Which message is next to {message}?",),
    ),
}


def kind_of(what: str) -> str:
    """The kind of a question, one of `questions.VIDEO_KINDS`."""
    return _PHRASES[what][0]


def phrase(rng: random.Random, what: str, split: str, **words: str) -> str:
    """A question of that sort, in one of the split's phrasings."""
    _, training, heldout = _PHRASES[what]
    return rng.choice(heldout if split == "heldout" else training).format(**words)
