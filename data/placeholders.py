"""Placeholders of a prompt, one a picture or video, widened to one id a visual token."""

from collections.abc import Sequence
from typing import NamedTuple

from ..errors import PromptError

IMAGE_TOKEN, IMAGE_START, IMAGE_END = "<image>", "<img>", "</img>"
VIDEO_TOKEN = "<video>"  # what a template writes; some tokenizers have no such token
VIDEO_PLACE = -1  # its id until it is widened


class ImageIds(NamedTuple):
    """The ids around a picture and of each of its visual tokens."""

    token: int
    start: int
    end: int


class Runs(NamedTuple):
    """What stands for each picture or video of a prompt, in order; `place` is found in the ids."""

    what: str
    place: int | None
    ids: list[list[int]]


def image_run(ids: ImageIds, visual_tokens: int) -> list[int]:
    """`<img>`, one id a visual token, `</img>`."""
    return [ids.start, *[ids.token] * visual_tokens, ids.end]


def video_run(
    ids: ImageIds, video_token_id: int, tokens_per_tubelet: int, labels: Sequence[Sequence[int]]
) -> list[int]:
    """For each tubelet its label, then what stands for a picture of as many visual tokens."""
    shown = image_run(ids._replace(token=video_token_id), tokens_per_tubelet)
    return [idx for label in labels for idx in (*label, *shown)]


def widen(ids: list[int], learnt: list[bool], runs: Sequence[Runs]) -> tuple[list[int], list[bool]]:
    """Each placeholder becomes its run, which is not learnt.

    Raises:
        PromptError: there are not as many placeholders as runs.
    """
    for what, place, wanted in runs:
        found = ids.count(place) if place is not None else 0
        if found != len(wanted):
            raise PromptError(
                f"The chat template wrote {found} places for {len(wanted)} {what}s; "
                f"this checkpoint's template cannot show {what}s in these messages."
            )
    remaining: dict[int | None, list[list[int]]] = {r.place: list(r.ids) for r in runs}
    wide_ids: list[int] = []
    wide_learnt: list[bool] = []
    for idx, is_learnt in zip(ids, learnt, strict=True):
        run = remaining[idx].pop(0) if idx in remaining else [idx]
        wide_ids += run
        wide_learnt += [is_learnt and idx not in remaining] * len(run)
    return wide_ids, wide_learnt
