"""The frame of a report: one HTML file that needs nothing else, in light and dark."""

from collections.abc import Iterable, Mapping
from html import escape
from typing import Any

from ..heat import heat_colour
from .shown import Shown
from .style import SCRIPT, STYLE


def page(title: str, parts: Iterable[str]) -> str:
    """A whole HTML file."""
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(title)}</title><style>{STYLE}</style></head>\n<body><main>\n"
        + "\n".join(parts)
        + f"\n</main><dialog></dialog><script>{SCRIPT}</script></body></html>\n"
    )


def percent(value: float, digits: int = 1) -> str:
    return f"{100 * value:.{digits}f}%"


def bar(score: float, low: float, high: float) -> str:
    """A bar with its interval as a whisker."""
    width = max(100 * (high - low), 0.4)
    return (
        f'<div class="bar" title="{percent(low)} to {percent(high)}">'
        f'<i style="width:{100 * score:.2f}%"></i>'
        f'<b style="left:{100 * low:.2f}%;width:{width:.2f}%"></b></div>'
    )


def stack(parts: Iterable[tuple[str, str, int]]) -> str:
    """Counts as one bar of many parts, with a key: (label, class, count)."""
    there = [part for part in parts if part[2]]
    spans = "".join(
        f'<span class="{kind}" style="flex:{count}" title="{escape(label)}: {count}"></span>'
        for label, kind, count in there
    )
    keys = "".join(
        f'<span><i class="{kind}"></i>{escape(label)} <b>{count:,}</b></span>'
        for label, kind, count in there
    )
    return f'<div class="stack">{spans}</div><div class="key">{keys}</div>'


def table(
    head: Iterable[str],
    rows: Iterable[Iterable[str]],
    numbers: Iterable[int] = (),
    bars: int | None = None,
) -> str:
    """A table of cells that are HTML already; `numbers` stand to the right, `bars` are wide."""
    right = set(numbers)

    def cells(values: Iterable[str], tag: str) -> str:
        kinds = {bars: " class=bars", **dict.fromkeys(right, " class=n")}
        return "".join(
            f"<{tag}{kinds.get(idx, '')}>{value}</{tag}>" for idx, value in enumerate(values)
        )

    body = "".join(f"<tr>{cells(row, 'td')}</tr>" for row in rows)
    return f"<table><thead><tr>{cells(head, 'th')}</tr></thead><tbody>{body}</tbody></table>"


def figures(shown: Iterable[Shown]) -> str:
    """Pictures in a row, each under where the answer looked; one alone needs no label."""
    shown = list(shown)
    inner = "".join(
        f'<figure><span class="over{" frame" if each.is_frame else ""}">'
        f'<img src="{each.address}" alt="{escape(each.label)}">'
        + (f'<img class="heat" src="{each.heat}" alt="">' if each.heat else "")
        + "</span>"
        + (f"<figcaption>{escape(each.label)}</figcaption>" if len(shown) > 1 else "")
        + "</figure>"
        for each in shown
    )
    return f'<div class="pages">{inner}</div>' if inner else ""


def heat_key() -> str:
    """The button that shows and hides where answers looked, and what its colours mean."""
    colours = ", ".join("rgb({}, {}, {})".format(*heat_colour(idx / 3)) for idx in range(4))
    return (
        '<p class="small soft heat-key"><button data-heat aria-pressed="true">where it looked'
        f'</button> attention as the answer was written: little<i class="scale" style="background: '
        f'linear-gradient(to right, {colours})"></i>much</p>'
    )


def tools(labels: Mapping[str, tuple[str, int]], kinds: Iterable[str]) -> str:
    """Buttons that choose which cards are seen: value -> (label, how many)."""
    found = "".join(
        f'<button data-show="{value}" aria-pressed="{"true" if not value else "false"}">'
        f"{escape(label)} {count}</button>"
        for value, (label, count) in labels.items()
    )
    kinds = [kind for kind in kinds if kind]
    if len(kinds) > 1:
        options = "".join(f'<option value="{escape(k)}">{escape(k)}</option>' for k in kinds)
        found += f'<select data-kind><option value="">all kinds</option>{options}</select>'
    return f'<div class="tools">{found}</div>'


def definitions(pairs: Iterable[tuple[str, Any]]) -> str:
    """Names and values, one a line; empty values are left out."""
    inner = "".join(
        f"<dt>{escape(name)}</dt><dd>{escape(str(value))}</dd>"
        for name, value in pairs
        if value not in ("", None)
    )
    return f"<dl>{inner}</dl>"
