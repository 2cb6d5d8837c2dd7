"""Which heads of a model tell the page it reads from, and how far they can be trusted.

Booklets of five generated pages are asked about. On one half of them heads are chosen, and the
threshold; the other half, of other seeds, says how often the page cited is the right one.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from ..data.synthetic import GeneratorConfig, draw_booklet
from ..errors import ConfigError
from ..vlm.citations import Citations, page_shares
from ..vlm.generate import Generation
from ..vlm.model import VisionLanguageModel
from ..vlm.sampling import GenerationConfig
from ..vlm.vlm import VLM

PAGES = 5
FIRST_SEED = 83_000_000
CONFIG = GeneratorConfig(
    level="lines", split="heldout", font_sizes=(13, 16), widths=(224, 288), aligned_share=0.7
)
MOST_HEADS = 4
FEWEST = 20  # right answers, for heads that follow them by chance are found among fewer
PRECISION = 0.9  # of the pages cited for right answers, on the half that the threshold is set on


@dataclass(frozen=True, kw_only=True)
class Looked:
    """One answered question: the page that has it, and each head's shares of the pages.

    Attributes:
        page: from 0; -1 where the answer is of all pages together.
        kind: of the question.
    """

    is_right: bool
    page: int
    shares_LHP: Tensor
    kind: str = ""


def look(
    vlm: VLM, questions: int, *, first_seed: int = FIRST_SEED, about_pages: bool = False
) -> Iterator[Looked]:
    """Ask about booklets, at most two questions of each, and see where the model looks.

    Args:
        about_pages: ask of each also which page says something, and how many pages there are.

    Raises:
        ConfigError: the model sees no pictures, or has no attention layer.
    """
    model = vlm.model
    if not isinstance(model, VisionLanguageModel):
        raise ConfigError("This model sees no pages, so it has none to cite.")
    if "*" not in model.config.text.hybrid_override_pattern:
        raise ConfigError("This model has no attention layer, so nothing tells where it looks.")
    seed, asked = first_seed, 0
    while asked < questions:
        booklet = draw_booklet(seed, CONFIG, pages=PAGES, max_questions=2, about_pages=about_pages)
        seed += 1
        for each in booklet.questions[: questions - asked]:
            content: list[dict[str, Any]] = [
                {"type": "image", "image": page.image} for page in booklet.pages
            ]
            content.append({"type": "text", "text": each.qa.question})
            inputs = vlm.processor([{"role": "user", "content": content}])
            generation = Generation(
                model,
                inputs,
                GenerationConfig(max_tokens=64),
                end_ids=vlm.end_ids,
                context_length=vlm.context_length,
                can_look=True,
            )
            text = vlm.processor.decode([choice.id for choice in generation])
            looked = generation.look()
            if looked is None:
                continue
            tokens = [info.visual_tokens for info in generation.inputs.images]
            shares = page_shares(
                looked, generation.inputs.input_ids, vlm.processor.image_token_id, tokens
            )
            asked += 1
            is_right = text.strip() == each.qa.answer
            yield Looked(
                is_right=is_right, page=each.page - 1, shares_LHP=shares.cpu(), kind=each.qa.kind
            )


def calibrate(looked: Sequence[Looked]) -> Citations:
    """Heads, added one by one while more right answers find their page, and the threshold.

    Raises:
        ConfigError: no answer was right, so nothing can be learnt from where the model looked.
    """
    right = [each for each in looked if each.is_right and each.page >= 0]
    if not right:
        raise ConfigError(
            f"None of the {len(looked)} questions about {PAGES} pages was answered rightly, so "
            "nothing tells which heads follow the page."
        )
    shares = torch.stack([each.shares_LHP for each in right])
    pages = torch.tensor([each.page for each in right])
    layers, heads = shares.shape[1:3]
    free = [(layer, head) for layer in range(layers) for head in range(heads)]
    chosen: list[tuple[int, int]] = []
    best = -1.0
    while free and len(chosen) < MOST_HEADS:
        scored = [(_accuracy(shares, pages, [*chosen, each]), each) for each in free]
        hits, head = max(scored, key=lambda pair: (pair[0], -pair[1][0], -pair[1][1]))
        if hits <= best:
            break
        best = hits
        chosen.append(head)
        free.remove(head)
    means = _means(shares, chosen)
    tops, first = means.max(-1)
    hits = (first == pages).float()
    order = tops.argsort(descending=True)
    precision = hits[order].cumsum(0) / torch.arange(1, len(order) + 1)
    good = (precision >= PRECISION).nonzero().flatten()
    threshold = float(tops[order[good[-1]]]) if len(good) else 1.0
    return Citations(heads=tuple(chosen), threshold=round(threshold, 4))


def judge(looked: Sequence[Looked], how: Citations) -> dict[str, Any]:
    """How often the first page is the right one, with and without the threshold."""
    looked = [each for each in looked if each.page >= 0]
    found: dict[str, Any] = {"questions": len(looked), "pages": PAGES}
    for name, group in (
        ("right_answers", [each for each in looked if each.is_right]),
        ("wrong_answers", [each for each in looked if not each.is_right]),
    ):
        if not group:
            found[name] = {"n": 0}
            continue
        means = _means(torch.stack([each.shares_LHP for each in group]), how.heads)
        tops, first = means.max(-1)
        hits = first == torch.tensor([each.page for each in group])
        cited = tops >= how.threshold
        found[name] = {
            "n": len(group),
            "page_first": float(hits.float().mean()),
            "cited": float(cited.float().mean()),
            "cited_right": float(hits[cited].float().mean()) if bool(cited.any()) else None,
        }
    return found


def measure_citations(
    vlm: VLM, questions: int, notify: Callable[[int, int], None] = lambda done, total: None
) -> tuple[Citations, dict[str, Any]]:
    """Calibrate on `questions` questions and judge on as many of other seeds."""
    halves: list[list[Looked]] = [[], []]
    for half, first_seed in zip(halves, (FIRST_SEED, FIRST_SEED + 1_000_000), strict=True):
        for each in look(vlm, questions, first_seed=first_seed):
            half.append(each)
            notify(len(halves[0]) + len(halves[1]), 2 * questions)
    how = calibrate(halves[0])
    return how, judge(halves[1], how)


def _means(shares_NLHP: Tensor, heads: Sequence[tuple[int, int]]) -> Tensor:
    return torch.stack([shares_NLHP[:, layer, head] for layer, head in heads]).mean(0)


def _accuracy(shares: Tensor, pages: Tensor, heads: Sequence[tuple[int, int]]) -> float:
    return float((_means(shares, heads).argmax(-1) == pages).float().mean())
