"""Options that say which frames of videos are seen."""

import dataclasses
from typing import Annotated, Any

import typer

from .read_limits import read_limits


@dataclasses.dataclass(frozen=True, kw_only=True)
class FrameOptions:
    """Which frames of a video are seen; see docs/video.md."""

    frames: Annotated[
        str | None,
        typer.Option(
            metavar="WAY", help="Choose frames by uniform, steps or scene (as the model says)."
        ),
    ] = None
    fps: Annotated[
        float | None, typer.Option(help="Frames a second of a video (as the model says).")
    ] = None
    max_frames: Annotated[
        int | None, typer.Option(help="Most frames of a video (as the model says).")
    ] = None
    frame_tokens: Annotated[
        int | None, typer.Option(help="Most visual tokens of the frames of a video.")
    ] = None
    video_limit: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=NUMBER",
            help="What reading a video may cost: total-s, stall-s, max-bytes, max-duration-s, "
            "max-frames, max-frame-pixels, max-total-pixels, max-decoder-bytes; again for more.",
        ),
    ] = None

    def arguments(self) -> dict[str, Any]:
        """What was given, as keyword arguments of `VLM.ask`."""
        given = {
            "way": self.frames,
            "fps": self.fps,
            "max_frames": self.max_frames,
            "token_budget": self.frame_tokens,
        }
        given = {name: value for name, value in given.items() if value is not None}
        found: dict[str, Any] = {}
        if given:
            from ..data.frame_choice import FrameChoice

            found["frames"] = FrameChoice(**given)
        if self.video_limit:
            from ..data.media.clip import VideoLimits

            found["video_limits"] = read_limits(
                VideoLimits, self.video_limit, option="--video-limit", of="videos"
            )
        return found
