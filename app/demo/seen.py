"""Everything that was seen as one row of views."""

from collections.abc import Sequence

from ...vlm.explaining import Explanation
from ..explain.panels import strongest
from .moments import MomentView
from .page_view import PageView
from .views import View


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
    for video in explanation.videos:
        views += [
            MomentView(video=video, number=number, most=most)
            for number in range(video.info.shape[0])
        ]
    return views


def best_view(views: Sequence[View]) -> int:
    """Where to look first: what was cited, else what was looked at most."""
    cited = [idx for idx, view in enumerate(views) if view.cited]
    if cited or not views:
        return cited[0] if cited else 0
    return max(range(len(views)), key=lambda idx: views[idx].share or 0.0)
