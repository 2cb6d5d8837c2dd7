"""Video-MME: multiple choice about videos of 11 seconds to an hour. C. Fu et al., CVPR 2025.

Asked without subtitles; the kits' prompt speaks of subtitles even then, this one does not.
"""

from .benchmark import Benchmark, Draft, choice_gold
from .row import Row


def _read(row: Row) -> Draft:
    video = row.text("videoID", "video_id")
    options = row.texts("options")
    gold = choice_gold(row.get("answer"), options)
    return Draft(
        id=f"video_mme/{row.text('question_id')}",
        values={"question": row.text("question"), "options": "\n".join(options)},
        media=(row.file(video, folders=("data", "videos", "video"), suffix=".mp4"),),
        gold=gold,
        kind=str(row.get("duration", default="")),
        group=video,
    )


VIDEO_MME = Benchmark(
    name="video_mme",
    title="Video-MME",
    splits={"test": ("videomme/test-*.parquet", "**/test-*.parquet", "*test*.jsonl")},
    put=(
        "videomme/test-*.parquet and the videos, unpacked into data/, of "
        "huggingface.co/datasets/lmms-lab/Video-MME."
    ),
    read=_read,
    prompts={
        "": "Select the best answer to the following multiple-choice question based on the video. "
        "Respond with only the letter (A, B, C, or D) of the correct option.\n"
        "{question}\n{options}\nThe best answer is:"
    },
    metric="video_mme",
    max_tokens=16,
)
