"""The pages and frames that an answer was about, as small pictures for a report."""

import base64
import io
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from PIL import Image

from ...data.frame_choice import FrameChoice
from ...data.media import open_media
from ...data.media.frame_source import FrameNeeds
from ...data.media.video import moves, read_video
from ...data.video import video_of_part
from ...errors import LatentVLMError
from ..heat import heat_layer
from ..pages import as_picture, data_url
from ..responder import sources

_SIDE = 1000
_FRAME_SIDE = 480
_MOST = 4
_FRAMES = 8  # of a video of which nothing says which frames were seen


@dataclass(frozen=True, kw_only=True)
class Shown:
    """A picture of a report.

    Attributes:
        address: a `data:` address.
        label: what it is.
        heat: a `data:` address of what is laid over it: where the answer looked; "" if unknown.
        is_frame: whether it is of a video.
    """

    address: str
    label: str
    heat: str = ""
    is_frame: bool = False


@dataclass(frozen=True, kw_only=True)
class _Seen:
    """A page, or a frame with its place among the frames of its video that were seen."""

    image: Image.Image
    label: str
    place: tuple[str, int, int]
    is_frame: bool = False


def shown_pictures(
    media: Sequence[Any], details: Mapping[str, Any], *, most: int = _MOST
) -> tuple[list[Shown], str]:
    """At most `most` pictures, and a sentence on what is not there.

    Where the record says where the answer looked, it is those that got most of its attention.

    Args:
        media: stored media, as `media.shown_media` finds them.
        details: of the response.
    """
    if not media:
        return [], "Its pictures are not kept."
    try:
        found = list(_seen(media, details.get("frames") or ()))
    except LatentVLMError as error:
        return [], str(error)
    looked = _looked(details)
    chosen = [each for each in found if each.place in looked]
    if not chosen:
        step = max(1.0, len(found) / most)
        chosen = [found[int(idx * step)] for idx in range(min(most, len(found)))]
    left = len(found) - len(chosen)
    note = f"{left} more pages or frames are not shown here." if left > 0 else ""
    return [_shown(each, looked.get(each.place)) for each in chosen], note


def _looked(details: Mapping[str, Any]) -> dict[tuple[str, int, int], Mapping[str, Any]]:
    """What the record says of where the answer looked, by place; of a tubelet its first frame."""
    found = {}
    for each in details.get("attention") or ():
        frame = each["frames"][0] if each["kind"] == "frames" else 0
        found[each["kind"], each["index"], frame] = each
    return found


def _shown(each: _Seen, looked: Mapping[str, Any] | None) -> Shown:
    label, heat = each.label, ""
    if looked is not None:
        label += f", {100 * looked['share']:.0f}% of the attention"
        buffer = io.BytesIO()
        heat_layer(looked["map"], 255).save(buffer, "PNG")
        coded = base64.b64encode(buffer.getvalue()).decode("ascii")
        heat = f"data:image/png;base64,{coded}"
    return Shown(
        address=data_url(each.image, most=_SIDE, kind="jpeg"),
        label=label,
        heat=heat,
        is_frame=each.is_frame,
    )


def _seen(media: Sequence[Any], reports: Sequence[Mapping[str, Any]]) -> Iterator[_Seen]:
    """Every page and every frame that was seen, as far as the record says which.

    Raises:
        MediaError: one cannot be read.
    """
    num_pages = num_videos = 0
    for medium in media:
        source = sources(medium)
        is_given = isinstance(source, dict) and source.get("type") == "video"
        if is_given or (not isinstance(source, dict) and moves(source)):
            report = reports[num_videos] if num_videos < len(reports) else None
            for frame, seconds, place in _frames(source, report):
                yield _Seen(
                    image=as_picture(frame),
                    label=f"{seconds:.2f} s",
                    place=("frames", num_videos, place),
                    is_frame=True,
                )
            num_videos += 1
            continue
        part = source if isinstance(source, dict) else {"image": source}
        for page in open_media(part["image"], pages=part.get("pages")):
            place = ("page", num_pages, 0)
            yield _Seen(image=page.image, label=f"page {page.number or 1}", place=place)
            num_pages += 1


def _frames(source: Any, report: Mapping[str, Any] | None) -> Iterator[tuple[Any, float, int]]:
    """Frames with their second, and their place among those that the model saw, or -1."""
    if isinstance(source, dict):
        video = video_of_part(source, "The request")
        chosen = range(len(video.frames)) if report is None else report["indices"]
        for place, idx in enumerate(chosen):
            image = open_media(video.frames[idx], pages=[1])[0].image
            yield image, video.timestamps[idx], place
        return
    seen: Sequence[int] = () if report is None else report["indices"]
    choice = FrameChoice(way=(report or {}).get("way"), count=len(seen) or _FRAMES)
    clip = read_video(source, needs=FrameNeeds(choice=choice, size=_small))
    places = {idx: place for place, idx in enumerate(seen)}
    told = clip.report
    for frame, seconds, idx in zip(clip.frames, told.timestamps, told.indices, strict=True):
        yield frame, seconds, places.get(idx, -1)


def _small(height: int, width: int) -> tuple[int, int]:
    scale = min(1.0, _FRAME_SIDE / max(height, width))
    return max(1, round(height * scale)), max(1, round(width * scale))
