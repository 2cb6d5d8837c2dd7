"""What a video is cut into: frames of one grid, a few of them together a tubelet.

Nemotron Omni resizes a frame to about as many patches as it is told, keeping its shape, and
joins two frames in a tubelet. Nemotron Nano V2 VL gives each frame one square tile.
"""

import math
from dataclasses import dataclass

from ..errors import ConfigError, InputError


@dataclass(frozen=True, kw_only=True)
class Tubelets:
    """How the frames of a video are resized and joined.

    `target_num_patches` is the most patches of a frame, unless its shape is so thin that a
    side would vanish.
    """

    patch_size: int = 16
    merge_size: int = 2
    target_num_patches: int = 1024
    keeps_aspect: bool = True
    frames_per_tubelet: int = 2

    def __post_init__(self) -> None:
        for key in ("patch_size", "merge_size", "target_num_patches", "frames_per_tubelet"):
            value = getattr(self, key)
            if not isinstance(value, int) or value < 1:
                raise ConfigError(f"{key} {value!r} of a video must be a positive whole number.")

    def grid(self, height: int, width: int) -> tuple[int, int]:
        """Patch rows and columns of a frame of `height` x `width` pixels.

        Raises:
            InputError: a side is not positive.
        """
        if height < 1 or width < 1:
            raise InputError(f"A frame of {width} x {height} pixels has no grid.")
        merge, target = self.merge_size, self.target_num_patches
        if not self.keeps_aspect:
            side = max(merge, math.isqrt(target) // merge * merge)
            return side, side
        aspect = width / height
        rows = max(1, round(math.sqrt(target / aspect)))
        cols = max(1, round(math.sqrt(target * aspect)))
        # Both sides up if they still fit the target together, else both down.
        up = (-rows % merge + rows, -cols % merge + cols)
        if up[0] * up[1] <= target:
            return up
        return max(merge, rows - rows % merge), max(merge, cols - cols % merge)

    def num_tubelets(self, num_frames: int) -> int:
        """Tubelets of a video; the last frame is repeated to fill the last one.

        Raises:
            InputError: there is no frame.
        """
        if num_frames < 1:
            raise InputError("A video without frames has nothing to show.")
        return math.ceil(num_frames / self.frames_per_tubelet)
