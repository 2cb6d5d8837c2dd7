"""The frames of a video to packed patches of tubelets.

A patch of a tubelet is the patches of its frames at one place, one after another: values in
(frame, channel, y, x) order. The last frame is repeated to fill the last tubelet.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from ..errors import MediaError
from ..token_reduction.budget import video_shape
from ..token_reduction.tubelets import Tubelets
from .frame_choice import FrameChoice
from .patches import CLIP_MEAN, CLIP_STD, PatchCutter, Triple, picture_planes, resize
from .video import Video


@dataclass(frozen=True, kw_only=True)
class VideoConfig:
    """How the frames of a video are cut and normalised.

    Attributes:
        frames: which are chosen of a video file when nobody says; by default as Nemotron Nano
            V2 VL is served.
    """

    tubelets: Tubelets = Tubelets()
    frames: FrameChoice = FrameChoice(way="uniform", fps=2, max_frames=128)
    image_mean: Triple = CLIP_MEAN
    image_std: Triple = CLIP_STD


@dataclass(frozen=True, kw_only=True)
class VideoInfo:
    """What became of one video.

    Attributes:
        original_size, resized_size: of a frame, (height, width) in pixels.
        num_frames: as given.
        shape: visual tokens as tubelets, rows and columns, before any is dropped.
        timestamps: seconds, one a frame.
        patch_size: side of a patch in pixels.
        encoded_patches: how many patches the tower ran on; None for all.
        kept_mask: bool, of `shape`, which tokens EVS kept; None as long as it is not known, and
            where none was dropped.
    """

    original_size: tuple[int, int]
    resized_size: tuple[int, int]
    num_frames: int
    shape: tuple[int, int, int]
    timestamps: tuple[float, ...] = ()
    patch_size: int = 16
    encoded_patches: int | None = None
    kept_mask: Tensor | None = field(default=None, compare=False, repr=False)

    @property
    def visual_tokens(self) -> int:
        """Before any is dropped."""
        return self.shape[0] * self.tokens_per_tubelet

    @property
    def num_patches(self) -> int:
        """Of all tubelets."""
        height, width = self.resized_size
        return self.shape[0] * (height // self.patch_size) * (width // self.patch_size)

    @property
    def kept_per_tubelet(self) -> tuple[int, ...]:
        """Visual tokens of each tubelet in the prompt."""
        if self.kept_mask is None:
            return (self.tokens_per_tubelet,) * self.shape[0]
        return tuple(self.kept_mask.sum((1, 2)).tolist())

    @property
    def tokens_per_tubelet(self) -> int:
        return self.shape[1] * self.shape[2]


@dataclass(frozen=True, kw_only=True)
class PackedVideos:
    """Packed videos of one prompt.

    Attributes:
        pixel_values: float32 (patches, frames per tubelet * 3 * p * p), video after video,
            tubelet after tubelet, row-major over the grid.
        grid_thw: int64 (videos, 3): tubelets, patch rows and columns.
        infos: one a video.
    """

    pixel_values: Tensor
    grid_thw: Tensor
    infos: tuple[VideoInfo, ...]


class VideoTransform:
    """Applies a `VideoConfig` to videos."""

    def __init__(self, config: VideoConfig) -> None:
        self.config = config
        self.tubelets = config.tubelets
        self._cut = PatchCutter(
            config.tubelets.patch_size, mean=config.image_mean, std=config.image_std
        )

    def __call__(self, videos: Sequence[Video]) -> PackedVideos:
        """Transform the videos of one prompt.

        Raises:
            MediaError: frames of different sizes, or a frame that is no picture.
        """
        packed = [self._pack(video) for video in videos]
        merge = self.tubelets.merge_size
        grids = [(i.shape[0], i.shape[1] * merge, i.shape[2] * merge) for _, i in packed]
        return PackedVideos(
            pixel_values=torch.cat([patches for patches, _ in packed]),
            grid_thw=torch.tensor(grids, dtype=torch.int64),
            infos=tuple(info for _, info in packed),
        )

    def _pack(self, video: Video) -> tuple[Tensor, VideoInfo]:
        rule = self.tubelets
        size: tuple[int, int] | None = None
        source = (0, 0)
        frames: list[Tensor] = []
        resized = (0, 0)
        for number, frame in enumerate(video.frames, 1):
            planes = picture_planes(frame)
            height, width = planes.shape[1:]
            if size is None:
                size = (height, width)
                # Of scaled frames the size they had counts, so that scaling changes no grid.
                source = video.size or size
                rows, cols = rule.grid(*source)
                resized = (rows * rule.patch_size, cols * rule.patch_size)
            elif size != (height, width):
                raise MediaError(
                    f"Frame {number} of a video is {width} x {height} pixels but frame 1 is "
                    f"{size[1]} x {size[0]}; the frames of one video have one size."
                )
            frames.append(self._cut(resize(planes, resized)))
        if size is None:
            raise MediaError("A video without frames has nothing to show.")
        shape = video_shape(rule, len(frames), *source)
        frames += [frames[-1]] * (shape[0] * rule.frames_per_tubelet - len(frames))
        together = torch.stack(frames).unflatten(0, (shape[0], rule.frames_per_tubelet))
        patches = together.transpose(1, 2).flatten(2).flatten(0, 1)
        info = VideoInfo(
            original_size=source,
            resized_size=resized,
            num_frames=len(video.frames),
            shape=shape,
            timestamps=tuple(video.timestamps),
            patch_size=rule.patch_size,
        )
        return patches, info
