"""Patches of a video that did not change are not encoded again: found in pixels, before the tower.

A patch has changed when one of its values differs by more than a threshold from those that its
features were last computed from. The tower then runs on the changed patches of a tubelet; all
others keep the features they have. What the changed ones attend to is one of two:

- the keys and values that every other patch had, layer by layer, when it was last encoded;
- a ring of patches around them, encoded with them and then forgotten, and nothing else. That
  needs no memory and packs tubelets together, but is further from the whole.

What is exact: a tubelet without any change costs nothing and has the features it had, and, with
a ring, one that is encoded whole has its own. What is not: in any other, patches left out are not
told of what changed, and the changed ones see others as they were, or a ring alone. A ViT has
global attention, so the threshold bounds how far the pixels behind a reused feature are off, and
not how far the feature is; `latentvlm bench --video` measures that.

Letters: P patches of all tubelets, N of one tubelet, C values of a patch.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from ..errors import ConfigError


@dataclass(frozen=True, kw_only=True)
class ReuseConfig:
    """When features of patches are used again.

    Example:
        ```python
        import latentvlm

        vlm = latentvlm.load("my-model")
        answer = vlm.ask("What happens?", "clip.mp4", reuse=latentvlm.ReuseConfig(threshold=4))
        print(answer.usage.videos[0].patches_encoded, "of", answer.usage.videos[0].patches)
        ```

    Attributes:
        threshold: the most by which any value of a patch may differ, in levels of 0 to 255,
            from those its features were computed from. At 0 nothing may.
        ring: how many patches around a changed one are encoded with it as its context, after
            which they keep the features they had; None remembers keys and values of all patches
            instead.
        full_share: a tubelet is encoded whole if more than this share of it would be encoded.
        refresh_every: a tubelet is encoded whole if none was since so many; None for never.

    Raises:
        ConfigError: a value cannot be.
    """

    threshold: float = 0.0
    ring: int | None = None
    full_share: float = 0.5
    refresh_every: int | None = None

    def __post_init__(self) -> None:
        if not 0 <= self.threshold <= 255:
            raise ConfigError(f"The reuse threshold is {self.threshold!r}; it is 0 to 255 levels.")
        if self.ring is not None and (type(self.ring) is not int or self.ring < 0):
            raise ConfigError(f"The reuse ring is {self.ring!r}; it is a whole number of patches.")
        if not 0 <= self.full_share <= 1:
            raise ConfigError(f"The reuse full_share is {self.full_share!r}; it is from 0 to 1.")
        every = self.refresh_every
        if every is not None and (type(every) is not int or every < 1):
            raise ConfigError(f"The reuse refresh_every is {every!r}; it is a number of tubelets.")


class ReusePlan(NamedTuple):
    """What the tower does with each patch.

    Attributes:
        encoded_P: bool, which patches the tower runs on.
        source_P: int64, the patch whose features each one gets; an encoded one.
        remembers: whether keys and values of all patches are the context, instead of a ring.
    """

    encoded_P: Tensor
    source_P: Tensor
    remembers: bool = False


def plan_reuse(
    pixel_values: Tensor,
    grid_thw: Tensor,
    config: ReuseConfig,
    *,
    patch_size: int,
    image_std: Sequence[float],
) -> ReusePlan:
    """Compare the tubelets of each video in their order.

    Args:
        pixel_values: `(P, C)`, normalised, each patch in (frame, channel, y, x) order.
        grid_thw: `(videos, 3)`, tubelets, patch rows and columns.
        patch_size: side of a patch in pixels.
        image_std: what pixels from 0 to 1 were divided by, one a channel.
    """
    levels = 255 * torch.tensor(image_std, device=pixel_values.device)
    of_frame = levels.repeat_interleave(patch_size**2)
    levels_C = of_frame.repeat(pixel_values.shape[1] // of_frame.shape[0])
    encoded, source = [], []
    begin = 0
    for tubelets, rows, cols in grid_thw.tolist():
        end = begin + tubelets * rows * cols
        video_TNC = pixel_values[begin:end].unflatten(0, (tubelets, rows * cols))
        one = _plan_video(video_TNC, levels_C, (rows, cols), config)
        encoded.append(one.encoded_P)
        source.append(one.source_P + begin)
        begin = end
    return ReusePlan(torch.cat(encoded), torch.cat(source), remembers=config.ring is None)


def _plan_video(
    video_TNC: Tensor, levels_C: Tensor, grid: tuple[int, int], config: ReuseConfig
) -> ReusePlan:
    num_patches = video_TNC.shape[1]
    places_N = torch.arange(num_patches, device=video_TNC.device)
    whole_N = torch.ones_like(places_N, dtype=torch.bool)
    # where each patch's features come from, and the pixels they were computed from
    source_N, seen_NC = places_N, video_TNC[0].clone()
    encoded, source, since_whole = [whole_N], [source_N], 1
    for idx, now_NC in enumerate(video_TNC[1:], start=1):
        changed_N = ((now_NC - seen_NC).abs() * levels_C).amax(1) > config.threshold
        runs_N = with_ring(changed_N, grid, config.ring)
        is_much = int(runs_N.sum()) > config.full_share * num_patches
        if is_much or since_whole == config.refresh_every:
            changed_N = runs_N = whole_N
            since_whole = 0
        source_N = (places_N + idx * num_patches).where(changed_N, source_N)
        seen_NC[changed_N] = now_NC[changed_N]
        encoded.append(runs_N)
        source.append(source_N)
        since_whole += 1
    return ReusePlan(torch.cat(encoded), torch.cat(source))


def with_ring(changed_N: Tensor, grid: tuple[int, int], ring: int | None) -> Tensor:
    """Patches of a grid within `ring` rows and columns of a changed one, itself included."""
    if not ring:
        return changed_N
    spread = F.max_pool2d(changed_N.view(1, 1, *grid).float(), 2 * ring + 1, stride=1, padding=ring)
    return spread.flatten() > 0
