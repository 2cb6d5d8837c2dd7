"""How a tower starts: knowing where a patch is and looking at its neighbours.

A ViT that starts at random needs very long to find out that the next patch matters most.
Positions start as sines (Vaswani et al., arXiv:1706.03762, in two dimensions), and in the
first blocks the heads' queries and keys start so that each head looks a step into its own
direction (the idea of ConViT, d'Ascoli et al., arXiv:2103.10697). Both are ordinary weights
and are learnt on from there.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from ...vision_encoder.radio import Block, RadioEncoder

POSITION_SCALE = 0.5
SHORTEST, LONGEST = 4.0, 100.0  # wavelengths, in entries of the position table
# Steps (rows, columns) the heads of a block look at, in entries of the table.
STEPS = ((0, -1), (0, 1), (-1, 0), (1, 0), (0, -2), (0, 2), (-1, 1), (1, -1))


@torch.no_grad()
def start_tower(tower: RadioEncoder, *, local_blocks: int = 2, sharpness: float = 6.0) -> None:
    """Set positions, linear weights and the first blocks' attention in place.

    Args:
        tower: its random state is drawn from torch's generator.
        local_blocks: blocks whose heads start by looking at neighbours.
        sharpness: logit by which a neighbour starts above far patches.
    """
    config = tower.config
    blocks = [block for block in tower.blocks if isinstance(block, Block)]
    for block in blocks:
        for linear in (block.attn.qkv, block.attn.proj, block.mlp.fc1, block.mlp.fc2):
            linear.weight.normal_(std=linear.in_features**-0.5)
        # Products into the residual start small, by depth.
        block.attn.proj.weight.mul_((2 * config.num_layers) ** -0.5)
        block.mlp.fc2.weight.mul_((2 * config.num_layers) ** -0.5)
    waves = _waves(config.hidden_size // 4)
    tower.patch_generator.pos_embed[0] = POSITION_SCALE * _sines(config.pos_grid, waves)
    for block in blocks[:local_blocks]:
        _look_around(block.attn.qkv.weight, config.num_heads, waves, sharpness)


def _waves(count: int) -> Tensor:
    """Angular frequencies `(count,)`, in radians per entry of the table."""
    lengths = torch.logspace(math.log10(SHORTEST), math.log10(LONGEST), count)
    return 2 * math.pi / lengths


def _sines(side: int, waves: Tensor) -> Tensor:
    """`(side**2, 4 * waves)`: sine and cosine pairs of the row, then of the column."""
    angles = torch.arange(side)[:, None] * waves
    pairs = torch.stack([angles.sin(), angles.cos()], dim=-1).flatten(1)
    rows = pairs[:, None].expand(side, side, -1)
    columns = pairs[None].expand(side, side, -1)
    return torch.cat([rows, columns], dim=-1).reshape(side * side, -1)


def _look_around(weight: Tensor, num_heads: int, waves: Tensor, sharpness: float) -> None:
    """Queries are positions turned by the head's step, keys are positions."""
    hidden = weight.shape[1]
    head_dim = hidden // num_heads
    pairs = head_dim // 4  # of each axis
    # Spread over the wavelengths; short ones make the look sharp.
    chosen = torch.linspace(0, len(waves) - 1, pairs).round().long()
    gain = (sharpness * head_dim**0.5 / (2 * pairs)) ** 0.5
    for head in range(num_heads):
        query = weight[head * head_dim : (head + 1) * head_dim]
        key = weight[hidden + head * head_dim : hidden + (head + 1) * head_dim]
        query.mul_(0.1)
        key.mul_(0.1)
        step = STEPS[head % len(STEPS)]
        for axis in (0, 1):
            for idx, wave in enumerate(chosen.tolist()):
                row = 2 * (axis * pairs + idx)
                column = axis * hidden // 2 + 2 * wave
                turn = float(waves[wave]) * step[axis]
                cos, sin = math.cos(turn), math.sin(turn)
                # (sin, cos) of a position -> (sin, cos) of the position a step further.
                query[row, column] += gain * cos
                query[row, column + 1] += gain * sin
                query[row + 1, column] -= gain * sin
                query[row + 1, column + 1] += gain * cos
                key[row, column] += gain
                key[row + 1, column + 1] += gain


@torch.no_grad()
def start_tubelets(tower: RadioEncoder) -> None:
    """Let the tower see a tubelet as the picture that is the mean of its frames, in place.

    So a tower that has learnt pictures begins with videos where it is: a tubelet of equal frames
    has the very features of one of them.
    """
    generator = tower.patch_generator
    if generator.video_embedder is not None:
        weight = generator.embedder.weight
        frames = generator.video_embedder.weight.shape[1] // weight.shape[1]
        generator.video_embedder.weight.copy_(weight.repeat(1, frames) / frames)
