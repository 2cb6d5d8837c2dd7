"""A RADIO tower on the changed patches of a video, which see the others as those last were.

Every layer keeps the keys and values of all patches of the video's tubelet, and each patch that
is encoded replaces its own. So what changed is seen against the whole picture, while the picture
itself costs nothing. With one layer that is exact; with more, the keys and values of what did not
change miss what they would have learnt of the change.

Letters: T tubelets, N patches of one, E of them encoded, R rows of one run (prefix and E),
D hidden, H heads, K head size.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor, nn

if TYPE_CHECKING:
    from .radio import Block, RadioEncoder


@torch.no_grad()
def encode_remembering(
    tower: "RadioEncoder",
    pixel_values: Tensor,
    grid_thw: Tensor,
    embedder: nn.Linear,
    encoded_P: Tensor,
) -> Tensor:
    """Features `(encoded patches, D)` of the chosen patches of each video, in order.

    Args:
        tower: whose blocks run.
        pixel_values: of all patches of all tubelets.
        grid_thw: `(videos, 3)`.
        embedder: of tubelets.
        encoded_P: bool; of the first tubelet of a video every patch.
    """
    generator = tower.patch_generator
    prefix = generator.cls_token.token
    features: list[Tensor] = []
    begin = 0
    for tubelets, rows, cols in grid_thw.tolist():
        positions_ND = generator.positions(rows, cols)
        count = rows * cols
        memory = [_LayerMemory(prefix.shape[0] + count) for _ in tower.blocks]
        for start in range(begin, begin + tubelets * count, count):
            chosen_E = encoded_P[start : start + count].nonzero()[:, 0]
            if not len(chosen_E):
                continue
            pixels = pixel_values[start : start + count][chosen_E]
            patches_ED = embedder(pixels.to(embedder.weight.dtype)) + positions_ND[chosen_E]
            places_R = torch.cat(
                [torch.arange(len(prefix), device=chosen_E.device), chosen_E + len(prefix)]
            )
            x_RD = _run(tower.blocks, torch.cat([prefix, patches_ED]), places_R, memory)
            features.append(x_RD[len(prefix) :])
        begin += tubelets * count
    return torch.cat(features)


class _LayerMemory:
    """Keys and values `(H, prefix + N, K)` of one layer, newest of each place."""

    def __init__(self, num_places: int) -> None:
        self.num_places = num_places
        self.keys = self.values = torch.empty(0)

    def update(self, k_HRK: Tensor, v_HRK: Tensor, places_R: Tensor) -> tuple[Tensor, Tensor]:
        """All keys and values, with those of some places replaced."""
        if not self.keys.numel():
            shape = (k_HRK.shape[0], self.num_places, k_HRK.shape[2])
            self.keys, self.values = k_HRK.new_empty(shape), v_HRK.new_empty(shape)
        self.keys[:, places_R] = k_HRK
        self.values[:, places_R] = v_HRK
        return self.keys, self.values


def _run(
    blocks: nn.ModuleList, x_RD: Tensor, places_R: Tensor, memory: Sequence[_LayerMemory]
) -> Tensor:
    block: Block
    for block, layer in zip(blocks, memory, strict=True):  # type: ignore[assignment]
        attention = block.attn
        qkv = attention.qkv(block.norm1(x_RD)).view(len(x_RD), 3, attention.num_heads, -1)
        q, k, v = qkv.permute(1, 2, 0, 3)
        keys, values = layer.update(k, v, places_R)
        out = F.scaled_dot_product_attention(q[None], keys[None], values[None])[0]
        x_RD = x_RD + attention.proj(out.transpose(0, 1).flatten(1))
        x_RD = x_RD + block.mlp(block.norm2(x_RD))
    return x_RD
