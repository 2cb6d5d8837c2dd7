"""Which frames of a video are looked at: a value, and what it makes of a list of times.

    uniform   spread evenly in time, the first and the last frame among them
    steps     one every 1 / fps seconds; spread evenly if those are too many
    scene     at least one in every scene, the others where a scene is long

How many there are: `count`, or as many as `fps` gives; never more than `max_frames`, than fit
`token_budget`, or than the video has. The released models were served with evenly spread
frames, floor(seconds * fps) of them.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ..errors import ConfigError, InputError

WAYS = ("uniform", "steps", "scene")
_EPSILON_S = 1e-4


@dataclass(frozen=True, kw_only=True)
class FrameChoice:
    """How frames are chosen; None is what the model's own processor says.

    Example:
        ```python
        import latentvlm

        vlm = latentvlm.load("my-model")
        choice = latentvlm.FrameChoice(way="scene", max_frames=4)
        print(vlm.ask("What happens?", "clip.mp4", frames=choice).frames[0].timestamps)
        ```

    Attributes:
        way: "uniform", "steps" or "scene".
        fps: frames a second.
        count: how many frames, instead of `fps`.
        max_frames: the most frames.
        token_budget: the most visual tokens of one video.
    """

    way: str | None = None
    fps: float | None = None
    count: int | None = None
    max_frames: int | None = None
    token_budget: int | None = None

    def __post_init__(self) -> None:
        if self.way is not None and self.way not in WAYS:
            raise ConfigError(f"Frames are chosen by {', '.join(WAYS)}, not by {self.way!r}.")
        for key in ("count", "max_frames", "token_budget"):
            value = getattr(self, key)
            if value is not None and (not isinstance(value, int) or value is True or value < 1):
                raise ConfigError(
                    f"{key} of frames is {value!r} but must be a whole number from 1."
                )
        fps = self.fps
        if fps is not None and (not isinstance(fps, int | float) or not 0 < fps <= 1000):
            raise ConfigError(f"fps of frames is {fps!r} but must be a number above 0.")
        if fps is not None and self.count is not None:
            raise ConfigError("Give count or fps of frames, not both.")

    @classmethod
    def of(cls, value: Any) -> "FrameChoice":
        """A choice from what a caller may write: itself, a way, a count, or None.

        Raises:
            ConfigError: it is none of these.
        """
        if value is None:
            return cls()
        if isinstance(value, cls):
            return value
        if isinstance(value, str):
            return cls(way=value)
        if isinstance(value, int):
            return cls(count=value)
        raise ConfigError(
            f"frames is {value!r}; give latentvlm.FrameChoice(...), a number of frames, or one of "
            f"{', '.join(WAYS)}."
        )

    def over(self, default: "FrameChoice") -> "FrameChoice":
        """This choice, with what it leaves open from `default`."""
        open_keys = [key for key, value in vars(self).items() if value is None]
        if self.count is not None:  # then neither a rate nor a model's limit is asked for
            open_keys = [key for key in open_keys if key not in ("fps", "max_frames")]
        elif self.fps is not None:
            open_keys = [key for key in open_keys if key != "count"]
        return replace(self, **{key: getattr(default, key) for key in open_keys})

    def num_frames(self, times: Sequence[float] | np.ndarray, most: int | None = None) -> int:
        """How many frames of a video with these times, at least 1.

        Args:
            times: seconds at which its frames are shown, rising.
            most: how many fit the token budget.
        """
        wanted = len(times)
        if self.count is not None:
            wanted = self.count
        elif self.fps is not None:
            wanted = int(seconds_of(times) * self.fps + _EPSILON_S)
        limits = [each for each in (self.max_frames, most, len(times)) if each is not None]
        return max(1, min(wanted, *limits))

    def pick(self, times: Sequence[float] | np.ndarray, most: int | None = None) -> list[int]:
        """Indices of the frames, rising, by time alone; "scene" is picked as "uniform" here."""
        times = np.asarray(times, dtype=np.float64)
        number = self.num_frames(times, most)
        if self.way == "steps" and self.fps is not None:
            steps = np.arange(times[0], times[-1] + _EPSILON_S, 1 / self.fps)
            shown = _shown_at(steps, times)
            limits = [each for each in (self.max_frames, most) if each is not None]
            if len(shown) <= min([len(times), *limits]):
                return shown
            number = min([number + 1, len(times), *limits])
        if number == len(times):
            return list(range(number))
        return _shown_at(np.linspace(times[0], times[-1], number), times)

    def pick_in_scenes(
        self, times: Sequence[float] | np.ndarray, starts: Sequence[float], most: int | None = None
    ) -> list[int]:
        """Indices of the frames, rising: at least one in every scene that holds a frame.

        Args:
            times: seconds at which the frames are shown, rising.
            starts: seconds at which scenes begin, rising, the first of them included.
            most: how many fit the token budget.

        Raises:
            InputError: there are more scenes than frames may be chosen.
        """
        times = np.asarray(times, dtype=np.float64)
        bounds = np.searchsorted(times, np.asarray(starts) - _EPSILON_S)
        bounds = np.unique([0, *bounds[bounds < len(times)], len(times)])
        scenes = list(zip(bounds[:-1].tolist(), bounds[1:].tolist(), strict=True))
        limits = [each for each in (self.count, self.max_frames, most) if each is not None]
        if limits and len(scenes) > min(limits):
            raise InputError(
                f"The video has {len(scenes)} scenes, but only {min(limits)} frames may be chosen."
            )
        number = max(self.num_frames(times, most), len(scenes))
        chosen: list[int] = []
        for (begin, end), share in zip(scenes, _shares(times, scenes, number), strict=True):
            if share == end - begin:
                chosen += range(begin, end)
                continue
            last = times[end] if end < len(times) else times[end - 1] + _EPSILON_S
            # The middles of equal parts: away from both cuts.
            middles = times[begin] + (np.arange(share) + 0.5) / share * (last - times[begin])
            chosen += [begin + idx for idx in _shown_at(middles, times[begin:end])]
        return chosen


def seconds_of(times: Sequence[float] | np.ndarray) -> float:
    """How long a video lasts: to its last frame, which is shown as long as a frame usually is."""
    times = np.asarray(times, dtype=np.float64)
    if len(times) < 2:
        return 0.0
    return float(times[-1] - times[0] + np.median(np.diff(times)))


def _shares(times: np.ndarray, scenes: Sequence[tuple[int, int]], number: int) -> list[int]:
    """Frames of each scene: one, and the others one by one to the scene that has fewest a second.

    No scene gets more frames than it has.
    """
    ends = [times[end] if end < len(times) else times[-1] for _, end in scenes]
    length = np.array([end - times[begin] for (begin, _), end in zip(scenes, ends, strict=True)])
    room = np.array([end - begin for begin, end in scenes])
    shares = np.ones(len(scenes), dtype=np.int64)
    for _ in range(min(number, int(room.sum())) - len(scenes)):
        sparse = np.where(shares < room, length / shares, -1.0)
        shares[int(sparse.argmax())] += 1
    return shares.tolist()


def _shown_at(seconds: np.ndarray, times: np.ndarray) -> list[int]:
    """The frames on show at given moments, each once."""
    found = np.searchsorted(times, seconds + _EPSILON_S, side="right") - 1
    return np.unique(np.clip(found, 0, len(times) - 1)).tolist()
