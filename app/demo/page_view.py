"""A page as a view."""

from dataclasses import dataclass

from PIL import Image

from ...vlm.explaining import SeenPage
from ..explain.panels import page_facts, page_panels, page_share, page_title
from .views import BOX, WAYS


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
