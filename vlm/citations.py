"""Which page an answer was read from: where the model looked as it wrote it.

Of each token of the answer the attention layers' rows over the prompt are computed once more, and
what falls on a page is divided by the page's tokens, so that a large page is not cited for its size
alone. Which heads tell pages apart, and how clear they must be, was measured on generated documents
(`latentvlm eval citations`) and lies in `latentvlm.json`; a model without it cites nothing.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from ..data.media import Page
from ..data.model_inputs import ModelInputs
from .answer import CitedPage
from .token_writer import TokenWriter


class Looked(Protocol):
    """A finished answer of which it can be seen where the model looked; see `Generation.look`."""

    inputs: ModelInputs
    writer: TokenWriter

    def look(self, first: int = 0) -> Tensor | None: ...


@dataclass(frozen=True, kw_only=True)
class Citations:
    """How a model's pages are cited.

    Attributes:
        heads: attention layer (counted among those alone) and head, from 0.
        threshold: the least share of the first page, below which none is cited.
    """

    heads: tuple[tuple[int, int], ...]
    threshold: float


def page_shares(means: Tensor, input_ids: Tensor, image_id: int, tokens: Sequence[int]) -> Tensor:
    """How each head divides its attention among the pages, the sizes of pages made even.

    Args:
        means: `(layers, heads, all tokens)`, as `Generation.look` gives them.
        input_ids: int64 `(prompt tokens,)`.
        image_id: what stands for one visual token of a page.
        tokens: visual tokens of each page, in order.

    Returns:
        `(layers, heads, pages)`; each head's shares add up to 1.
    """
    places = (input_ids == image_id).nonzero().squeeze(1).to(means.device)
    assert len(places) == sum(tokens), "every visual token is of a page"
    looked = means[..., places].split(list(tokens), dim=-1)
    of_pages = torch.stack([part.mean(-1) for part in looked], dim=-1)
    return of_pages / of_pages.sum(-1, keepdim=True).clamp(min=1e-30)


def cite(
    generation: Looked,
    first: int,
    *,
    pages: Sequence[Page],
    image_id: int,
    how: Citations | None,
) -> tuple[CitedPage, ...]:
    """The page that a finished answer was read from; nothing where that is not clear.

    Args:
        generation: run with `can_look`.
        first: the first token of the answer, after any thought.
        pages: all pages of the prompt.
    """
    inputs = generation.inputs
    if how is None or not how.heads or len(pages) < 2:
        return ()
    looked = generation.look(first)
    if looked is None:
        return ()
    tokens = [info.visual_tokens for info in inputs.images]
    shares = page_shares(looked, inputs.input_ids, image_id, tokens)
    mean = torch.stack([shares[layer, head] for layer, head in how.heads]).mean(0)
    best = int(mean.argmax())
    share = float(mean[best])
    if share < how.threshold:
        return ()
    page = pages[best]
    return (CitedPage(index=best, source=page.source, number=page.number, confidence=share),)
