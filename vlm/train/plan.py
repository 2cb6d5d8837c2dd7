"""What a stage's shards hold: documents drawn from its mixture, each from its own seed."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Iterator
from dataclasses import dataclass

from ...data.shards import Record
from ...data.synthetic import Document, GeneratorConfig, draw_booklet, generate
from ...data.synthetic.config import VIDEO_LEVEL
from ...data.synthetic.videos import DrawnVideo, generate_video
from .stage import MixtureEntry


@dataclass(frozen=True, kw_only=True)
class SyntheticPlan:
    """Shard k holds documents k * n to (k + 1) * n - 1 of the stage: a function of k alone.

    Attributes:
        seed: of the recipe.
        stage: name of the stage; stages of one recipe share no documents.
        mixture: kinds of documents, with weights.
        documents_per_shard: n.
        distinct_shards: shards that differ before they come again; 0 for without end.
    """

    seed: int
    stage: str
    mixture: tuple[MixtureEntry, ...]
    documents_per_shard: int
    distinct_shards: int = 0

    def records(self, shard: int) -> Iterator[Record]:
        """Draw the documents of a shard, one after the other."""
        if self.distinct_shards:
            shard %= self.distinct_shards
        first = shard * self.documents_per_shard
        for idx in range(first, first + self.documents_per_shard):
            seed = document_seed(self.seed, self.stage, idx)
            entry = self._choose(seed)
            config = entry.config
            assert config is not None, "plans draw"
            if entry.pages != (1, 1):
                yield draw_pages(f"{idx:09d}", seed, config, entry.pages)
                continue
            draw = generate_video if config.level == VIDEO_LEVEL else generate
            yield to_record(f"{idx:09d}", seed, draw(seed, config))

    def texts(self, shard: int) -> Iterator[str]:
        """What the documents of a shard say."""
        for record in self.records(shard):
            yield from record_texts(record)

    def _choose(self, seed: int) -> MixtureEntry:
        kinds = [entry for entry in self.mixture if entry.config is not None]
        if len(kinds) == 1:
            return kinds[0]
        rng = random.Random(f"mixture {seed}")
        weights = [entry.weight for entry in kinds]
        return rng.choices(kinds, weights)[0]


def record_texts(record: Record) -> Iterator[str]:
    """What a record says: its text, its questions and answers."""
    if record.meta.get("lines"):
        yield "\n".join(record.meta["lines"])
    for _, question, answer in record.questions():
        yield question
        yield answer


def document_seed(seed: int, stage: str, idx: int) -> int:
    """A seed for document `idx` of a stage; stages start at unrelated places."""
    digest = hashlib.sha256(f"{seed} {stage}".encode()).digest()
    return int.from_bytes(digest[:6], "big") * 1000 + idx


def draw_pages(key: str, seed: int, config: GeneratorConfig, pages: tuple[int, int]) -> Record:
    """A document of several pages, drawn, as a shard keeps it; `codes` of each page in `pages`."""
    count = random.Random(f"pages {seed}").randint(*pages)
    booklet = draw_booklet(
        seed, config, pages=count, max_questions=config.max_questions, about_pages=True
    )
    singles = [to_record(key, seed, page) for page in booklet.pages]
    return Record(
        key=key,
        image=singles[0].image,
        more_pages=tuple(each.image for each in singles[1:]),
        meta={
            "seed": seed,
            "lines": [line for each in singles for line in each.meta["lines"]],
            "pages": [{k: each.meta[k] for k in ("codes", "centers")} for each in singles],
            "qas": [[q.qa.kind, q.qa.question, q.qa.answer] for q in booklet.questions],
        },
    )


def to_record(key: str, seed: int, document: Document | DrawnVideo) -> Record:
    """A document or a video as a shard keeps it; of a video, the characters of its first frame."""
    is_video = isinstance(document, DrawnVideo)
    return Record(
        key=key,
        image=document.frames[0] if is_video else document.image,
        frames=document.frames if is_video else None,
        timestamps=document.timestamps if is_video else (),
        meta={
            "seed": seed,
            "template": document.template,
            "font": document.font,
            "lines": list(document.lines),
            "codes": document.char_codes.tolist(),
            # A tenth of a pixel is finer than any slot.
            "centers": [round(value, 1) for value in document.char_centers.reshape(-1).tolist()],
            "qas": [[qa.kind, qa.question, qa.answer] for qa in document.qas],
        },
    )
