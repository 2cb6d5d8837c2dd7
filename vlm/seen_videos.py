"""What a model sees of videos, tubelet by tubelet: frames, kept tokens, where the answer looked."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from torch import Tensor

from ..data.chat import Message
from ..data.media.clip import VideoReport
from ..data.video import read_evs
from ..data.video_transform import VideoInfo
from ..token_reduction.evs import EVSConfig


@dataclass(frozen=True, kw_only=True)
class SeenVideo:
    """A video as the model sees it.

    Attributes:
        report: which frames were chosen, and how.
        info: what became of them; its `kept_mask` is None where every token stays.
        frames: the chosen ones, uint8 `(height, width, 3)`.
        frames_per_tubelet: frames that the tower takes together; the last tubelet may have fewer.
        evs: what was asked of EVS, by the request, the video or the checkpoint; None if nobody did.
        looked: float32 of `info.shape`, how much of the answer's attention to all pages and videos
            went to each token, 0 for those that were dropped; None without a question.
    """

    report: VideoReport
    info: VideoInfo
    frames: tuple[np.ndarray, ...]
    frames_per_tubelet: int
    evs: EVSConfig | None = None
    looked: Tensor | None = None

    def frames_of(self, tubelet: int) -> range:
        """The places among `frames` that a tubelet takes."""
        begin = tubelet * self.frames_per_tubelet
        return range(begin, min(begin + self.frames_per_tubelet, len(self.frames)))


def seen_videos(
    messages: Sequence[Message],
    reports: Sequence[VideoReport],
    infos: Sequence[VideoInfo],
    looked: Sequence[Tensor | None],
    *,
    frames_per_tubelet: int,
    evs: EVSConfig | None,
) -> tuple[SeenVideo, ...]:
    """The videos of opened messages.

    Args:
        infos: of the prompt, once EVS was carried out.
        looked: for each video the attention `(kept tokens,)` to those that stayed.
        evs: in force for videos that do not ask for their own.
    """
    found = []
    parts = list(_video_parts(messages))
    for part, report, info, row in zip(parts, reports, infos, looked, strict=True):
        own = read_evs(part.get("evs"), part.get("evs_rate"))
        found.append(
            SeenVideo(
                report=report,
                info=info,
                frames=tuple(part["frames"]),
                frames_per_tubelet=frames_per_tubelet,
                evs=own or evs,
                looked=None if row is None else _at_their_places(row, info),
            )
        )
    return tuple(found)


def _at_their_places(kept_V: Tensor, info: VideoInfo) -> Tensor:
    if info.kept_mask is None:
        return kept_V.view(info.shape)
    placed = kept_V.new_zeros(info.shape)
    placed[info.kept_mask] = kept_V
    return placed


def _video_parts(messages: Sequence[Message]) -> Iterator[Mapping[str, Any]]:
    for message in messages:
        content = message.get("content")
        for part in () if isinstance(content, str) else content or ():
            if isinstance(part, Mapping) and part.get("type") == "video":
                yield part
