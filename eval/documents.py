"""`latentvlm-docs`: questions about generated documents that training never sees.

Everything about them is held out: words and values, phrasings of half of the questions, templates
and, but for the first rung, fonts. The rungs rise from one line of text to a whole page; the small
ones are what the default model for a CPU is made for: crisp slips of 224 to 288 pixels, type of 13
to 16. Seeds are fixed, so that the questions are the same everywhere; `content_hash` proves it.
"""

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from ..data.synthetic import GeneratorConfig, generate
from ..errors import ConfigError
from .request_hash import request_hash
from .samples import Request, Sample

BENCHMARK = "latentvlm-docs"
VERSION = 2
_FIRST_SEED = 71_000_000
_QUESTIONS_PER_DOCUMENT = 4


@dataclass(frozen=True, kw_only=True)
class Rung:
    """A step of the ladder.

    Attributes:
        title: what it is, in a few words.
        config: how its documents are drawn.
        num_questions: how many it has in all.
        max_tokens: the longest answer waited for; well above what the longest right one takes.
        metric: what it is judged by: "cer" or "exact".
    """

    title: str
    config: GeneratorConfig
    num_questions: int
    max_tokens: int
    metric: str = "exact"


def _config(
    level: str,
    *,
    fonts: tuple[str, ...] = (),
    sizes: tuple[int, int] = (13, 16),
    widths: tuple[int, int] = (224, 288),
) -> GeneratorConfig:
    # Every value that the documents depend on is named, so that new defaults do not move them.
    return GeneratorConfig(
        level=level,
        split="heldout",
        fonts=fonts,
        font_sizes=sizes,
        widths=widths,
        reshaped=0.0,
        scrambled=0.0,
        noise=0.0,
        max_questions=_QUESTIONS_PER_DOCUMENT,
    )


RUNGS: dict[str, Rung] = {
    "line-one-font": Rung(
        title="one line, one training font",
        config=_config("line", fonts=("arimo",)), num_questions=200, max_tokens=128, metric="cer",
    ),
    "line": Rung(
        title="one line, held-out fonts",
        config=_config("line"), num_questions=300, max_tokens=128, metric="cer",
    ),
    "lines": Rung(
        title="two or three lines",
        config=_config("lines"), num_questions=400, max_tokens=256,
    ),
    "small": Rung(
        title="three to six lines",
        config=_config("small"), num_questions=400, max_tokens=512,
    ),
    "page": Rung(
        title="whole pages",
        config=_config("page", sizes=(12, 20), widths=(0, 0)), num_questions=400, max_tokens=1024,
    ),
}  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class DocumentSample(Sample):
    """A question about a generated document, with what it takes to draw the document again.

    Attributes:
        seed, config: of the generator.
        slot: the printed value it asks for, if `redraw` can replace it; else "".
        document_text: all that is printed.
    """

    seed: int
    config: GeneratorConfig
    slot: str
    document_text: str


def document_samples(
    rungs: Sequence[str] = (), *, limit: int | None = None
) -> list[DocumentSample]:
    """The questions of the benchmark.

    Args:
        rungs: names from `RUNGS`; empty means all.
        limit: the most questions of each rung, from its beginning.

    Raises:
        ConfigError: there is no such rung, or the limit is not positive.
    """
    if limit is not None and limit < 1:
        raise ConfigError(f"The limit is {limit}; it must be at least 1.")
    for name in rungs:
        if name not in RUNGS:
            raise ConfigError(f"There is no rung {name!r}; the rungs are {', '.join(RUNGS)}.")
    samples: list[DocumentSample] = []
    for name in dict.fromkeys(rungs or RUNGS):
        rung = RUNGS[name]
        count = min(limit or rung.num_questions, rung.num_questions)
        samples += _rung_samples(name, rung, count)
    return samples


def _rung_samples(name: str, rung: Rung, count: int) -> list[DocumentSample]:
    samples: list[DocumentSample] = []
    seed = _FIRST_SEED
    while len(samples) < count:
        document = generate(seed, rung.config)
        for idx, qa in enumerate(document.qas[: count - len(samples)]):
            request = Request(
                id=f"{name}/{seed - _FIRST_SEED:04d}/{idx}",
                question=qa.question,
                media=(document.image,),
                max_tokens=rung.max_tokens,
            )
            samples.append(
                DocumentSample(
                    request=request,
                    rung=name,
                    kind=qa.kind,
                    golds=(qa.answer,),
                    seed=seed,
                    config=rung.config,
                    slot=qa.slot,
                    document_text=document.text,
                )
            )
        seed += 1
    return samples


def content_hash(samples: Iterable[Sample]) -> str:
    """A checksum of all questions, pictures and answers: equal means the same benchmark."""
    digest = hashlib.sha256()
    for sample in samples:
        parts = (request_hash(sample.request), sample.rung, sample.kind, *sample.golds)
        digest.update("\n".join(parts).encode("utf-8") + b"\0")
    return digest.hexdigest()[:16]
