"""The report of two runs, side by side."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from html import escape
from pathlib import Path
from typing import Any

from ..compare import Comparison
from ..media import shown_media
from ..scoring import Graded
from ..whole_file import write_whole
from .page import bar, figures, page, percent, table, tools
from .shown import Shown, shown_pictures

_MOST = 60


def write_comparison(comparison: Comparison, path: str | Path) -> Path:
    """Writes the comparison as one HTML file; the first 60 questions that flipped have pictures.

    Raises:
        DataError: it cannot be written.
    """
    path = Path(path)
    write_whole(path, comparison_html(comparison))
    return path


def comparison_html(comparison: Comparison) -> str:
    """The comparison as one HTML file."""
    result = comparison.result
    names = _names(comparison)
    title = f"{result['benchmark']}: {names[1]} against {names[0]}"
    return page(title, [_head(result, names), _kinds(result), _flips(comparison, names)])


def _names(comparison: Comparison) -> tuple[str, str]:
    """What the two are called: their models, or their folders if the model is the same."""
    first, second = (comparison.result[side]["model"] for side in ("first", "second"))
    if first != second:
        return first, second
    return comparison.folders[0].resolve().name, comparison.folders[1].resolve().name


def signed(value: float) -> str:
    return f"{100 * value:+.1f}"


def verdict(result: Mapping[str, Any]) -> str:
    """The outcome in one sentence."""
    gap = result["difference"]
    if gap["low"] > 0:
        return "The second is better: the interval of the difference lies above 0."
    if gap["high"] < 0:
        return "The first is better: the interval of the difference lies below 0."
    return "No difference is shown: the interval holds 0."


def _head(result: Mapping[str, Any], names: Sequence[str]) -> str:
    gap = result["difference"]
    rows = [
        (
            f"<b>{escape(names[idx])}</b>",
            bar(result[side]["score"], result[side]["low"], result[side]["high"]),
            percent(result[side]["score"]),
            f"{percent(result[side]['low'])} to {percent(result[side]['high'])}",
            f"{result[side]['cost']['seconds'] or 0:.2f}",
        )
        for idx, side in enumerate(("first", "second"))
    ]
    left = result["only_in_first"] + result["only_in_second"]
    notes = [] if result["same_prompt"] else ["The two were asked with different prompts."]
    notes += [f"{left} questions that only one was asked are left out."] if left else []
    return (
        f"<h1>{escape(result['benchmark'])}: two runs</h1><p class=soft>{result['questions']:,} "
        f"questions, metric {escape(result['metric'])}, profile {escape(result['profile'])}</p>"
        '<div class="top"><div class="card">'
        f'<div class="score">{signed(gap["score"])}<small> points</small></div>'
        f"<p class=soft>95% interval {signed(gap['low'])} to {signed(gap['high'])}, paired "
        f"bootstrap</p><p>{verdict(result)}</p></div><div class='card'>"
        f"{table(('', '', 'score', 'interval', 'seconds'), rows, (2, 3, 4), 1)}"
        f"<p class='small soft'>{escape(' '.join(notes))}</p></div></div>"
    )


def _kinds(result: Mapping[str, Any]) -> str:
    if len(result["kinds"]) < 2:
        return ""
    rows = [
        (
            escape(kind or "(none)"),
            _gap(cell),
            signed(cell["score"]),
            f"{signed(cell['low'])} to {signed(cell['high'])}",
            str(cell["n"]),
        )
        for kind, cell in sorted(result["kinds"].items(), key=lambda item: -item[1]["score"])
    ]
    inner = table(("kind", "", "points", "interval", "questions"), rows, (2, 3, 4), 1)
    return f'<h2>By kind</h2><div class="card">{inner}</div>'


def _gap(cell: Mapping[str, Any]) -> str:
    """A bar from the middle, to the right if the second is better."""
    at, width = 50 + 50 * min(cell["score"], 0), 50 * abs(cell["score"])
    low, span = 50 + 50 * cell["low"], 50 * (cell["high"] - cell["low"])
    color = "right" if cell["score"] > 0 else "wrong"
    return (
        f'<div class="bar"><i style="left:{at:.2f}%;width:{width:.2f}%;'
        f'background:var(--{color});border-radius:2px"></i>'
        f'<b style="left:{low:.2f}%;width:{max(span, 0.4):.2f}%"></b></div>'
    )


def _flips(comparison: Comparison, names: Sequence[str]) -> str:
    places = comparison.flipped
    won = sum(comparison.second[idx].is_right for idx in places)
    cards = [
        _card(comparison, idx, names, has_pictures=number < _MOST)
        for number, idx in enumerate(places)
    ]
    labels = {
        "": ("all", len(places)),
        "won": ("right in the second only", won),
        "lost": ("right in the first only", len(places) - won),
    }
    kinds = sorted({comparison.first[idx].line.get("kind", "") for idx in places})
    return (
        f"<h2>Questions that flipped ({len(places)})</h2>{tools(labels, kinds)}"
        f'<div class="examples">{"".join(cards)}</div>'
        f'<p id="none" class="soft"{"" if not places else " hidden"}>There is none.</p>'
    )


def _card(comparison: Comparison, idx: int, names: Sequence[str], *, has_pictures: bool) -> str:
    sides: tuple[Graded, Graded] = comparison.first[idx], comparison.second[idx]
    pictures, own, note = "", ("", ""), ""
    if has_pictures and _saw_the_same(sides):
        seen, note = _seen(sides[0], comparison.folders[0])
        pictures = figures(seen)
    elif has_pictures:
        both = [_seen(side, at) for side, at in zip(sides, comparison.folders, strict=True)]
        own = figures(both[0][0]), figures(both[1][0])
        note = "Each saw frames of its own."
    kind = sides[0].line.get("kind", "")
    answers = "".join(
        f'<div>{seen}<b><i class="{"right" if each.is_right else "wrong"}" '
        f'style="display:inline-block;width:9px;height:9px;border-radius:3px;margin-right:6px"></i>{escape(name)}</b>'
        f"{escape(each.response.text or each.response.error or '(nothing)')}</div>"
        for name, each, seen in zip(names, sides, own, strict=True)
    )
    gold = " | ".join(str(answer) for answer in sides[0].gold.answers)
    tag = f'<span class="tag kind">{escape(kind)}</span>' if kind else ""
    return (
        f'<article class="card example" data-is="{"won" if sides[1].is_right else "lost"}" '
        f'data-kind="{escape(kind)}">{pictures}<div class="body">{tag}'
        f'<div class="q">{escape(sides[0].line["question"])}</div><div class="two">{answers}</div>'
        f"<p class='small'><span class=soft>right:</span> {escape(gold)}</p>"
        f'<p class="small soft">{escape(sides[0].id)}. {escape(note)}</p></div></article>'
    )


def _saw_the_same(sides: Sequence[Graded]) -> bool:
    """Whether both saw the same pages or frames, as far as the records say which."""
    first, second = (
        (
            side.line.get("media"),
            [each["indices"] for each in side.response.details.get("frames") or ()],
        )
        for side in sides
    )
    return first == second


def _seen(side: Graded, folder: Path) -> tuple[list[Shown], str]:
    """Small pictures of what one side saw, without where it looked: the two looked elsewhere."""
    pictures, note = shown_pictures(shown_media(side.line, folder), side.response.details)
    return [replace(each, heat="") for each in pictures], note
