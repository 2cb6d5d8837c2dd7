"""A bar for each view, from left to right: what it costs, and what it would without reduction."""

from collections.abc import Sequence
from html import escape

from .views import View

# A click on a bar tells the page which it was.
ON_CLICK = """
element.addEventListener('click', (event) => {
  const bar = event.target.closest('[data-view]');
  if (bar) trigger('select', {index: Number(bar.dataset.view)});
});
"""


def timeline_html(views: Sequence[View], at: int) -> str:
    """Bars of kept tokens before paler ones of all tokens; the one shown is framed.

    The slider below is the way for the keyboard, so the bars are no stops of it.
    """
    if not views:
        return ""
    top = max(view.before for view in views) or 1
    bars = []
    for idx, view in enumerate(views):
        label = f"{view.title}: {view.tokens} of {view.before} visual tokens"
        if view.share is not None:
            label += f", {view.share:.0%} of the answer's look"
        marks = " shown" * (idx == at) + " cited" * view.cited
        bars.append(
            f'<button type="button" tabindex="-1" class="bar{marks}" data-view="{idx}" '
            f'title="{escape(label, quote=True)}" aria-label="{escape(label, quote=True)}">'
            f'<span class="before" style="height:{view.before / top:.1%}">'
            f'<span class="kept" style="height:{view.tokens / max(1, view.before):.1%}"></span>'
            "</span></button>"
        )
    after, before = sum(view.tokens for view in views), sum(view.before for view in views)
    said = f"{after:,} visual tokens"
    if after < before:
        said += f" of {before:,}: {1 - after / before:.0%} were left out (pale)"
    if any(view.cited for view in views):
        said += "; the page cited is red"
    return (
        f'<div class="timeline" role="group" aria-label="Visual tokens of each view">'
        f'{"".join(bars)}</div><p class="timeline-note">{escape(said)}.</p>'
    )
