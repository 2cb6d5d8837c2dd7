"""How questions are phrased: many ways for each kind, some of them kept from training."""

import random

# Kind of question -> (phrasings for training, held-out phrasings).
PHRASINGS: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
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
}


def phrase(rng: random.Random, kind: str, split: str, **slots: str) -> str:
    """A question of that kind with its slots filled in.

    Training uses the phrasings for training only; held-out documents use either sort, each in
    half of the cases.
    """
    train, heldout = PHRASINGS[kind]
    pool = heldout if split == "heldout" and rng.random() < 0.5 else train
    return rng.choice(pool).format(**slots)
