"""Media as pictures, for models behind a server or another library, and for reports."""

import base64
import io
from collections.abc import Sequence
from typing import Any

import numpy as np
from PIL import Image

from ..data.frame_choice import FrameChoice
from ..data.media import open_media
from ..data.media.frame_source import FrameNeeds
from ..data.media.video import moves, read_video
from ..data.video import video_of_part
from .responder import sources


def pictures(
    media: Sequence[Any], *, dpi: float | None = None, frames: FrameChoice | None = None
) -> list[tuple[Image.Image, str]]:
    """Every page and every chosen frame, each with what it is called.

    Raises:
        MediaError: one cannot be read.
    """
    found: list[tuple[Image.Image, str]] = []
    for medium in media:
        source = sources(medium)
        if isinstance(source, dict) and source.get("type") == "video":
            video = video_of_part(source, "The request")
            for frame, seconds in zip(video.frames, video.timestamps, strict=True):
                image = open_media(frame, pages=[1])[0].image
                found.append((as_picture(image), f"{seconds:.2f} s"))
        elif isinstance(source, dict):
            opened = open_media(source["image"], pages=source.get("pages"), dpi=dpi)
            found += [(as_picture(page.image), f"page {page.number or 1}") for page in opened]
        elif moves(source):
            clip = read_video(source, needs=FrameNeeds(choice=frames or FrameChoice(count=8)))
            for frame, seconds in zip(clip.frames, clip.report.timestamps, strict=True):
                found.append((as_picture(frame), f"{seconds:.2f} s"))
        else:
            opened = open_media(source, dpi=dpi)
            found += [(as_picture(page.image), f"page {page.number or 1}") for page in opened]
    return found


def as_picture(image: Any) -> Image.Image:
    """An array or a picture as an RGB picture."""
    if isinstance(image, Image.Image):
        return image.convert("RGB")
    return Image.fromarray(np.asarray(image))


def data_url(image: Image.Image, *, most: int | None = None, kind: str = "png") -> str:
    """A picture as a `data:` address; with `most`, no side is longer than that."""
    if most and max(image.size) > most:
        image = image.copy()
        image.thumbnail((most, most), Image.Resampling.LANCZOS)
    buffer = io.BytesIO()
    if kind == "png":
        image.save(buffer, "PNG", optimize=True)
    else:
        image.save(buffer, "JPEG", quality=80)
    coded = base64.b64encode(buffer.getvalue()).decode("ascii")
    return f"data:image/{kind};base64,{coded}"
