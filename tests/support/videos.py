"""Random videos, and their way through a model written out step by step from the format.

Nothing here is packed, chunked or cached: one tubelet at a time, by the letter of the
description of the released models.
"""

import math

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from latentvlm.vlm.model import VisionLanguageModel

MEAN = torch.tensor([0.48145466, 0.4578275, 0.40821073]).view(3, 1, 1)
STD = torch.tensor([0.26862954, 0.26130258, 0.27577711]).view(3, 1, 1)


def frames(count: int, height: int, width: int, *, seed: int = 0) -> list[np.ndarray]:
    random = np.random.default_rng(seed)
    return [random.integers(0, 256, (height, width, 3), dtype=np.uint8) for _ in range(count)]


def video(count: int, height: int, width: int, *, seed: int = 0, fps: float = 2) -> dict:
    return {"type": "video", "frames": frames(count, height, width, seed=seed), "fps": fps}


def resized(frame: np.ndarray, height: int, width: int) -> Tensor:
    """Bicubic with antialiasing, not clamped, then normalised: `(3, height, width)`."""
    planes = torch.from_numpy(frame).permute(2, 0, 1).float()
    if planes.shape[1:] != (height, width):
        planes = F.interpolate(
            planes[None], size=(height, width), mode="bicubic", align_corners=False, antialias=True
        )[0]
    return (planes / 255 - MEAN) / STD


def tower_features(model: VisionLanguageModel, planes: list[Tensor], weight: Tensor) -> Tensor:
    """The tower on one image or tubelet: `(rows, cols, hidden)`, its frames given as planes."""
    tower, patch = model.vision_encoder, model.config.vision.patch_size
    rows, cols = planes[0].shape[1] // patch, planes[0].shape[2] // patch
    patches = []
    for row in range(rows):
        for col in range(cols):
            place = (slice(row * patch, (row + 1) * patch), slice(col * patch, (col + 1) * patch))
            patches.append(torch.cat([plane[:, *place].reshape(-1) for plane in planes]))
    x = torch.stack(patches) @ weight.T
    side = model.config.vision.pos_grid
    table = tower.patch_generator.pos_embed.view(side, side, -1).permute(2, 0, 1)[None]
    longest = max(rows, cols)
    if (rows, cols) != (side, side):
        table = F.interpolate(table, size=(longest, longest), mode="bilinear", align_corners=False)
    x = x + table[0, :, :rows, :cols].flatten(1).T
    prefix = tower.patch_generator.cls_token.token
    x = torch.cat([prefix, x])
    heads = model.config.vision.num_heads
    for block in tower.blocks:
        q, k, v = block.attn.qkv(block.norm1(x)).view(len(x), 3, heads, -1).permute(1, 2, 0, 3)
        weights = (q @ k.transpose(1, 2) / math.sqrt(q.shape[-1])).softmax(-1)
        x = x + block.attn.proj((weights @ v).transpose(0, 1).reshape(len(x), -1))
        x = x + block.mlp.fc2(F.gelu(block.mlp.fc1(block.norm2(x))))
    return x[len(prefix) :].view(rows, cols, -1)


def visual_tokens(model: VisionLanguageModel, features: Tensor) -> Tensor:
    """Tower features `(rows, cols, hidden)` to `(rows / 2, cols / 2, D)`."""
    if model.vision_final_layernorm is not None:
        features = model.vision_final_layernorm(features)
    corners = [features[dy::2, dx::2] for dy in (0, 1) for dx in (0, 1)]
    merged = torch.cat(corners, dim=-1)
    norm = model.projector.norm.weight
    merged = merged * torch.rsqrt(merged.square().mean(-1, keepdim=True) + 1e-5) * norm
    hidden = (merged @ model.projector.linear_1.weight.T).relu().square()
    return hidden @ model.projector.linear_2.weight.T


def video_tokens(
    model: VisionLanguageModel, frames: list[np.ndarray], grid: tuple[int, int], together: int
) -> Tensor:
    """Visual tokens `(tubelets, rows, cols, D)` of a video whose frames have this patch grid."""
    generator = model.vision_encoder.patch_generator
    embedder = generator.embedder if together == 1 else generator.video_embedder
    assert embedder is not None
    patch = model.config.vision.patch_size
    planes = [resized(frame, grid[0] * patch, grid[1] * patch) for frame in frames]
    while len(planes) % together:
        planes.append(planes[-1])
    tubelets = [planes[i : i + together] for i in range(0, len(planes), together)]
    found = [visual_tokens(model, tower_features(model, t, embedder.weight)) for t in tubelets]
    return torch.stack(found)


def evs_places(video: Tensor, rate: float, *, floor: int = 0, least: float = -1.0) -> set:
    """Places (t, y, x) that stay: the published rule, and beside it a floor and a threshold."""
    count, rows, cols, _ = video.shape
    unlike = {}
    for t in range(count):
        for y in range(rows):
            for x in range(cols):
                if t == 0:
                    unlike[t, y, x] = 255.0
                    continue
                a, b = video[t, y, x].tolist(), video[t - 1, y, x].tolist()
                dot = math.fsum(p * q for p, q in zip(a, b, strict=True))
                norms = math.sqrt(math.fsum(p * p for p in a) * math.fsum(q * q for q in b))
                # what does not differ at all differs by nothing, and not by a rounding
                unlike[t, y, x] = 0.0 if a == b else 1 - dot / norms
    always = {place for place in unlike if place[0] == 0}
    for t in range(1, count):
        of_t = sorted((p for p in unlike if p[0] == t), key=lambda p: (-unlike[p], p))
        always |= set(of_t[:floor])
    keep = max(rows * cols + (count - 1) * floor, int(count * rows * cols * (1 - rate)))
    rest = sorted(unlike.keys() - always, key=lambda p: (-unlike[p], p))
    return always | {p for p in rest[: keep - len(always)] if unlike[p] >= least}
