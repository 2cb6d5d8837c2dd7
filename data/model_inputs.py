"""What a model reads of one prompt; the processor makes it, training and answering take it."""

from dataclasses import dataclass

from torch import Tensor

from ..token_reduction.budget import dropped_tokens
from ..token_reduction.evs import EVSPlan
from ..token_reduction.reuse import ReusePlan
from .image_transform import ImageInfo
from .video_transform import VideoInfo

IGNORED_LABEL = -100


@dataclass(frozen=True, kw_only=True)
class ModelInputs:
    """One prompt, packed.

    Attributes:
        input_ids: int64 (tokens,).
        pixel_values: float32 (patches, 3 * p * p), or None without pictures.
        image_grid_hw: int64 (pictures or tiles, 2), or None without pictures.
        pixel_values_videos: float32 (patches, frames per tubelet * 3 * p * p), or None.
        video_grid_thw: int64 (videos, 3), tubelets, patch rows and columns, or None.
        evs: of each video what EVS keeps of it; empty if nothing is dropped. What is dropped is
            still among the ids, and leaves them once the videos were encoded.
        reuse: which patches of videos are encoded, and whose features the others get; None
            encodes all.
        visual_tokens: how many of the ids stand for pictures and videos.
        visual_tokens_before: how many they were without any reduction.
        images, videos: what became of each.
        opens_thought: whether the prompt ends inside a thought, which the answer goes on with.
        labels: int64 (tokens,), the ids of what the assistant says and -100 elsewhere;
            only in training. A label belongs to its own position, not to the one before.
    """

    input_ids: Tensor
    pixel_values: Tensor | None = None
    image_grid_hw: Tensor | None = None
    pixel_values_videos: Tensor | None = None
    video_grid_thw: Tensor | None = None
    evs: tuple[EVSPlan, ...] = ()
    reuse: ReusePlan | None = None
    visual_tokens: int = 0
    visual_tokens_before: int = 0
    images: tuple[ImageInfo, ...] = ()
    videos: tuple[VideoInfo, ...] = ()
    opens_thought: bool = False
    labels: Tensor | None = None

    @property
    def num_tokens(self) -> int:
        """Tokens the language model reads: exact, and with an EVS threshold the most."""
        return self.input_ids.shape[0] - dropped_tokens(self.evs)
