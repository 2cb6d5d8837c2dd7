"""Pairs as rows of the tables that the kits read."""

from typing import Any

from latentvlm.eval.metrics import Gold


def v2_row(prediction: str, gold: Gold) -> dict[str, Any]:
    boxes: Any = [list(box) for box in gold.boxes]
    one = "grounding" in gold.kind or "position" in gold.kind
    row = {"type": gold.kind, "question": gold.question, "predict": prediction}
    row["answers"] = boxes[0] if "grounding" in gold.kind else list(gold.answers)
    row |= {"bbox": boxes[0] if one else boxes, "bbox_list": boxes, "content": list(gold.texts)}
    return row


def option_row(gold: Gold) -> dict[str, Any]:
    """A question of TempCompass as its file has it."""
    lines = [f"{a}. {b}" for a, b in zip("ABCD", gold.options, strict=False)]
    right = lines["ABCD".index(gold.answers[0])]
    return {"question": "\n".join(["What?", *lines]), "answer": right}


def caption_row(gold: Gold) -> dict[str, Any]:
    """The same of captions to choose from; `candidates` is a list written out, as in a table."""
    lines = [f"{label}: {text}" for label, text in zip(gold.texts, gold.options, strict=True)]
    right = lines["ABC".index(gold.answers[0])]
    question = "\n".join(["Which?", *lines])
    return {"question": question, "answer": right, "candidates": str(lines)}
