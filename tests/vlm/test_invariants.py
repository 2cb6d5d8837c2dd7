"""What must hold for any model: packed = separate, cached = full, batched = alone."""

import pytest
import torch
from torch import Tensor

from latentvlm.errors import FusionError, InputError
from latentvlm.vlm.cache import AttentionCache, Cache
from latentvlm.vlm.language_model import LanguageModel
from latentvlm.vlm.model import VisionLanguageModel
from latentvlm.vlm.presets import tiny


@pytest.fixture(scope="module")
def model() -> VisionLanguageModel:
    torch.manual_seed(0)
    model = VisionLanguageModel(tiny()).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.dim() > 1:
                parameter.normal_(std=0.15)
    return model


@pytest.fixture(scope="module")
def text(model: VisionLanguageModel) -> LanguageModel:
    return model.language_model


def tokens(count: int, *, seed: int = 1) -> Tensor:
    return torch.randint(20, 320, (count,), generator=torch.Generator().manual_seed(seed))


def boundaries(*lengths: int) -> Tensor:
    return torch.tensor([0, *torch.tensor(lengths).cumsum(0).tolist()], dtype=torch.int32)


def forward(text: LanguageModel, ids: Tensor, cache: Cache | None = None, **row) -> Tensor:
    return text.logits(text(text.embed(ids), cache=cache, **row))


def close(ours: Tensor, theirs: Tensor) -> None:
    torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=2e-5)


@torch.inference_mode()
def test_changing_one_sequence_moves_no_other(text: LanguageModel) -> None:
    row, ids = boundaries(30, 70, 1, 40), tokens(141)
    before = forward(text, ids, cu_seqlens=row)
    ids = ids.clone()
    ids[30:100] = tokens(70, seed=9)
    after = forward(text, ids, cu_seqlens=row)
    close(after[:30], before[:30])
    close(after[100:], before[100:])
    assert (after[30:100] - before[30:100]).abs().amax(-1).min() > 1e-3
    for start, stop in [(0, 30), (30, 100), (100, 101), (101, 141)]:
        close(after[start:stop], forward(text, ids[start:stop]))


@torch.inference_mode()
def test_later_tokens_never_move_earlier_ones(text: LanguageModel) -> None:
    ids = tokens(80)
    before = forward(text, ids)
    ids = ids.clone()
    ids[50:] = tokens(30, seed=4)
    close(forward(text, ids)[:50], before[:50])


@torch.inference_mode()
def test_cached_steps_are_the_full_forward(text: LanguageModel) -> None:
    ids = tokens(90)
    full = forward(text, ids)
    cache = Cache.allocate(text.config, 1, capacity=2)
    close(forward(text, ids[:41], cache), full[:41])
    for t in range(41, 90):
        close(forward(text, ids[t : t + 1], cache), full[t : t + 1])
    assert cache.lengths == [90] and cache.num_bytes > 0


def prefilled(text: LanguageModel, prompts: list[Tensor]) -> Cache:
    cache = Cache.allocate(text.config, len(prompts), capacity=4)
    row = boundaries(*(len(p) for p in prompts))
    forward(text, torch.cat(prompts), cache, cu_seqlens=row)
    return cache


@torch.inference_mode()
def test_a_batch_of_unequal_lengths_decodes_as_each_alone(text: LanguageModel) -> None:
    prompts = [tokens(n, seed=n) for n in (5, 33, 1, 64)]
    cache = prefilled(text, prompts)
    alone = [prefilled(text, [prompt]) for prompt in prompts]
    for step in range(5):
        ids = tokens(4, seed=100 + step)
        together = forward(text, ids, cache, cu_seqlens=boundaries(1, 1, 1, 1))
        each = [forward(text, ids[s : s + 1], alone[s]) for s in range(4)]
        close(together, torch.cat(each))


@torch.inference_mode()
def test_a_row_may_mix_steps_and_prompts(text: LanguageModel) -> None:
    prompts = [tokens(9, seed=2), tokens(20, seed=3)]
    cache = prefilled(text, prompts)
    more = [tokens(1, seed=4), tokens(12, seed=5)]
    mixed = forward(text, torch.cat(more), cache, cu_seqlens=boundaries(1, 12))
    full = [forward(text, torch.cat(pair)) for pair in zip(prompts, more, strict=True)]
    close(mixed, torch.cat([full[0][-1:], full[1][-12:]]))


@torch.inference_mode()
def test_a_fork_goes_its_own_way(text: LanguageModel) -> None:
    prompt = tokens(21)
    cache = prefilled(text, [prompt])
    fork = cache.fork()
    left, right = tokens(3, seed=6), tokens(3, seed=7)
    close(forward(text, left, fork), forward(text, torch.cat([prompt, left]))[-3:])
    close(forward(text, right, cache), forward(text, torch.cat([prompt, right]))[-3:])
    assert fork.lengths == cache.lengths == [24]


@torch.inference_mode()
def test_select_reorders_and_repeats(text: LanguageModel) -> None:
    prompts = [tokens(n, seed=n) for n in (5, 17)]
    chosen = prefilled(text, prompts).select([1, 1, 0])
    assert chosen.lengths == [17, 17, 5]
    ids = tokens(3, seed=8)
    wanted = [
        forward(text, torch.cat([prompts[p], ids[s : s + 1]]))[-1:] for s, p in enumerate([1, 1, 0])
    ]
    close(forward(text, ids, chosen, cu_seqlens=boundaries(1, 1, 1)), torch.cat(wanted))
    with pytest.raises(InputError, match="Sequence 3"):
        chosen.select([3])


@torch.inference_mode()
def test_restore_forgets_and_can_be_repeated(text: LanguageModel) -> None:
    prompt = tokens(30)
    cache = prefilled(text, [prompt])
    point = cache.snapshot()
    expected = forward(text, torch.cat([prompt, tokens(2, seed=3)]))[-2:]
    for wrong in (tokens(7, seed=1), tokens(1, seed=2)):
        forward(text, wrong, cache)
        cache.restore(point)
        assert cache.lengths == [30]
        assert all(e.lengths == [30] for e in cache.layers if isinstance(e, AttentionCache))
    close(forward(text, tokens(2, seed=3), cache), expected)


@torch.inference_mode()
def test_bfloat16_stays_near_float32(model: VisionLanguageModel) -> None:
    half = LanguageModel(tiny().text).eval()
    half.load_state_dict(model.language_model.state_dict())
    half.bfloat16()
    ids = tokens(70)
    expected = forward(model.language_model, ids)
    got = forward(half, ids)
    assert got.dtype == torch.float32 and got.isfinite().all()
    assert (got - expected).norm() / expected.norm() < 0.1
    cache = Cache.allocate(half.config, 1, dtype=torch.bfloat16)
    parts = [forward(half, part, cache) for part in ids.split([40, 29, 1])]
    assert (torch.cat(parts) - expected).norm() / expected.norm() < 0.1


def test_every_parameter_gets_a_gradient(text: LanguageModel) -> None:
    ids = tokens(50)
    row = boundaries(20, 30)
    hidden = text(text.embed(ids), cu_seqlens=row)
    draft = text.mtp_hidden(hidden, text.embed(ids.roll(-1)), cu_seqlens=row)
    (text.logits(hidden).square().mean() + text.logits(draft).square().mean()).backward()
    for name, parameter in text.named_parameters():
        assert parameter.grad is not None and parameter.grad.abs().max() > 0, name
        parameter.grad = None


@torch.inference_mode()
def test_images_of_one_prompt(model: VisionLanguageModel) -> None:
    """Two images in one call give what each gives alone, and the counts must fit."""
    grids = torch.tensor([[4, 2], [2, 6]])
    pixels = torch.randn(20, 192, generator=torch.Generator().manual_seed(0))
    visual = model.encode_images(pixels, grids)
    assert visual.shape == (5, 32)
    close(visual[:2], model.encode_images(pixels[:8], grids[:1]))
    close(visual[2:], model.encode_images(pixels[8:], grids[1:]))

    ids = tokens(12)
    ids[2:4], ids[6:9] = 18, 18
    embeds = model.embed(ids, pixels, grids)
    close(embeds[[2, 3, 6, 7, 8]], visual)
    assert model(ids, pixel_values=pixels, image_grid_hw=grids).shape == (12, 320)
    with pytest.raises(FusionError, match="4 image placeholders .* 5 visual tokens"):
        model(torch.cat([ids[:8], ids[9:]]), pixel_values=pixels, image_grid_hw=grids)
    with pytest.raises(InputError, match="belong together"):
        model(ids, pixel_values=pixels)


def test_boundaries_that_do_not_fit_say_so(text: LanguageModel) -> None:
    for bad in ([0, 4], [1, 6], [0, 4, 4, 6]):
        with pytest.raises(InputError, match="must rise from 0 to the 6 tokens"):
            forward(text, tokens(6), cu_seqlens=torch.tensor(bad, dtype=torch.int32))
