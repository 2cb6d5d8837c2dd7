"""The part of a model's card about long inputs: videos at each pruning rate, and booklets."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..errors import DataError
from .card import CARD_FILE, percent, put_part, table_row
from .drawn import MANY_FRAMES

PART = "long"
HEADING = "## Videos and many pages"
_ABOUT = (
    "Drawn videos with held-out words, fonts and phrasings, each question at each pruning rate "
    "(EVS); points lost are beside the first row, with the interval that holds 95 in 100 resamples "
    "of the videos. To measure again: `latentvlm eval long --model FOLDER --write`."
)


def write_long(folder: str | Path, found: Mapping[str, Any]) -> Path:
    """Writes what `measure_long` found into a model's card; the other text stays as it is.

    Returns:
        The card's path.

    Raises:
        DataError: there is no card.
    """
    path = Path(folder) / CARD_FILE
    if not path.is_file():
        raise DataError(f"{path} is not there; `latentvlm eval card` writes a model's card.")
    text = put_part(
        path.read_text(encoding="utf-8"), PART, long_tables(found), path, heading=HEADING
    )
    path.write_text(text, encoding="utf-8")
    return path


def long_tables(found: Mapping[str, Any]) -> str:
    """Markdown: accuracy, tokens and time at each rate; accuracy by kind; booklets."""
    videos, times = found["videos"], found["times"]["settings"]
    first = next(iter(times.values()))
    count = next(iter(videos.values()))
    head = [
        "pruned",
        f"exact, {count['all']['n']} questions",
        f"of {MANY_FRAMES} frames and more, {count['long']['n']} questions",
        "points lost there",
        "visual tokens",
        "prompt tokens",
        "first token, ms",
        "tower",
        "language model",
        "of the first row",
    ]
    parts = [_ABOUT, "", table_row(head), table_row(["---"] * len(head))]
    for name, scores in videos.items():
        time, lost = times[name], scores["lost"]["long"]
        whole = time["time_to_first_token_s"]
        parts.append(
            table_row(
                [
                    "off" if name == "0%" else name,
                    percent(scores["all"]["score"]),
                    percent(scores["long"]["score"]),
                    f"{_points(lost['score'])} ({_points(lost['low'])} to {_points(lost['high'])})"
                    if scores is not count
                    else "",
                    _whole(scores["long_visual_tokens"]),
                    _whole(scores["long_prompt_tokens"]),
                    f"{1000 * whole:.0f}",
                    f"{1000 * time['encode_s']:.0f}",
                    f"{1000 * time['prefill_s']:.0f}",
                    percent(whole / first["time_to_first_token_s"]),
                ]
            )
        )
    parts += ["", *_by_kind(videos), "", _told_of_times(found)]
    if booklets := found.get("booklets"):
        parts += ["", *_of_booklets(booklets)]
    return "\n".join(parts)


def _by_kind(videos: Mapping[str, Any]) -> list[str]:
    one = next(iter(videos.values()))
    kinds = [kind for kind in one if kind.startswith("video_")]
    head = ["kind of question", "questions", *("off" if n == "0%" else n for n in videos)]
    rows = [table_row(head), table_row(["---"] * len(head))]
    for kind in kinds:
        cells = [percent(scores[kind]["score"]) for scores in videos.values()]
        rows.append(table_row([kind.removeprefix("video_"), str(one[kind]["n"]), *cells]))
    return rows


def _told_of_times(found: Mapping[str, Any]) -> str:
    times = found["times"]
    videos = next(iter(times["settings"].values()))["videos"]
    load = times["foreign_load"]
    beside = "" if load is None else f", other work took {load:.0%} of the machine"
    failed = sum(scores["failed"] for scores in found["videos"].values())
    return (
        f"Tokens and times are of the long videos: medians over {videos} of them, "
        f"{found['config']['rounds']} times each, {found['threads']} thread(s){beside}; the first "
        "token's time has the preparing of frames in it. Reuse: patches that changed by no more "
        f"than so many of 255 levels are not encoded again. {failed} questions failed."
    )


def _of_booklets(booklets: Mapping[str, Any]) -> list[str]:
    kinds = booklets["kinds"]
    rows = [
        f"Booklets of {booklets['pages']} held-out pages, all of them in one prompt:",
        "",
        table_row(["kind of question", "questions", "exact"]),
        table_row(["---"] * 3),
    ]
    rows += [
        table_row([name.replace("_", " "), str(each["n"]), percent(each["score"])])
        for name, each in kinds.items()
    ]
    cited = booklets["citations"]
    if cited is None or not cited["right_answers"]["n"]:
        return [
            *rows,
            "",
            "Which pages it cites could not be measured: too few answers were right.",
        ]
    right, wrong = cited["right_answers"], cited["wrong_answers"]
    text = (
        f"Of {right['n']} right answers that stand on one page, the page it looks at most is that "
        f"page in {percent(right['page_first'])}; it cites one in {percent(right['cited'])}, and "
        f"of those it is the right one in {percent(right['cited_right'])}."
    )
    if wrong["n"]:
        text += f" Of {wrong['n']} wrong answers {percent(wrong['cited'])} cite a page."
    return [*rows, "", f"{text} Heads and threshold were chosen on other booklets."]


def _points(share: float) -> str:
    return f"{100 * share:.1f}"


def _whole(value: float | None) -> str:
    return "-" if value is None else f"{value:.0f}"
