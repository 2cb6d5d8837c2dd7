"""An explanation as one picture."""

from collections.abc import Callable, Sequence

from PIL import Image

from ...vlm.explaining import Explanation, SeenPage
from .drawing import INK, PAPER, SOFT, TILE, draw_bars, heat_scale, wrap, write
from .panels import (
    BOX,
    Panel,
    heading,
    page_facts,
    page_panels,
    page_share,
    page_title,
    strongest,
)
from .video_sheet import draw_video

MOST_PAGES = 12  # of a picture; a page of HTML shows all
_EDGE, _GAP = 28, 24
_BARS = 90


def draw_sheet(explanation: Explanation) -> Image.Image:
    """Heading, a bar of tokens for each page, the panels of each page, then the videos.

    Of more than `MOST_PAGES` pages those that were looked at most are shown, or the first, and the
    heading says so.
    """
    chosen = choose_pages(explanation)
    most = strongest(explanation)
    has_heat = explanation.answer is not None
    inner = (3 if has_heat else 2) * (BOX[0] + _GAP) - _GAP
    lines = heading(explanation)
    if len(chosen) < len(explanation.pages):
        which = "those looked at most" if has_heat else "the first"
        lines.append(f"Shown are {len(chosen)} of {len(explanation.pages)} pages, {which}.")
    blocks = [_draw_lines([piece for line in lines for piece in wrap(line, inner, 18)], inner)]
    if len(explanation.pages) > 1:
        blocks.append(_draw_chart(explanation, inner))
    if has_heat:
        blocks.append(_draw_scale(inner))
    blocks += [_draw_page(seen, page_panels(seen, most), inner) for seen in chosen]
    blocks += [draw_video(seen, inner, most) for seen in explanation.videos]
    return _stack(blocks, inner)


def _stack(blocks: Sequence[Image.Image], inner: int) -> Image.Image:
    tall = sum(block.height for block in blocks)
    sheet = Image.new("RGB", (inner + 2 * _EDGE, tall + 2 * _EDGE), PAPER)
    y = _EDGE
    for block in blocks:
        sheet.paste(block, (_EDGE, y))
        y += block.height
    return sheet


def choose_pages(explanation: Explanation) -> list[SeenPage]:
    """The pages that a picture has room for, in order."""
    has_heat = explanation.answer is not None
    return choose(explanation.pages, MOST_PAGES, page_share if has_heat else None)


def choose(
    things: Sequence[SeenPage], most: int, share: Callable[[SeenPage], float] | None
) -> list[SeenPage]:
    """At most so many, in order: those of the largest share, or the first."""
    if len(things) <= most or share is None:
        return list(things[:most])
    by_share = sorted(range(len(things)), key=lambda idx: -share(things[idx]))
    return [things[idx] for idx in sorted(by_share[:most])]


def _draw_lines(texts: Sequence[str], inner: int) -> Image.Image:
    block = Image.new("RGB", (inner, 28 * len(texts) + 6), PAPER)
    for idx, text in enumerate(texts):
        write(block, (0, 28 * idx), text, size=18)
    return block


def _draw_chart(explanation: Explanation, inner: int) -> Image.Image:
    block = Image.new("RGB", (inner, _BARS + 42), PAPER)
    pages = explanation.pages
    cited = {page.index for page in (explanation.answer.pages if explanation.answer else ())}
    text = "Visual tokens of each page; pale: what it would take without a limit."
    if cited:
        text += " The page cited is red."
    write(block, (0, 0), text, size=14, colour=SOFT)
    chart = draw_bars(
        (inner, _BARS),
        [seen.info.visual_tokens for seen in pages],
        [seen.info.visual_tokens_before for seen in pages],
        [idx in cited for idx in range(len(pages))],
    )
    block.paste(chart, (0, 22))
    return block


def _draw_scale(inner: int) -> Image.Image:
    block = Image.new("RGB", (inner, 36), PAPER)
    write(block, (0, 4), "attention: little", size=14, colour=SOFT)
    block.paste(heat_scale(120, 12), (118, 7))
    write(block, (246, 4), "much (the same scale everywhere)", size=14, colour=SOFT)
    return block


def _draw_page(seen: SeenPage, panels: Sequence[Panel], inner: int) -> Image.Image:
    tall = 78 + max(panel.picture.height for panel in panels) + _GAP
    block = Image.new("RGB", (inner, tall), PAPER)
    title = page_title(seen)
    if seen.looked is not None and page_share(seen) < 0.9999:
        title += f" - {page_share(seen):.0%} of the attention to all of them"
    write(block, (0, 0), wrap(title, inner, 17, 1)[0], size=17, colour=INK)
    write(block, (0, 24), wrap(page_facts(seen), inner, 14, 1)[0], size=14, colour=SOFT)
    x = 0
    for panel in panels:
        colour = TILE if panel.title.startswith("where") else SOFT
        write(block, (x, 48), wrap(panel.title, BOX[0], 13, 1)[0], size=13, colour=colour)
        block.paste(panel.picture, (x, 70))
        x += BOX[0] + _GAP
    return block
