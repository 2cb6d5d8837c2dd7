"""The pages and frames that an answer was about, as small pictures for a report."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ...data.frame_choice import FrameChoice
from ...errors import LatentVLMError
from ..pages import data_url, pictures

_SIDE = 1000
_MOST = 4


def shown_pictures(
    media: Sequence[Any], frames: Sequence[Any] = (), *, most: int = _MOST
) -> tuple[list[tuple[str, str]], str]:
    """At most `most` pictures as (data address, label), and a sentence on what is not there.

    Args:
        media: stored media, as `evaluate.shown_media` finds them.
        frames: what the answer says of the frames it saw; so many of a video are shown.
    """
    if not media:
        return [], "Its pictures are not kept."
    try:
        found = pictures(media, frames=FrameChoice(count=most) if frames else None)
    except LatentVLMError as error:
        return [], str(error)
    left = len(found) - most
    chosen = found
    if left > 0:
        step = len(found) / most
        chosen = [found[int(idx * step)] for idx in range(most)]
    note = f"{left} more pages or frames are not shown here." if left > 0 else ""
    urls = [(data_url(image, most=_SIDE, kind="jpeg"), label) for image, label in chosen]
    return urls, note


def folder_name(path: str | Path) -> str:
    """What a folder is called on a page."""
    return Path(path).resolve().name
