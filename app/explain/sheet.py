"""An explanation as one picture."""

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

MOST_PAGES = 12  # of a picture; a page of HTML shows all
_EDGE, _GAP = 28, 24
_BARS = 90


def draw_sheet(explanation: Explanation) -> Image.Image:
    """Heading, a bar of tokens for each page, then the panels of each page below one another.

    Of more than `MOST_PAGES` pages those that were looked at most are shown, or the first, and the
    heading says so.
    """
    chosen = choose_pages(explanation)
    most = strongest(explanation)
    rows = [(seen, page_panels(seen, most)) for seen in chosen]
    has_heat = explanation.answer is not None
    width = 2 * _EDGE + (3 if has_heat else 2) * BOX[0] + (2 if has_heat else 1) * _GAP
    inner = width - 2 * _EDGE
    lines = heading(explanation)
    if len(chosen) < len(explanation.pages):
        which = "those looked at most" if has_heat else "the first"
        lines.append(f"Shown are {len(chosen)} of {len(explanation.pages)} pages, {which}.")
    texts = [piece for line in lines for piece in wrap(line, inner, 18)]
    is_charted = len(explanation.pages) > 1
    top = _EDGE + 28 * len(texts) + (_BARS + 60 if is_charted else 12) + (30 if has_heat else 0)
    heights = [78 + max(panel.picture.height for panel in panels) + _GAP for _, panels in rows]
    sheet = Image.new("RGB", (width, top + sum(heights) + _EDGE), PAPER)
    y = _EDGE
    for text in texts:
        write(sheet, (_EDGE, y), text, size=18)
        y += 28
    if is_charted:
        y = _draw_chart(sheet, explanation, y + 6, inner)
    if has_heat:
        _draw_scale(sheet, y + 4)
    y = top
    for (seen, panels), height in zip(rows, heights, strict=True):
        _draw_page(sheet, seen, panels, y, inner)
        y += height
    return sheet


def choose_pages(explanation: Explanation) -> list[SeenPage]:
    """The pages that a picture has room for, in order."""
    pages = list(explanation.pages)
    if len(pages) <= MOST_PAGES or explanation.answer is None:
        return pages[:MOST_PAGES]
    by_share = sorted(range(len(pages)), key=lambda idx: -page_share(pages[idx]))
    return [pages[idx] for idx in sorted(by_share[:MOST_PAGES])]


def _draw_chart(sheet: Image.Image, explanation: Explanation, y: int, inner: int) -> int:
    pages = explanation.pages
    cited = {page.index for page in (explanation.answer.pages if explanation.answer else ())}
    text = "Visual tokens of each page; pale: what it would take without a limit."
    if cited:
        text += " The page cited is red."
    write(sheet, (_EDGE, y), text, size=14, colour=SOFT)
    chart = draw_bars(
        (inner, _BARS),
        [seen.info.visual_tokens for seen in pages],
        [seen.info.visual_tokens_before for seen in pages],
        [idx in cited for idx in range(len(pages))],
    )
    sheet.paste(chart, (_EDGE, y + 22))
    return y + 22 + _BARS + 14


def _draw_scale(sheet: Image.Image, y: int) -> None:
    write(sheet, (_EDGE, y), "attention: little", size=14, colour=SOFT)
    sheet.paste(heat_scale(120, 12), (_EDGE + 118, y + 3))
    write(sheet, (_EDGE + 246, y), "much (the same scale on all pages)", size=14, colour=SOFT)


def _draw_page(sheet: Image.Image, seen: SeenPage, panels: list[Panel], y: int, inner: int) -> None:
    title = page_title(seen)
    if seen.looked is not None and page_share(seen) < 0.9999:
        title += f" - {page_share(seen):.0%} of the attention to pages"
    write(sheet, (_EDGE, y), wrap(title, inner, 17, 1)[0], size=17, colour=INK)
    write(sheet, (_EDGE, y + 24), wrap(page_facts(seen), inner, 14, 1)[0], size=14, colour=SOFT)
    x = _EDGE
    for panel in panels:
        colour = TILE if panel.title.startswith("where") else SOFT
        label = wrap(panel.title, BOX[0], 13, 1)[0]
        write(sheet, (x, y + 48), label, size=13, colour=colour)
        sheet.paste(panel.picture, (x, y + 70))
        x += BOX[0] + _GAP
