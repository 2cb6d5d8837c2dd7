"""MLVU: multiple choice about long videos, seven kinds. J. Zhou et al., CVPR 2025."""

from .benchmark import Benchmark, Draft, choice_gold, lettered
from .row import Row


def _read(row: Row) -> Draft:
    kind = str(row.get("question_type", "task_type", default="")) or row.path.stem
    options, video = row.texts("candidates", "options"), row.text("video", "video_name")
    folder = row.path.stem
    return Draft(
        id=f"mlvu/{folder}/{row.number}",
        values={"question": row.text("question"), "options": lettered(options, "({}) {}")},
        media=(row.file(video, folders=(f"video/{folder}", f"MLVU/video/{folder}", "video")),),
        gold=choice_gold(row.get("answer"), options),
        kind=kind,
        group=video,
    )


MLVU = Benchmark(
    name="mlvu",
    title="MLVU",
    splits={"dev": ("json/[0-9]_*.json", "MLVU/json/[0-9]_*.json")},
    put="json/1_plotQA.json ... and video/1_plotQA/ ... of huggingface.co/datasets/MLVU/MVLU.",
    read=_read,
    prompts={"": "{question}\n{options}\nOnly give the best option.\nBest option: ("},
    metric="mlvu",
    max_tokens=16,
    total="macro",
)
