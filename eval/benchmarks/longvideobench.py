"""LongVideoBench: multiple choice about videos of up to an hour. H. Wu et al., NeurIPS 2024.

Asked without subtitles (`val_v` of lmms-eval); the kind is the length of the video in seconds.
"""

from .benchmark import Benchmark, Draft, choice_gold, lettered
from .row import Row, as_list


def _read(row: Row) -> Draft:
    options = [str(each) for each in as_list(row.get("candidates"))]
    if not options:
        listed = [str(row.get(f"option{idx}", default="N/A")) for idx in range(5)]
        options = [each for each in listed if each != "N/A"]
    video = row.text("video_path")
    return Draft(
        id=f"longvideobench/{row.text('id')}",
        values={"question": row.text("question"), "options": lettered(options)},
        media=(row.file(video, folders=("videos",)),),
        gold=choice_gold(row.get("correct_choice"), options),
        kind=str(row.get("duration_group", default="")),
        group=str(row.get("video_id", default=video)),
    )


LONGVIDEOBENCH = Benchmark(
    name="longvideobench",
    title="LongVideoBench",
    splits={"validation": ("lvb_val.json", "**/validation-*.parquet")},
    put=(
        "lvb_val.json and the unpacked videos/ of "
        "huggingface.co/datasets/longvideobench/LongVideoBench."
    ),
    read=_read,
    prompts={
        "": "{question}\n{options}" + "\nAnswer with the option's letter from the given "
        "choices directly.\n"
    },
    metric="longvideobench",
)
