"""The same questions put to a model and to its export, where both fit into memory."""

from collections.abc import Sequence

from ...errors import LatentVLMError
from ..sampling import GenerationConfig
from .memory import available_bytes
from .prompts import Prompt
from .proof import Proof
from .source import WeightSource

_MAX_TOKENS = 96
_ROOM = 2.5  # of the weights: they are widened to float32 where a CPU needs it


def side_by_side(
    proof: Proof, out: WeightSource, source: WeightSource, prompts: Sequence[Prompt]
) -> None:
    """Add the answers, or say why there are none."""
    from ..api import load

    if not prompts:
        return
    asked = [prompt for prompt in prompts if prompt.messages]
    if not asked:
        proof.notes.append("No answers side by side: there are no questions in words.")
        return
    needed = _ROOM * (proof.costs["bytes_before"] + proof.costs["bytes_after"])
    free = available_bytes()
    if needed > free:
        proof.notes.append(
            f"No answers side by side: both models need {needed / 1e9:.1f} GB, and "
            f"{free / 1e9:.1f} GB are there."
        )
        return
    generation = GenerationConfig(max_tokens=_MAX_TOKENS)
    answers: list[list[str]] = []
    for opened in (source, out):
        vlm = load(opened.folder, device="cpu")
        try:
            answers.append(
                [vlm.chat(_question(prompt), generation=generation).text for prompt in asked]
            )
        except LatentVLMError as error:
            proof.add("it answers questions", [f"{opened.folder}: {error}"])
            return
    proof.answers = [
        {"question": prompt.question, "before": before, "after": after}
        for prompt, before, after in zip(asked, *answers, strict=True)
    ]
    same = sum(each["before"] == each["after"] for each in proof.answers)
    proof.add("it answers questions", [], f"{same} of {len(asked)} answers the same")


def _question(prompt: Prompt) -> list:
    """The conversation up to the first answer."""
    assert prompt.messages is not None
    return prompt.messages[:1]
