"""What it costs and saves not to encode patches of a video again: time, features, predictions.

A clip is encoded whole and by reuse, by the same tower, in turns. Features and what the language
model then expects next are compared with those of the clip encoded whole.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from statistics import median
from typing import Any

import torch
from torch import Tensor

from ..data.video import Video
from ..data.video_transform import VideoConfig, VideoTransform
from ..token_reduction.reuse import ReuseConfig, ReusePlan, plan_reuse
from ..token_reduction.tubelets import Tubelets
from ..vlm.model import VisionLanguageModel
from .moving_pictures import CLIPS

WAYS = {
    "memory, 0 levels": ReuseConfig(),
    "memory, 8 levels": ReuseConfig(threshold=8),
    "memory, 8 levels, whole every 8": ReuseConfig(threshold=8, refresh_every=8),
    "ring of 2, 8 levels": ReuseConfig(threshold=8, ring=2),
}


@dataclass(frozen=True, kw_only=True)
class ReuseFigure:
    """One clip encoded in one way.

    Attributes:
        encoded: share of patches the tower ran on.
        time_ratio: seconds by reuse, the plan included, over seconds whole; median of repeats.
        feature_error: mean over patches of |reused - whole| / |whole|, of the tower's features.
        changed_error: the same over the patches that were encoded after the first tubelet.
        token_error: the same of the visual tokens that the language model gets.
        prediction_gap: the largest difference of a next-token probability after the clip.
        same_token: whether the likeliest next token is the same.
    """

    clip: str
    way: str
    encoded: float
    time_ratio: float
    feature_error: float
    changed_error: float
    token_error: float
    prediction_gap: float
    same_token: bool

    def as_values(self) -> dict[str, Any]:
        return asdict(self)


@torch.inference_mode()
def measure_reuse(
    model: VisionLanguageModel,
    *,
    frames: int,
    size: tuple[int, int],
    patches: int,
    repeats: int = 3,
    clips: Sequence[str] = tuple(CLIPS),
    notify: Callable[[str], None] = lambda line: None,
) -> list[ReuseFigure]:
    """Every clip in every way.

    Args:
        frames: of a clip.
        size: of a frame, height and width in pixels.
        patches: the most of a tubelet.
    """
    vision = model.config.vision
    rule = Tubelets(
        patch_size=vision.patch_size,
        target_num_patches=patches,
        frames_per_tubelet=model.config.frames_per_tubelet,
    )
    transform = VideoTransform(
        VideoConfig(tubelets=rule, image_mean=vision.image_mean, image_std=vision.image_std)
    )
    figures = []
    for name in clips:
        pictures = CLIPS[name](frames, *size)
        times = tuple(map(float, range(frames)))
        packed = transform([Video(frames=tuple(pictures), timestamps=times)])
        notify(name)
        figures += _of_clip(model, name, packed.pixel_values, packed.grid_thw, repeats)
    return figures


def _of_clip(
    model: VisionLanguageModel, name: str, pixels: Tensor, grid: Tensor, repeats: int
) -> list[ReuseFigure]:
    vision, tower = model.config.vision, model.vision_encoder

    def encode(way: str) -> tuple[Tensor, ReusePlan | None]:
        plan = None
        if way in WAYS:
            sizes = {"patch_size": vision.patch_size, "image_std": vision.image_std}
            plan = plan_reuse(pixels, grid, WAYS[way], **sizes)
        return tower.encode_tubelets(pixels, grid, plan), plan

    ways = ["whole", *WAYS]
    seconds: dict[str, list[float]] = {way: [] for way in ways}
    found: dict[str, tuple[Tensor, ReusePlan | None]] = {}
    encode("whole")  # the first call of all allocates
    for _ in range(repeats):
        for way in ways:
            begin = time.perf_counter()
            found[way] = encode(way)
            seconds[way].append(time.perf_counter() - begin)
    figures = []
    shown = _shown(model, found["whole"][0], grid)
    for way in WAYS:
        features, plan = found[way]
        assert plan is not None
        figures.append(
            ReuseFigure(
                clip=name,
                way=way,
                encoded=float(plan.encoded_P.float().mean()),
                time_ratio=median(seconds[way]) / median(seconds["whole"]),
                **_errors(model, found["whole"][0], shown, features, plan, grid),
            )
        )
    return figures


def _shown(model: VisionLanguageModel, features: Tensor, grid: Tensor) -> tuple[Tensor, Tensor]:
    """The visual tokens of a clip's features, and the probabilities of what comes after them."""
    tokens = model.project_videos(features, grid)[0].flatten(0, 2)
    text = model.language_model
    return tokens, text.logits(text(tokens)[-1:])[0].softmax(-1)


def _errors(
    model: VisionLanguageModel,
    whole: Tensor,
    shown: tuple[Tensor, Tensor],
    found: Tensor,
    plan: ReusePlan,
    grid: Tensor,
) -> dict[str, Any]:
    first = int(grid[0, 1] * grid[0, 2])
    off_P = (found - whole).norm(dim=-1) / whole.norm(dim=-1)
    own_P = plan.source_P == torch.arange(len(off_P))
    own_P[:first] = False
    tokens, likely = zip(shown, _shown(model, found, grid), strict=True)
    off_V = (tokens[1] - tokens[0]).norm(dim=-1) / tokens[0].norm(dim=-1)
    return {
        "feature_error": float(off_P.mean()),
        "changed_error": float(off_P[own_P].mean()) if bool(own_P.any()) else 0.0,
        "token_error": float(off_V.mean()),
        "prediction_gap": float((likely[1] - likely[0]).abs().max()),
        "same_token": bool(likely[0].argmax() == likely[1].argmax()),
    }
