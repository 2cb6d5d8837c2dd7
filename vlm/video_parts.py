"""Videos of a conversation, opened: files decoded, frames chosen, what was done said."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..data.frame_choice import FrameChoice
from ..data.media.clip import DEFAULT_VIDEO_LIMITS, Clip, VideoLimits, VideoReport
from ..data.media.frame_source import FrameNeeds, clip_of
from ..data.media.open import open_media
from ..data.media.picture_list import PictureList
from ..data.media.video import moves, read_video
from ..data.processor import Processor
from ..data.video import video_of_part
from ..errors import PromptError
from ..token_reduction.budget import most_frames

_OF_FILES = ("type", "video", "fps", "timestamps", "choice", "evs", "evs_rate")


@dataclass(frozen=True, kw_only=True)
class VideoOpener:
    """Opens videos as one model wants them.

    Attributes:
        processor: of the model; it says which frames are chosen unasked, and how large they are.
        choice: what the request says of frames.
        limits: what reading one video may cost.
    """

    processor: Processor
    choice: FrameChoice
    limits: VideoLimits = DEFAULT_VIDEO_LIMITS

    def is_video(self, medium: Any) -> bool:
        """Whether something among pictures and documents is to be seen as a video.

        A video file and a folder always are; an animated picture is where the model sees videos,
        and elsewhere it is its first frame.

        Raises:
            PromptError: it is a video file or a folder, but the model sees no videos.
        """
        if not isinstance(medium, str | Path | bytes) or not moves(medium):
            return False
        if self.processor.sees_videos:
            return True
        try:
            open_media(medium, pages=[1])
        except Exception:
            self._refuse(medium)
        return False

    def open(self, part: Mapping[str, Any], where: str) -> tuple[dict[str, Any], VideoReport]:
        """A message part whose video is frames, and which of its frames those are.

        Raises:
            PromptError: the model sees no videos, or the part has a key that no video has.
            MediaError, InputError: as `read_video`.
        """
        source = part.get("video")
        if not self.processor.sees_videos:
            self._refuse(source)
        own = FrameChoice.of(part.get("choice")).over(self.choice)
        if source is None or not isinstance(source, str | Path | bytes | bytearray | memoryview):
            frames = part.get("frames", source)
            given = {key: value for key, value in part.items() if key not in ("video", "choice")}
            clip, evs = self._of_frames({**given, "frames": frames}, where, own)
        else:
            if unknown := sorted(map(str, part.keys() - set(_OF_FILES))):
                raise PromptError(
                    f"{where} holds a video file with {', '.join(unknown)}; one has "
                    f"{', '.join(_OF_FILES)}."
                )
            clip = read_video(
                source,
                needs=self._needs(own.over(self.processor.video_transform.config.frames)),
                fps=part.get("fps"),
                timestamps=part.get("timestamps"),
                limits=self.limits,
            )
            evs = {key: part[key] for key in ("evs", "evs_rate") if key in part}
        ready = {"type": "video", "frames": clip.frames, "timestamps": clip.timestamps, **evs}
        return {**ready, "size": clip.report.size}, clip.report

    def _of_frames(
        self, part: Mapping[str, Any], where: str, choice: FrameChoice
    ) -> tuple[Clip, dict[str, Any]]:
        """Frames given as such: all of them, unless the caller has some chosen."""
        video = video_of_part(part, where)
        source = PictureList(video.frames, video.timestamps, name="the video of " + where.lower())
        source.backend = "frames"
        needs = self._needs(choice, scales=False)
        return clip_of(source, needs, self.limits), {"evs": video.evs}

    def _needs(self, choice: FrameChoice, *, scales: bool = True) -> FrameNeeds:
        rule = self.processor.video_transform.tubelets

        def size(height: int, width: int) -> tuple[int, int]:
            rows, cols = rule.grid(height, width)
            return rows * rule.patch_size, cols * rule.patch_size

        def most(token_budget: int, height: int, width: int) -> int:
            return most_frames(rule, token_budget, height, width)

        return FrameNeeds(choice=choice, size=size if scales else None, most_frames=most)

    def _refuse(self, source: Any) -> None:
        what = f"; ask about single frames of {source}" if isinstance(source, str | Path) else (
            "; ask about single frames"
        )  # fmt: skip
        raise PromptError(f"This model sees pictures but no videos{what}.")


def video_warnings(reports: Sequence[VideoReport]) -> list[str]:
    """What a user should know of the videos that were read."""
    return [note for report in reports for note in report.notes]
