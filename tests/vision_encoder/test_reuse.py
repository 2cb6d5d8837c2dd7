"""Patches that did not change are not encoded again: the plan, and the tower run by it.

The towers are compared with a whole one that is told by masks, or by remembered keys and values,
what its patches may see.
"""

import pytest
import torch
from torch import Tensor

from latentvlm.errors import BackendError, ConfigError
from latentvlm.token_reduction.reuse import ReuseConfig, plan_reuse
from latentvlm.vision_encoder.picture_tower import PictureTower
from latentvlm.vision_encoder.radio import RadioConfig, RadioEncoder

STD = (0.25, 0.5, 0.2)
PATCH = 4


def tower(layers: int = 3, *, frames: int | None = None) -> RadioEncoder:
    """Random, with weights large enough that patches see each other."""
    config = RadioConfig(
        hidden_size=24, num_layers=layers, num_heads=2, intermediate_size=48, patch_size=PATCH,
        pos_grid=8, num_cls_tokens=2, num_registers=1, video_temporal_patch_size=frames,
    )  # fmt: skip
    made = RadioEncoder(config).eval()
    draw = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for weight in made.parameters():
            scale = 0.5 if weight.dim() < 2 else weight.shape[-1] ** -0.5
            weight.add_(scale * torch.randn(weight.shape, generator=draw))
    return made


def clip(grid: list[int], changes: dict[int, list[int]], *, frames: int = 1) -> Tensor:
    """Patches of a still video, of which some are drawn anew from a tubelet on."""
    tubelets, rows, cols = grid
    draw = torch.Generator().manual_seed(1)
    now = torch.randn(rows * cols, frames * 3 * PATCH**2, generator=draw)
    video = []
    for idx in range(tubelets):
        for place in changes.get(idx, []):
            now[place] = torch.randn(now.shape[1], generator=draw)
        video.append(now.clone())
    return torch.cat(video)


def plan(pixels: Tensor, grids: list[list[int]], config: ReuseConfig):
    return plan_reuse(pixels, torch.tensor(grids), config, patch_size=PATCH, image_std=STD)


def whole_tower(made: RadioEncoder, patches: Tensor, grid: tuple[int, int], see) -> Tensor:
    """One tubelet in full; `see(layer, keys, values)` gives what attention is over."""
    generator = made.patch_generator
    embedder = generator.video_embedder or generator.embedder
    prefix = generator.cls_token.token
    x = torch.cat([prefix, embedder(patches) + generator.positions(*grid)])
    for number, block in enumerate(made.blocks):
        q, k, v = block.attn.qkv(block.norm1(x)).view(len(x), 3, 2, -1).permute(1, 2, 0, 3)
        keys, values, mask = see(number, k, v)
        scores = q @ keys.transpose(1, 2) * q.shape[-1] ** -0.5
        out = scores.masked_fill(~mask, -torch.inf).softmax(-1) @ values
        x = x + block.attn.proj(out.transpose(0, 1).flatten(1))
        x = x + block.mlp(block.norm2(x))
    return x[len(prefix) :]


def close(ours: Tensor, expected: Tensor) -> bool:
    return bool((ours - expected).abs().max() <= 1e-4 * expected.abs().max())


CHANGES = {1: [7, 8], 2: [0], 3: [], 4: [5, 23], 5: list(range(12)), 6: [11]}
GRIDS = [[7, 4, 6], [3, 2, 2]]


@torch.no_grad()
@pytest.mark.parametrize("frames", [None, 2])
def test_a_ring_is_a_masked_tower(frames: int | None):
    """Packed patches of many tubelets, against each tubelet whole with the rest masked out."""
    made = tower(frames=frames)
    pixels = torch.cat([clip(g, CHANGES, frames=frames or 1) for g in GRIDS[:1]])
    pixels = torch.cat([pixels, clip(GRIDS[1], {2: [3]}, frames=frames or 1)])
    config = ReuseConfig(ring=1, full_share=0.4)
    chosen = plan(pixels, GRIDS, config)
    found = made.encode_tubelets(pixels, torch.tensor(GRIDS), chosen)
    expected: list[Tensor] = []
    begin = 0
    for tubelets, rows, cols in GRIDS:
        for _ in range(tubelets):
            part = slice(begin, begin + rows * cols)
            seen = torch.cat([torch.ones(3, dtype=torch.bool), chosen.encoded_P[part]])
            if bool(chosen.encoded_P[part].any()):
                expected.append(
                    whole_tower(made, pixels[part], (rows, cols), lambda _, k, v, s=seen: (k, v, s))
                )
            else:
                expected.append(torch.full((rows * cols, 24), torch.nan))
            begin += rows * cols
    assert close(found, torch.cat(expected)[chosen.source_P])
    share = chosen.encoded_P.float().mean()
    assert 0.3 < share < 0.8  # some of it, or nothing was tried


@torch.no_grad()
def test_a_memory_is_the_keys_and_values_that_others_last_had():
    made, grid = tower(), GRIDS[0]
    pixels = clip(grid, CHANGES)
    chosen = plan(pixels, [grid], ReuseConfig(full_share=0.4))
    found = made.encode_tubelets(pixels, torch.tensor([grid]), chosen)
    memory: dict[int, tuple[Tensor, Tensor]] = {}
    now = torch.zeros(24, 24)
    for idx in range(grid[0]):
        part = slice(24 * idx, 24 * (idx + 1))
        runs = torch.cat([torch.ones(3, dtype=torch.bool), chosen.encoded_P[part]])

        def see(layer: int, k: Tensor, v: Tensor, runs: Tensor = runs):
            if layer in memory:
                old_k, old_v = memory[layer]
                k, v = (new.where(runs[:, None], old) for new, old in ((k, old_k), (v, old_v)))
            memory[layer] = (k, v)
            return k, v, torch.ones(len(runs), dtype=torch.bool)

        if bool(runs[3:].any()):
            fresh = whole_tower(made, pixels[part], (4, 6), see)
            now = fresh.where(runs[3:, None], now)
        assert close(found[part], now)


@torch.no_grad()
@pytest.mark.parametrize("ring", [None, 0, 2])
def test_identical_frames_cost_no_encoding(ring: int | None):
    made, grid = tower(), [6, 4, 6]
    pixels = clip(grid, {})
    chosen = plan(pixels, [grid], ReuseConfig(ring=ring))
    assert int(chosen.encoded_P.sum()) == 24
    found = made.encode_tubelets(pixels, torch.tensor([grid]), chosen).unflatten(0, (6, 24))
    assert all(torch.equal(each, found[0]) for each in found)
    alone = made.encode_tubelets(pixels[:24], torch.tensor([[1, 4, 6]]))
    assert close(found[0], alone)


@torch.no_grad()
def test_what_is_exact_and_what_is_not():
    grid = [2, 4, 6]
    pixels = clip(grid, {1: [7, 8]})
    chosen = plan(pixels, [grid], ReuseConfig())
    for layers in (1, 3):
        made = tower(layers)
        found = made.encode_tubelets(pixels, torch.tensor([grid]), chosen)[24:]
        whole = made.encode_tubelets(pixels, torch.tensor([grid]))[24:]
        # in one layer the keys of what did not change are what they would be
        assert close(found[[7, 8]], whole[[7, 8]]) == (layers == 1)
        assert not close(found[[0]], whole[[0]])  # which did not hear of the change
    # encoded whole, every tubelet is itself
    every = plan(pixels, [grid], ReuseConfig(full_share=0.0))
    made = tower()
    found = made.encode_tubelets(pixels, torch.tensor([grid]), every)
    assert close(found, made.encode_tubelets(pixels, torch.tensor([grid])))


@torch.no_grad()
def test_a_memory_is_nearer_to_the_whole_than_a_ring():
    made, grid = tower(), [6, 8, 8]
    pixels = clip(grid, {t: [10 * t, 10 * t + 1] for t in range(1, 6)})
    whole = made.encode_tubelets(pixels, torch.tensor([grid]))

    def off(ring: int | None) -> float:
        chosen = plan(pixels, [grid], ReuseConfig(ring=ring))
        found = made.encode_tubelets(pixels, torch.tensor([grid]), chosen)
        return float((found - whole).norm() / whole.norm())

    assert 0 < off(None) < off(2) < off(0)


def test_a_threshold_is_in_levels_and_counts_from_what_was_encoded():
    still = torch.zeros(4, 4, 3 * PATCH**2)
    green = PATCH**2 + 3  # a value of the second channel
    for t in range(4):
        still[t, 2, green] = t * 3 / 255 / STD[1]  # three levels more each time
    encoded = plan(still.flatten(0, 1), [[4, 2, 2]], ReuseConfig(threshold=4.0)).encoded_P
    # 3 levels are let pass, 6 are not, and then it is 3 again
    assert encoded.view(4, 4)[1:].tolist() == [
        [False] * 4,
        [False, False, True, False],
        [False] * 4,
    ]
    chosen = plan(still.flatten(0, 1), [[4, 2, 2]], ReuseConfig(threshold=4.0))
    assert chosen.source_P.view(4, 4)[3].tolist() == [0, 1, 2 * 4 + 2, 3]
    assert int(plan(still.flatten(0, 1), [[4, 2, 2]], ReuseConfig()).encoded_P.sum()) == 4 + 3
    assert (
        int(plan(still.flatten(0, 1), [[4, 2, 2]], ReuseConfig(threshold=9.5)).encoded_P.sum()) == 4
    )


def test_rings_shares_and_refreshes():
    grid = [5, 5, 5]
    pixels = clip(grid, {2: [12]})
    ring = plan(pixels, [grid], ReuseConfig(ring=1)).encoded_P.view(5, 5, 5)
    assert ring[2].int().tolist() == [
        [0, 0, 0, 0, 0], [0, 1, 1, 1, 0], [0, 1, 1, 1, 0], [0, 1, 1, 1, 0], [0, 0, 0, 0, 0]
    ]  # fmt: skip
    source = plan(pixels, [grid], ReuseConfig(ring=1)).source_P.view(5, 25)
    assert source[2].tolist() == [*range(12), 2 * 25 + 12, *range(13, 25)]
    small = plan(pixels, [grid], ReuseConfig(ring=1, full_share=0.35)).encoded_P
    assert small.view(5, 25).sum(1).tolist() == [25, 0, 25, 0, 0]
    often = plan(pixels, [grid], ReuseConfig(refresh_every=2)).encoded_P
    assert often.view(5, 25).sum(1).tolist() == [25, 0, 25, 0, 25]


def test_what_cannot_be():
    for wrong, message in [
        ({"threshold": -1}, "threshold is -1"),
        ({"ring": 1.5}, "ring is 1.5"),
        ({"full_share": 2}, "full_share is 2"),
        ({"refresh_every": 0}, "refresh_every is 0"),
    ]:
        with pytest.raises(ConfigError, match=f"reuse {message}"):
            ReuseConfig(**wrong)  # type: ignore[arg-type]


class Whole(PictureTower):
    """A tower of whole pictures."""

    name = "whole"

    def feature_maps(self, pictures: Tensor) -> Tensor:
        raise AssertionError("nothing is to be encoded")


def test_a_tower_of_whole_pictures_leaves_nothing_out():
    chosen = plan(clip([2, 2, 2], {}), [[2, 2, 2]], ReuseConfig())
    with pytest.raises(BackendError, match="tower whole takes whole pictures.*without reuse"):
        Whole().encode_tubelets(torch.zeros(8, 48), torch.tensor([[2, 2, 2]]), chosen)
