"""What an answer took, as a row of figures."""

from html import escape

from ...vlm.answer import Answer
from ...vlm.limits import ModelLimits


def figures_html(answer: Answer | None, limits: ModelLimits | None = None) -> str:
    """Tokens before and after reduction, time to the first token, speed, confidence."""
    if answer is None:
        return '<div class="figures empty">Tokens and times stand here after an answer.</div>'
    cells = [_cell(*each) for each in figures(answer, limits or ModelLimits())]
    return f'<dl class="figures">{"".join(cells)}</dl>'


def figures(answer: Answer, limits: ModelLimits) -> list[tuple[str, str, str]]:
    """Of each figure its name, its value, and what it is made of."""
    usage, timing = answer.usage, answer.timing
    before, after = usage.visual_tokens_before, usage.visual_tokens
    reduced = f"of {before:,}, {1 - after / before:.0%} less" if before > after else "none left out"
    thought = f", {usage.reasoning_tokens:,} of them thought" if usage.reasoning_tokens else ""
    found = [
        ("Visual tokens", f"{after:,}", reduced),
        ("Prompt", f"{usage.prompt_tokens:,}", f"{usage.text_tokens:,} of them text"),
        ("Answer", f"{usage.answer_tokens:,}", f"tokens{thought}"),
        (
            "First token",
            f"{timing.time_to_first_token_s:.2f} s",
            f"open {timing.media_s:.2f}, wait {timing.waiting_s:.2f}, encode "
            f"{timing.encode_s:.2f}, read {timing.prefill_s:.2f}",
        ),
        ("Speed", f"{timing.tokens_per_s:.1f}", "tokens a second"),
        ("Total", f"{timing.total_s:.2f} s", _ended(answer)),
    ]
    if answer.token_ids:
        share = limits.calibrated(answer.confidence)
        kind = (
            "of such answers are right" if limits.calibration else "the model's own, uncalibrated"
        )
        found.append(("Confidence", f"{share:.0%}", kind))
    return found


def _ended(answer: Answer) -> str:
    if answer.finish_reason == "cancelled":
        return "stopped by you"
    return "ended by itself" if answer.finish_reason == "stop" else "cut off"


def _cell(name: str, value: str, detail: str) -> str:
    return f"<div><dt>{escape(name)}</dt><dd><b>{escape(value)}</b> {escape(detail)}</dd></div>"
