"""What the model saw as one row of views: each page, and each moment of a video (`moments.py`)."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from PIL import Image

from ...vlm.explaining import Explanation, SeenPage
from ..explain.panels import page_facts, page_panels, page_share, page_title, strongest

TOKENS, INPUT, LOOKED = "Tokens", "As the model gets it", "Where the answer looked"
WAYS = (TOKENS, INPUT, LOOKED)
BOX = (900, 900)  # the most a picture may take, in pixels


class View(Protocol):
    """A page, or the frames that the model takes together.

    Attributes:
        title: which it is.
        facts: what it costs, in a sentence.
        before, tokens: visual tokens without and with reduction.
        share: of the answer's attention to everything seen; None if nobody looked.
        cited: whether the answer was read from it.
    """

    @property
    def title(self) -> str: ...

    @property
    def facts(self) -> str: ...

    @property
    def before(self) -> int: ...

    @property
    def tokens(self) -> int: ...

    @property
    def share(self) -> float | None: ...

    @property
    def cited(self) -> bool: ...

    def draw(self, way: str) -> Image.Image:
        """A picture of it, in one of `WAYS`."""
        ...


@dataclass(frozen=True, kw_only=True)
class PageView:
    """A page; `most` is the attention of the token that got most of everything."""

    page: SeenPage
    most: float
    cited: bool

    @property
    def title(self) -> str:
        return page_title(self.page)

    @property
    def facts(self) -> str:
        return page_facts(self.page)

    @property
    def before(self) -> int:
        return self.page.info.visual_tokens_before

    @property
    def tokens(self) -> int:
        return self.page.info.visual_tokens

    @property
    def share(self) -> float | None:
        return None if self.page.looked is None else page_share(self.page)

    def draw(self, way: str) -> Image.Image:
        panels = page_panels(self.page, self.most, box=BOX)
        return panels[min(WAYS.index(way), len(panels) - 1)].picture


def views_of(explanation: Explanation | None) -> list[View]:
    """All pages in the order of the prompt, then all moments of its videos."""
    if explanation is None:
        return []
    most = strongest(explanation)
    cited = {page.index for page in (explanation.answer.pages if explanation.answer else ())}
    views: list[View] = [
        PageView(page=page, most=most, cited=idx in cited)
        for idx, page in enumerate(explanation.pages)
    ]
    return views


def best_view(views: Sequence[View]) -> int:
    """Where to look first: what was cited, else what was looked at most."""
    cited = [idx for idx, view in enumerate(views) if view.cited]
    if cited or not views:
        return cited[0] if cited else 0
    return max(range(len(views)), key=lambda idx: views[idx].share or 0.0)
