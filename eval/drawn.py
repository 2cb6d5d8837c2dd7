"""The benchmarks that are drawn, and need no file: `latentvlm-docs` and `latentvlm-video`.

`latentvlm-video` asks about drawn videos that training never sees: slides, screens, shapes,
counters and tickers with held-out words, fonts and phrasings; every other one has 32 frames or
more. Its seeds are fixed, and `questions_hash` of a manifest proves that the frames are the same.
"""

from collections.abc import Sequence

from ..data.synthetic import GeneratorConfig
from ..data.synthetic.videos.generate import generate_video
from ..errors import ConfigError
from .benchmarks.benchmark import Benchmark, Draft, Loaded
from .benchmarks.question import Question
from .benchmarks.row import Row
from .documents import BENCHMARK, DocumentSample
from .metrics import Gold

VIDEO_BENCHMARK = "latentvlm-video"
_FIRST_VIDEO_SEED = 73_000_000
_NUM_QUESTIONS = 300
_VIDEO_TOKENS = 64
MANY_FRAMES = 32
_FRAMES = ((8, MANY_FRAMES - 1), (MANY_FRAMES, 36))  # of every other video


def _none(row: Row) -> Draft:
    raise NotImplementedError(f"{row.where}: a drawn benchmark reads no rows")


def _drawn(name: str, title: str) -> Benchmark:
    return Benchmark(
        name=name,
        title=title,
        splits={"heldout": ()},
        put="nothing: it is drawn.",
        read=_none,
        prompts={"": "{question}"},
        metric="exact_match",
        metrics=("anls", "answer"),
    )


DOCUMENTS = _drawn(BENCHMARK, "drawn documents")
VIDEOS = _drawn(VIDEO_BENCHMARK, "drawn videos")


def documents_question(sample: DocumentSample) -> Question:
    """A question of `latentvlm-docs` as every benchmark has them."""
    request = sample.request
    return Question(
        id=request.id,
        text=request.question,
        media=request.media,
        gold=Gold(answers=sample.golds),
        metric="exact_match",
        kind=f"{sample.rung}: {sample.kind}",
        group=f"{sample.rung}/{sample.seed}",
        max_tokens=request.max_tokens,
    )


def documents_loaded(samples: Sequence[DocumentSample]) -> Loaded:
    """The questions of `latentvlm-docs`."""
    questions = [documents_question(sample) for sample in samples]
    return Loaded(benchmark=DOCUMENTS, split="heldout", questions=questions)


def video_config(seed: int) -> GeneratorConfig:
    """How the video of a seed is drawn: held-out words, fonts and phrasings."""
    frames = _FRAMES[seed % 2]
    return GeneratorConfig(level="video", split="heldout", frames=frames, max_questions=3)


def load_videos(limit: int | None = None) -> Loaded:
    """The questions of `latentvlm-video`.

    Raises:
        ConfigError: the limit is not positive.
    """
    if limit is not None and limit < 1:
        raise ConfigError(f"The limit is {limit}; it must be at least 1.")
    count = min(limit or _NUM_QUESTIONS, _NUM_QUESTIONS)
    questions: list[Question] = []
    seed = _FIRST_VIDEO_SEED
    while len(questions) < count:
        video = generate_video(seed, video_config(seed))
        medium = {
            "type": "video",
            "frames": tuple(video.frames),
            "timestamps": tuple(float(each) for each in video.timestamps),
        }
        for idx, qa in enumerate(video.qas[: count - len(questions)]):
            questions.append(
                Question(
                    id=f"video/{seed - _FIRST_VIDEO_SEED:04d}/{idx}",
                    text=qa.question,
                    media=(medium,),
                    gold=Gold(answers=(qa.answer,)),
                    metric="exact_match",
                    kind=qa.kind,
                    group=f"video/{seed - _FIRST_VIDEO_SEED:04d}",
                    max_tokens=_VIDEO_TOKENS,
                )
            )
        seed += 1
    return Loaded(benchmark=VIDEOS, split="heldout", questions=questions)
