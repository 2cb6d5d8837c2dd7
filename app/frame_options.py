"""Options that say which frames of videos are seen."""

import dataclasses
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..errors import ConfigError

if TYPE_CHECKING:
    from ..data.media.clip import VideoLimits


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
            found["video_limits"] = read_video_limits(self.video_limit)
        return found


def read_video_limits(given: Sequence[str]) -> "VideoLimits":
    """`["total-s=600", "max-frames=64"]` as limits, the others as they are.

    Raises:
        ConfigError: one is no `NAME=NUMBER`, or there is no such limit.
    """
    from ..data.media.clip import VideoLimits

    kinds = {field.name: type(field.default) for field in dataclasses.fields(VideoLimits)}
    values: dict[str, Any] = {}
    for each in given:
        name, _, number = each.partition("=")
        name = name.strip().replace("-", "_")
        if name not in kinds:
            names = ", ".join(name.replace("_", "-") for name in kinds)
            raise ConfigError(f"There is no limit {name.replace('_', '-')!r} of videos: {names}.")
        try:
            values[name] = kinds[name](number)
        except ValueError as error:
            raise ConfigError(
                f"--video-limit is {each!r}; write for example total-s=600, with a whole number "
                "where no seconds are meant."
            ) from error
    return VideoLimits(**values)
