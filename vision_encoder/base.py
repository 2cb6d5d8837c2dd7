"""The protocol every vision tower follows.

Pictures travel packed: the patches of all images in one row, whatever their sizes.
"""

from typing import Any, Protocol, runtime_checkable

from torch import Tensor


@runtime_checkable
class VisionEncoder(Protocol):
    """Patches in, one feature per patch out; images never see each other.

    Attributes:
        hidden_size: width of a feature.
        patch_size: side of a patch in pixels.
        num_prefix_tokens: class and register tokens used inside; they are not in the output.
    """

    hidden_size: int
    patch_size: int
    num_prefix_tokens: int

    def forward(self, pixel_values: Tensor, grid_hw: Tensor) -> Tensor:
        """Features of packed patches.

        Args:
            pixel_values: `(total_patches, 3 * patch_size**2)`, normalised, image after image,
                patches row by row over each grid, each in (channel, y, x) order.
            grid_hw: int64 `(num_images, 2)`, patch rows and columns of each image.

        Returns:
            `(total_patches, hidden_size)`, in the same order.

        Raises:
            InputError: the grids do not describe the patches.
        """
        ...

    def encode_tubelets(
        self,
        pixel_values: Tensor,
        grid_thw: Tensor,
        reuse: tuple[Tensor, Tensor, bool] | None = None,
    ) -> Tensor:
        """Features of the packed tubelets of videos.

        Args:
            pixel_values: `(total_patches, frames * 3 * patch_size**2)`, tubelet after tubelet;
                one frame makes a tubelet unless the tower takes several together.
            grid_thw: int64 `(num_videos, 3)`, tubelets, patch rows and columns of each video.
            reuse: which patches the tower runs on, bool `(total_patches,)`; the patch whose
                features each one gets, int64; and whether those left out are remembered as they
                last were, or not seen at all.

        Returns:
            `(total_patches, hidden_size)`, in the same order.

        Raises:
            InputError: the grids do not describe the patches.
            BackendError: this tower cannot leave patches out.
        """
        ...

    def __call__(self, *args: Any, **kwargs: Any) -> Any: ...
