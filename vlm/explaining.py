"""What a model sees of pages, token by token, and where its answer looked: values, no pictures."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from ..data.frame_choice import FrameChoice
from ..data.image_transform import ImageInfo
from ..data.media import Page
from ..data.media.page_range import PageChoice
from ..data.processor import Processor
from ..errors import InputError
from ..token_reduction.tiling import Tiling
from .answer import Answer, CitedPage
from .answer_stream import AnswerStream
from .api import VLM
from .asking import Request, open_pages
from .citations import Looked
from .conversation import Medium, question_message
from .model import VisionLanguageModel
from .prepared import Prepared
from .sampling import GenerationConfig


@dataclass(frozen=True, kw_only=True)
class SeenPage:
    """A page as the model sees it.

    Attributes:
        page: as it was opened.
        info: what became of it.
        token_grid: rows and columns of visual tokens over the whole page.
        tiles: rows and columns of tiles; (1, 1) where it is not cut into any.
        thumbnail_tokens: visual tokens of a small picture of the whole page beside its tiles.
        looked: float32 of the shape of `token_grid`, how much of the answer's attention to all
            pages went to each token; None without a question. A thumbnail's tokens are
            not in it.
    """

    page: Page
    info: ImageInfo
    token_grid: tuple[int, int]
    tiles: tuple[int, int] = (1, 1)
    thumbnail_tokens: int = 0
    looked: Tensor | None = None


@dataclass(frozen=True, kw_only=True)
class Explanation:
    """All pages of a prompt in order, the question, and the answer if one was asked for."""

    pages: tuple[SeenPage, ...]
    question: str = ""
    answer: Answer | None = None


def explain(
    vlm: VLM,
    question: str,
    media: Sequence[Medium],
    *,
    pages: PageChoice = None,
    dpi: float | None = None,
    text_layer: bool = False,
    token_budget: int | None = None,
    generation: GenerationConfig | None = None,
) -> Explanation:
    """What the model sees of pages; with a question, also where the answer looked.

    Without a question nothing runs but the processor.

    Raises:
        InputError: the model sees no pages, has no attention layer, or there is a video.
        PromptError, MediaError: as `VLM.ask`.
    """
    if not isinstance(vlm.model, VisionLanguageModel):
        raise InputError("This checkpoint reads text only; it has no part that sees pictures.")
    if not media:
        raise InputError("There is no page to explain; give a picture or a PDF.")
    messages = [question_message(question or "?", media)]
    if not question:
        opened = open_pages(
            vlm.model,
            vlm.processor,
            messages,
            pages=pages,
            dpi=dpi,
            frames=FrameChoice(),
            text_layer=text_layer,
        )
        _no_videos(len(opened.videos))
        room = (generation or GenerationConfig()).max_tokens
        inputs = vlm.processor(
            opened.messages,
            token_budget=token_budget,
            answer_room=min(room, (vlm.context_length or 0) // 4),
        )
        return Explanation(pages=_seen(vlm.processor, opened.pages, inputs.images, None))
    request = Request(
        messages=messages,
        pages=pages,
        dpi=dpi,
        text_layer=text_layer,
        generation=generation,
        token_budget=token_budget,
    )
    watch = Watch(vlm, vlm.prepare(request))
    _no_videos(len(watch.prepared.frames))
    answer = AnswerStream(vlm.model, watch.prepared).read()
    return watch.explanation(question, answer)


class Watch:
    """Sees where an answer looks, whoever writes it: an `AnswerStream` or an engine.

    Attributes:
        prepared: the prompt that is to be answered, by one answer.
        inputs: the prompt as it was read, without what EVS dropped; as it was given until the
            answer is there.
    """

    def __init__(self, vlm: VLM, prepared: Prepared) -> None:
        """Watch one prompt.

        Raises:
            InputError: the model sees no pages, or has no attention layer.
        """
        if not isinstance(vlm.model, VisionLanguageModel):
            raise InputError("This checkpoint reads text only; it has no part that sees pictures.")
        if "*" not in vlm.model.config.text.hybrid_override_pattern:
            raise InputError("This model has no attention layer, so nothing tells where it looks.")
        self._vlm = vlm
        self._cite = prepared.cite
        self._row_T: Tensor | None = None
        self.inputs = prepared.inputs
        self.prepared = replace(prepared, cite=self._look)

    def _look(self, run: Looked, first: int) -> tuple[CitedPage, ...]:
        self.inputs = run.inputs
        found = run.look(first)
        if found is not None:
            self._row_T = _chosen(found, self._vlm).cpu()
        return () if self._cite is None else self._cite(run, first)

    def explanation(self, question: str = "", answer: Answer | None = None) -> Explanation:
        """All pages, and where the answer looked if it was written to its end."""
        looked_V = None
        if self._row_T is not None:
            places = self.inputs.input_ids.cpu() == self._vlm.processor.image_token_id
            looked_V = self._row_T[: len(places)][places]
            looked_V = looked_V / looked_V.sum().clamp(min=1e-30)
        seen = _seen(self._vlm.processor, self.prepared.pages, self.inputs.images, looked_V)
        return Explanation(pages=seen, question=question, answer=answer)


def _chosen(rows: Tensor, vlm: VLM) -> Tensor:
    """The answer's mean row `(tokens,)`: of the heads that follow pages, if they are known."""
    means = rows.mean(2)
    how = vlm.limits.citations
    if how is None or not how.heads:
        return means.mean((0, 1))
    return torch.stack([means[layer, head] for layer, head in how.heads]).mean(0)


def _seen(
    processor: Processor,
    pages: Sequence[Page],
    infos: Sequence[ImageInfo],
    looked_V: Tensor | None,
) -> tuple[SeenPage, ...]:
    rule = processor.transform.rule
    parts: Sequence[Tensor | None] = [None] * len(infos)
    if looked_V is not None:
        parts = looked_V.split([info.visual_tokens for info in infos])
    found = []
    for page, info, part in zip(pages, infos, parts, strict=True):
        rows, cols = (side // rule.merge_size for side in info.grid)
        tiles = (1, 1)
        if isinstance(rule, Tiling):
            side = rule.tile_grid[0]
            tiles = info.grid[0] // side, info.grid[1] // side
        found.append(
            SeenPage(
                page=page,
                info=info,
                token_grid=(rows, cols),
                tiles=tiles,
                thumbnail_tokens=info.visual_tokens - rows * cols,
                looked=None if part is None else as_grid(part[: rows * cols], (rows, cols), tiles),
            )
        )
    return tuple(found)


def as_grid(tokens_V: Tensor, grid: tuple[int, int], tiles: tuple[int, int]) -> Tensor:
    """Tokens tile by tile, each row by row, to rows and columns of the whole page."""
    down, across = tiles
    rows, cols = grid[0] // down, grid[1] // across
    return tokens_V.view(down, across, rows, cols).transpose(1, 2).reshape(grid)


def _no_videos(count: int) -> None:
    if count:
        raise InputError("explain draws pictures and PDFs; a video cannot be explained yet.")
