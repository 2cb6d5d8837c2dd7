"""What a model sees, token by token, and where its answer looked: values, no pictures."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Unpack

import torch
from torch import Tensor

from ..data.image_transform import ImageInfo
from ..data.media import Page
from ..data.model_inputs import ModelInputs
from ..data.processor import Processor
from ..errors import InputError
from ..token_reduction.tiling import Tiling
from .answer import Answer, CitedPage
from .answer_stream import AnswerStream
from .ask_options import AskOptions
from .asking import make_request
from .citations import Looked
from .conversation import Medium, question_message
from .model import VisionLanguageModel
from .prepared import Prepared
from .prompt import Model, embed_prompt, inputs_on_device
from .seen_videos import SeenVideo, seen_videos
from .vlm import VLM


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
            pages and videos went to each token; None without a question. A thumbnail's tokens are
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
    """All pages and videos of a prompt in order, the question, and the answer if it was asked."""

    pages: tuple[SeenPage, ...]
    videos: tuple[SeenVideo, ...] = ()
    question: str = ""
    answer: Answer | None = None


def explain(
    vlm: VLM, question: str, media: Sequence[Medium], **options: Unpack[AskOptions]
) -> Explanation:
    """What the model sees of pages and videos; with a question, also where the answer looked.

    Without a question nothing runs but the processor, and the tower if EVS drops tokens of a video.

    Args:
        options: as in `VLM.ask`.

    Raises:
        InputError: the model sees no pages, has no attention layer, or nothing is given.
        PromptError, MediaError: as `VLM.ask`.
    """
    if not isinstance(vlm.model, VisionLanguageModel):
        raise InputError("This checkpoint reads text only; it has no part that sees pictures.")
    if not media:
        raise InputError("There is no page to explain; give a picture, a PDF or a video.")
    prepared = vlm.prepare(make_request([question_message(question or "?", media)], **options))
    if not question:
        return _explanation(vlm, prepared, _pruned(vlm.model, prepared.inputs), None)
    if not can_look(vlm.model):
        raise InputError("This model has no attention layer, so nothing tells where it looks.")
    watch = Watch(vlm, prepared)
    answer = AnswerStream(vlm.model, watch.prepared).read()
    return watch.explanation(question, answer)


def can_look(model: Model) -> bool:
    """Whether a model sees pages and has attention that they can get."""
    return isinstance(model, VisionLanguageModel) and (
        "*" in model.config.text.hybrid_override_pattern
    )


class Watch:
    """Sees where an answer looks, whoever writes it: an `AnswerStream` or an engine.

    Attributes:
        prepared: the prompt that is to be answered, by one answer.
        inputs: the prompt as it was read, without what EVS dropped; as it was given until the
            answer is there.
        seconds: how long it took to see.
    """

    def __init__(self, vlm: VLM, prepared: Prepared) -> None:
        """Watch one prompt.

        Of a model without attention layers nothing tells where it looks; what it saw is known.

        Raises:
            InputError: the model sees no pages.
        """
        if not isinstance(vlm.model, VisionLanguageModel):
            raise InputError("This checkpoint reads text only; it has no part that sees pictures.")
        self._vlm = vlm
        self.seconds = 0.0
        self._cite = prepared.cite
        self._row_T: Tensor | None = None
        self.inputs = prepared.inputs
        self.prepared = replace(prepared, cite=self._look)

    def _look(self, run: Looked, first: int) -> tuple[CitedPage, ...]:
        begin = time.perf_counter()
        self.inputs = run.inputs
        found = run.look(first) if can_look(self._vlm.model) else None
        if found is not None:
            self._row_T = _chosen(found, self._vlm).cpu()
        self.seconds = time.perf_counter() - begin
        return () if self._cite is None else self._cite(run, first)

    def explanation(self, question: str = "", answer: Answer | None = None) -> Explanation:
        """All pages and videos, and where the answer looked if it was written to its end."""
        seen = _explanation(self._vlm, self.prepared, self.inputs, self._row_T)
        return replace(seen, question=question, answer=answer)


def _explanation(
    vlm: VLM, prepared: Prepared, inputs: ModelInputs, row_T: Tensor | None
) -> Explanation:
    """What is known of a prompt, `inputs` being it as it was read."""
    assert isinstance(vlm.model, VisionLanguageModel)
    pages, videos = _attention(inputs, row_T, vlm)
    return Explanation(
        pages=_seen(vlm.processor, prepared.pages, inputs.images, pages),
        videos=seen_videos(
            prepared.messages,
            prepared.frames,
            inputs.videos,
            videos,
            frames_per_tubelet=vlm.model.config.frames_per_tubelet,
            evs=prepared.evs,
        ),
    )


@torch.inference_mode()
def _pruned(model: VisionLanguageModel, inputs: ModelInputs) -> ModelInputs:
    """The prompt without the tokens that EVS drops, which the tower's features decide."""
    if not inputs.evs:
        return inputs
    return embed_prompt(model, inputs_on_device(model, inputs))[1]


def _attention(
    inputs: ModelInputs, row_T: Tensor | None, vlm: VLM
) -> tuple[list[Tensor | None], list[Tensor | None]]:
    """The shares of each page's and of each video's tokens in what was looked at of all of them."""
    if row_T is None:
        return [None] * len(inputs.images), [None] * len(inputs.videos)
    assert isinstance(vlm.model, VisionLanguageModel)
    ids = inputs.input_ids.cpu()
    row_T = row_T[: len(ids)]
    of_pages = row_T[ids == vlm.processor.image_token_id] if inputs.images else row_T[:0]
    of_videos = row_T[ids == vlm.model.config.video_placeholder_id] if inputs.videos else row_T[:0]
    total = (of_pages.sum() + of_videos.sum()).clamp(min=1e-30)
    sizes = [sum(info.kept_per_tubelet) for info in inputs.videos]
    return (
        list((of_pages / total).split([info.visual_tokens for info in inputs.images])),
        list((of_videos / total).split(sizes)),
    )


def _chosen(means: Tensor, vlm: VLM) -> Tensor:
    """The answer's mean row `(tokens,)`: of the heads that follow pages, if they are known."""
    how = vlm.limits.citations
    if how is None or not how.heads:
        return means.mean((0, 1))
    return torch.stack([means[layer, head] for layer, head in how.heads]).mean(0)


def _seen(
    processor: Processor,
    pages: Sequence[Page],
    infos: Sequence[ImageInfo],
    looked: Sequence[Tensor | None],
) -> tuple[SeenPage, ...]:
    rule = processor.transform.rule
    found = []
    for page, info, part in zip(pages, infos, looked, strict=True):
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
