"""Pictures and videos that were encoded, kept by what is on them.

The key is a hash of the pixels as the tower gets them, so the same page is found again whatever
file it comes from, and a file that changed is not.
"""

import hashlib
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ..data.model_inputs import ModelInputs
from ..errors import InputError
from .model import VisionLanguageModel


@dataclass(frozen=True)
class MediaKeys:
    """One key for each picture (or tile) and for each video of a prompt."""

    images: tuple[bytes, ...]
    videos: tuple[bytes, ...]


def media_keys(inputs: ModelInputs) -> MediaKeys:
    """The keys of a prompt that is still on the CPU."""
    kind = b"video"
    if (plan := inputs.reuse) is not None:
        # What a video becomes then depends on the plan, which is of all videos together.
        kind += repr(plan.remembers).encode() + _bytes(plan.encoded_P) + _bytes(plan.source_P)
    return MediaKeys(
        _keys(b"image", inputs.pixel_values, inputs.image_grid_hw),
        _keys(kind, inputs.pixel_values_videos, inputs.video_grid_thw),
    )


class MediaCache:
    """Encoded media, the least recently used of which go first.

    Attributes:
        max_bytes: how much is kept; 0 keeps nothing.
        num_bytes: how much is kept now.
        hits, misses: pictures, tiles and videos that were found, and that were encoded.
    """

    def __init__(self, max_bytes: int) -> None:
        self.max_bytes = max_bytes
        self.num_bytes = self.hits = self.misses = 0
        self._kept: OrderedDict[bytes, Tensor] = OrderedDict()

    def see(
        self, model: VisionLanguageModel, inputs: ModelInputs, keys: MediaKeys
    ) -> tuple[list[Tensor], list[Tensor]]:
        """As `prompt.see`, but only what is new is encoded.

        Raises:
            InputError: pixels come without grids, or do not match them.
        """
        config = model.config

        def encode_images(pixels: Tensor, grids: Tensor) -> list[Tensor]:
            visual_VD = model.encode_images(pixels, grids)
            return list(visual_VD.split((grids.prod(-1) // config.merge_size**2).tolist()))

        pixels, grids, plan = inputs.pixel_values_videos, inputs.video_grid_thw, inputs.reuse
        if plan is not None and not all(key in self._kept for key in keys.videos):
            assert pixels is not None and grids is not None
            videos = model.encode_videos(pixels, grids, plan)
            self.misses += len(videos)
            for key, video in zip(keys.videos, videos, strict=True):
                self._keep(key, video)
        else:
            videos = self._find(keys.videos, pixels, grids, model.encode_videos)
        images = self._find(keys.images, inputs.pixel_values, inputs.image_grid_hw, encode_images)
        return images, videos

    def _find(
        self,
        keys: Sequence[bytes],
        pixels: Tensor | None,
        grids: Tensor | None,
        encode: Callable[[Tensor, Tensor], list[Tensor]],
    ) -> list[Tensor]:
        if pixels is None or grids is None:
            return []
        found = {key: self._kept[key] for key in keys if key in self._kept}
        new = list(dict.fromkeys(key for key in keys if key not in found))
        self.hits += len(keys) - len(new)
        self.misses += len(new)
        if new:
            parts = pixels.split(grids.prod(-1).tolist())
            at = [keys.index(key) for key in new]
            found |= zip(new, encode(torch.cat([parts[i] for i in at]), grids[at]), strict=True)
        for key in keys:
            self._keep(key, found[key])
        return [found[key] for key in keys]

    def _keep(self, key: bytes, visual: Tensor) -> None:
        if key in self._kept:
            self._kept.move_to_end(key)
            return
        if visual.nbytes > self.max_bytes:
            return
        # A copy: what came out of the tower together would otherwise stay together.
        self._kept[key] = visual.clone()
        self.num_bytes += visual.nbytes
        while self.num_bytes > self.max_bytes:
            _, oldest = self._kept.popitem(last=False)
            self.num_bytes -= oldest.nbytes


def _keys(kind: bytes, pixels: Tensor | None, grids: Tensor | None) -> tuple[bytes, ...]:
    if pixels is None or grids is None:
        return ()
    counts = grids.prod(-1).tolist()
    if sum(counts) != pixels.shape[0]:
        raise InputError(
            f"The grids stand for {sum(counts)} patches but there are {pixels.shape[0]}."
        )
    keys = []
    for part, grid in zip(pixels.split(counts), grids.tolist(), strict=True):
        digest = hashlib.blake2b(kind + repr((grid, part.shape)).encode(), digest_size=20)
        digest.update(_bytes(part))
        keys.append(digest.digest())
    return tuple(keys)


def _bytes(tensor: Tensor) -> bytes:
    return tensor.contiguous().numpy().tobytes()
