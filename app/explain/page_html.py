"""An explanation as one page of HTML that needs nothing beside it."""

from html import escape

from ...vlm.explaining import Explanation
from .panels import heading, page_facts, page_panels, page_share, page_title, strongest
from .video_html import VIDEO_STYLE, figure, video_parts
from .video_panels import video_title

_STYLE = """
body { font: 16px/1.45 system-ui, sans-serif; color: #1c2026; margin: 2rem auto; max-width: 90rem;
  padding: 0 1.5rem; }
.facts, figcaption, .note { color: #68707a; font-size: .9rem; }
.panels { display: flex; flex-wrap: wrap; gap: 1.5rem; }
figure { margin: .5rem 0; } img { max-width: 100%; border-radius: 2px; }
section { border-top: 1px solid #ced3da; padding: 1rem 0; }
.bars { display: flex; align-items: flex-end; gap: 2px; height: 110px; }
.bars a { position: relative; flex: 1; max-width: 56px; min-width: 3px; background: #dee4ee; }
.bars a span { position: absolute; bottom: 0; width: 100%; background: #246cd6; }
.bars a.cited span { background: #d63e24; }
.cited-page h2::after { content: "read from here"; background: #d63e24; color: white;
  font-size: .75rem; border-radius: 4px; padding: .1rem .5rem; margin-left: .8rem; }
"""


def draw_html(explanation: Explanation) -> str:
    """All pages and videos with all their panels, below charts whose bars lead to them."""
    most = strongest(explanation)
    parts = [f"<p>{escape(line)}</p>" for line in heading(explanation)]
    if explanation.pages:
        parts += _pages(explanation, most)
    for number, seen in enumerate(explanation.videos, 1):
        parts += video_parts(seen, f"video{number}", most)
    seen = explanation.pages[0] if explanation.pages else None
    title = escape(page_title(seen) if seen else video_title(explanation.videos[0]))
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{title}</title>'
        f"<style>{_STYLE}{VIDEO_STYLE}</style><body><h1>What the model sees</h1>"
        f"{''.join(parts)}</body></html>\n"
    )


def _pages(explanation: Explanation, most: float) -> list[str]:
    pages, answer = explanation.pages, explanation.answer
    cited = {page.index for page in (answer.pages if answer else ())}
    top = max(seen.info.visual_tokens_before for seen in pages)
    bars = []
    for idx, seen in enumerate(pages):
        before, after = seen.info.visual_tokens_before, seen.info.visual_tokens
        label = escape(f"{page_title(seen)}: {page_facts(seen)}", quote=True)
        mark = ' class="cited"' if idx in cited else ""
        bars.append(
            f'<a href="#page{idx + 1}"{mark} title="{label}" style="height:{before / top:.2%}">'
            f'<span style="height:{after / before:.2%}"></span></a>'
        )
    parts = [
        '<p class="note">Visual tokens of each page; pale: what it would take without a limit.</p>'
        f'<div class="bars">{"".join(bars)}</div>'
    ]
    for idx, seen in enumerate(pages):
        figures = "".join(figure(panel.picture, panel.title) for panel in page_panels(seen, most))
        share = ""
        if seen.looked is not None:
            share = f" {page_share(seen):.0%} of the attention to all that was seen went here."
        mark = ' class="cited-page"' if idx in cited else ""
        parts.append(
            f'<section id="page{idx + 1}"{mark}><h2>{escape(page_title(seen))}</h2>'
            f'<p class="facts">{escape(page_facts(seen) + share)}</p>'
            f'<div class="panels">{figures}</div></section>'
        )
    return parts
