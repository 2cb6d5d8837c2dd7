"""States of scans in few bits: near float32, alike alone and beside others, without drift."""

import os
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor

from latentvlm.errors import ConfigError, InputError
from latentvlm.eval.state_drift import drift
from latentvlm.vlm.api import load
from latentvlm.vlm.cache import Cache
from latentvlm.vlm.checkpoint import save_model
from latentvlm.vlm.language_model import LanguageModel
from latentvlm.vlm.mamba_cache import MambaCache, SsmRounding
from latentvlm.vlm.presets.small import tiny

KINDS = ["float16", "int8"]
IDS = torch.randint(20, 300, (60,), generator=torch.Generator().manual_seed(5))


def model(kind: str | None, *, mamba: str = "M", seed: int = 0) -> LanguageModel:
    torch.manual_seed(0)
    sizes = {"mamba_dt_rank": 4, "mamba_num_heads": 64, "mamba_head_dim": 1} if mamba == "m" else {}
    config = replace(tiny().text, hybrid_override_pattern=f"{mamba}*{mamba}-E", **sizes)
    made = LanguageModel(config).eval().requires_grad_(False)
    made.use_ssm_cache(kind, seed=seed)  # type: ignore[arg-type]
    return made


@torch.inference_mode()
def logits(trunk: LanguageModel, cache: Cache, ids: Tensor, *, first: int = 20) -> Tensor:
    """A block, then token by token."""
    found = [trunk.logits(trunk(trunk.embed(ids[:first]), cache=cache))]
    for t in range(first, len(ids)):
        found.append(trunk.logits(trunk(trunk.embed(ids[t : t + 1]), cache=cache)))
    return torch.cat(found)


@pytest.mark.parametrize("mamba", ["M", "m"])
@pytest.mark.parametrize("kind", KINDS)
def test_answers_stay_close_and_memory_shrinks(kind: str, mamba: str) -> None:
    wide, narrow = model(None, mamba=mamba), model(kind, mamba=mamba)
    usual, cache = wide.allocate_cache(), narrow.allocate_cache()
    expected, found = logits(wide, usual, IDS), logits(narrow, cache, IDS)
    error = float((found - expected).norm() / expected.norm())
    assert 0 < error < (1e-3 if kind == "float16" else 2e-2)
    for ours, theirs in zip(cache.layers, usual.layers, strict=True):
        if isinstance(ours, MambaCache) and isinstance(theirs, MambaCache):
            held = sum(t.nbytes for t in ours.tensors()[1:])
            # 16 numbers a channel here, so int8 has 4 bytes of scale for 16 of codes
            assert held / theirs.state.nbytes == pytest.approx(0.5 if kind == "float16" else 0.3125)


@pytest.mark.parametrize("kind", KINDS)
def test_a_sequence_is_rounded_alike_alone_and_beside_others(kind: str) -> None:
    trunk = model(kind)
    prompts = [IDS[:24], IDS[30:41]]
    alone = []
    for ids in prompts:
        alone.append(trunk.allocate_cache())
        logits(trunk, alone[-1], ids, first=len(ids))
    joined = Cache.join([alone[1], alone[0]]).select([1, 0])
    saved = joined.snapshot()
    again = []
    for _ in range(2):
        bounds = torch.tensor([0, 1, 2], dtype=torch.int32)
        steps = [
            trunk.logits(trunk(trunk.embed(IDS[[t, t + 1]]), cu_seqlens=bounds, cache=joined))
            for t in range(3)
        ]
        again.append(torch.stack(steps, 1))
        joined.restore(saved)
    assert torch.equal(*again)
    for seq, cache in enumerate(alone):
        for t in range(3):
            one = trunk.logits(trunk(trunk.embed(IDS[[t + seq]]), cache=cache))
            torch.testing.assert_close(again[0][seq, t : t + 1], one, rtol=1e-3, atol=1e-4)


def test_the_seed_decides() -> None:
    same, other = (
        logits(model("int8", seed=s), model("int8", seed=s).allocate_cache(), IDS) for s in (3, 4)
    )
    trunk = model("int8", seed=3)
    assert torch.equal(logits(trunk, trunk.allocate_cache(), IDS), same)
    assert not torch.equal(same, other)


def test_a_state_that_is_no_number_is_refused() -> None:
    cache = MambaCache.allocate(
        torch.zeros(1, 3, 8), (1, 2, 4, 16), rounding=SsmRounding(kind="int8")
    )
    with pytest.raises(InputError, match="NaN or infinity"):
        cache.keep_state(torch.full((1, 2, 4, 16), torch.nan), [1])


_MANY = 10_000 if os.environ.get("LATENTVLM_SMOKE") else 100_000


@pytest.mark.parametrize("steps", [3000, pytest.param(_MANY, marks=pytest.mark.slow)])
def test_the_cache_does_not_drift_by_chance_and_does_to_nearest(steps: int) -> None:
    """The recurrence of a slow head, its state kept by the cache itself."""
    found = drift(steps=steps, size=64)
    late = {name: errors[len(errors) // 2 :] for name, errors in found.items()}
    for kind, worst in (("float16", 0.01), ("int8", 0.05)):
        by_chance, to_nearest = late[f"{kind} stochastic"], late[f"{kind} nearest"]
        assert sum(to_nearest) > 2 * sum(by_chance)
        assert max(by_chance) < worst


def test_load_takes_it_and_refuses_others(tmp_path: Path) -> None:
    save_model(model(None), tmp_path)
    trunk = load(tmp_path, ssm_cache="int8").model
    assert isinstance(trunk, LanguageModel)
    kept = trunk.allocate_cache().layers[0]
    assert isinstance(kept, MambaCache) and kept.state.dtype == torch.int8
    with pytest.raises(ConfigError, match="'float16', 'int8' or None"):
        load(tmp_path, ssm_cache="int4")  # type: ignore[arg-type]
