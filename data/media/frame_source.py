"""From times to frames: what all kinds of video share once the times of their frames are known."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from ...errors import InputError, MediaError
from ..frame_choice import FrameChoice, seconds_of
from ..scenes import (
    MAX_THUMBNAILS,
    THUMBNAIL,
    THUMBNAIL_FPS,
    find_scenes,
    strongest,
)
from .clip import Clip, VideoLimits, VideoReport, check_choice, check_duration

Size = tuple[int, int]


@dataclass(frozen=True, kw_only=True)
class FrameNeeds:
    """What a model wants of a video.

    Attributes:
        choice: which frames.
        size: (height, width) of a frame -> that at which the model looks at it, or None.
        most_frames: token budget, height, width -> how many frames fit it.
    """

    choice: FrameChoice = FrameChoice()
    size: Callable[[int, int], Size] | None = None
    most_frames: Callable[[int, int, int], int] | None = None

    def held_size(self, size: Size) -> Size:
        """The size at which frames are kept: never more pixels than the source has."""
        wanted = self.size(*size) if self.size else size
        return wanted if wanted[0] * wanted[1] < size[0] * size[1] else size


class FrameSource(Protocol):
    """An opened video.

    Attributes:
        name: what errors call it.
        times: seconds at which its frames are shown, never falling.
        size: of its frames upright, (height, width).
        notes: a sentence for each thing a user should know.
        fallbacks: why a backend did not serve.
    """

    name: str
    times: np.ndarray
    size: Size
    notes: list[str]
    fallbacks: list[str]

    def read(self, indices: Sequence[int], size: Size) -> Iterable[tuple[int, np.ndarray]]:
        """`(index, frame)` of those that can be decoded, rising, scaled to `size`."""
        ...

    @property
    def backend(self) -> str: ...

    @property
    def num_decoded(self) -> int: ...

    @property
    def peak_bytes(self) -> int: ...


def clip_of(source: FrameSource, needs: FrameNeeds, limits: VideoLimits) -> Clip:
    """Chooses frames of an opened video and reads them.

    Raises:
        MediaError: too long, too many frames, or none that can be decoded.
        InputError: not one frame fits the token budget.
    """
    choice, times, name = needs.choice, source.times, source.name
    check_duration(float(times[-1] - times[0]), name, limits)
    most = None
    if choice.token_budget is not None:
        if needs.most_frames is None:
            raise InputError("A token budget for frames needs a model that counts tokens.")
        most = needs.most_frames(choice.token_budget, *source.size)
    held, readable = needs.held_size(source.size), len(times)
    scenes: list[float] = []
    if choice.way == "scene":
        scenes, readable = _look_for_scenes(source, choice, most)
    frames: dict[int, np.ndarray] = {}
    # A second choice where the end turned out to be unreadable, so that the rest is well covered.
    for _ in range(2):
        shown = times[:readable]
        chosen = choice.pick_in_scenes(shown, scenes, most) if scenes else choice.pick(shown, most)
        check_choice(len(chosen), held, name, limits)
        frames = dict(source.read(chosen, held))
        missing = [idx for idx in chosen if idx not in frames]
        if not missing or not frames or missing[0] < max(frames):
            break
        readable = max(frames) + 1
        scenes = [start for start in scenes if start <= times[readable - 1]]
        if readable == 1:
            break
    if not frames:
        raise MediaError(f"No frame of {name} can be decoded, so there is nothing to see.")
    if len(frames) < len(chosen):
        source.notes.append(f"{len(chosen) - len(frames)} of its chosen frames cannot be decoded")
    if readable < len(times):
        source.notes.append(
            f"nothing of it can be decoded after {times[readable - 1]:.2f} of its "
            f"{seconds_of(times):.2f} seconds"
        )
    order = sorted(frames)
    return Clip(
        frames=tuple(frames[idx] for idx in order),
        report=VideoReport(
            source=name,
            indices=tuple(order),
            timestamps=tuple(float(times[idx]) for idx in order),
            num_frames=len(times),
            duration_s=seconds_of(times),
            size=source.size,
            way=choice.way or "uniform",
            scenes=tuple(scenes),
            backend=source.backend,
            num_decoded=source.num_decoded,
            notes=tuple(f"Of {name}: {note}." for note in source.notes),
            fallbacks=tuple(source.fallbacks),
        ),
        decoder_peak_bytes=source.peak_bytes,
    )


def _look_for_scenes(
    source: FrameSource, choice: FrameChoice, most: int | None
) -> tuple[list[float], int]:
    """When scenes begin, by thumbnails, and how many frames from the first can be decoded."""
    times = source.times
    look = FrameChoice(way="steps", fps=THUMBNAIL_FPS, max_frames=MAX_THUMBNAILS)
    looked = look.pick(times)
    found = dict(source.read(looked, THUMBNAIL))
    if not found:
        raise MediaError(f"No frame of {source.name} can be decoded, so there is nothing to see.")
    order = sorted(found)
    readable = len(times) if looked[-1] in found else order[-1] + 1
    scenes = find_scenes(np.stack([found[idx] for idx in order]))
    limits = [each for each in (choice.count, choice.max_frames, most) if each is not None]
    if limits and len(scenes) > min(limits):
        source.notes.append(
            f"it has {len(scenes)} scenes but only {min(limits)} frames may be chosen, so the "
            "scenes that differ least from the one before have none"
        )
        scenes = strongest(scenes, min(limits))
    return [float(times[order[idx]]) for idx, _ in scenes], readable
