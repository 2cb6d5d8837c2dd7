"""The same answers on a CUDA device as on the CPU; run by `make test-gpu`."""

import pytest
import torch
from support.tiny_model import random_model, tiny_config

from latentvlm.vlm.cache import Cache
from latentvlm.vlm.model import VisionLanguageModel
from latentvlm.vlm.ops.ssd import ssd_reference, ssd_scan

pytestmark = pytest.mark.gpu


def row(model: VisionLanguageModel, seed: int) -> dict[str, torch.Tensor]:
    """A packed row of two sequences, the first with a picture."""
    draw = torch.Generator().manual_seed(seed)
    grid = torch.tensor([[4, 6]])
    ids = torch.randint(32, model.config.text.vocab_size, (40,), generator=draw)
    ids[3:9] = model.config.image_token_id
    pixels = torch.randn(24, model.config.vision.patch_dim, generator=draw)
    cu_seqlens = torch.tensor([0, 25, 40], dtype=torch.int32)
    return {
        "input_ids": ids,
        "cu_seqlens": cu_seqlens,
        "pixel_values": pixels,
        "image_grid_hw": grid,
    }


@torch.no_grad()
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-4), (torch.bfloat16, 5e-2)])
def test_logits_are_the_cpus(dtype: torch.dtype, tolerance: float) -> None:
    model = random_model(tiny_config(), seed=0).eval().to(dtype)
    inputs = row(model, seed=1)
    wanted = model.float()(**inputs)
    on_device = {name: value.cuda() for name, value in inputs.items()}
    found = model.to("cuda", dtype)(**on_device).cpu()
    # bfloat16: eight bits of mantissa, a few dozen roundings in a row
    assert (found - wanted).abs().max() <= tolerance * wanted.abs().max()


@torch.no_grad()
def test_decoding_with_a_cache_is_the_whole_on_the_device() -> None:
    model = random_model(tiny_config(), seed=2).eval().cuda()
    language = model.language_model
    ids = torch.randint(32, model.config.text.vocab_size, (50,)).cuda()
    whole = language(language.embed(ids))
    cache = Cache.allocate(model.config.text, device="cuda")
    parts = [language(language.embed(ids[:30]), cache=cache)]
    parts += [language(language.embed(ids[t : t + 1]), cache=cache) for t in range(30, 50)]
    torch.testing.assert_close(torch.cat(parts), whole, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_the_scan_on_the_device_is_the_reference(dtype: torch.dtype) -> None:
    draw = torch.Generator().manual_seed(3)
    T, H, P, G, N = 150, 4, 16, 2, 8
    x = torch.randn(T, H, P, generator=draw).to(dtype)
    dt = torch.rand(T, H, generator=draw)
    A, D = -torch.rand(H, generator=draw), torch.randn(H, generator=draw)
    B, C = (torch.randn(T, G, N, generator=draw).to(dtype) for _ in range(2))
    cu_seqlens = torch.tensor([0, 70, 71, T], dtype=torch.int32)
    wanted, _ = ssd_reference(x.float(), dt, A, B.float(), C.float(), D, cu_seqlens=cu_seqlens)
    arrays = [t.cuda() for t in (x, dt, A, B, C, D)]
    found, _ = ssd_scan(*arrays, cu_seqlens=cu_seqlens.cuda())
    tolerance = 1e-4 if dtype == torch.float32 else 1e-2
    assert (found.cpu().float() - wanted).abs().max() <= tolerance * wanted.abs().max()
