"""Nemotron-H against transformers where the shape of a row matters, and the stock clamp.

Random models of many shapes are compared in `test_family_parity.py`. Everything is in float32.
transformers limits dt from below by `time_step_min`, but only where it prefills; the limit is
lifted on the oracle, and one test shows what it would do.
"""

import pytest
import torch
from torch import Tensor
from transformers import NemotronHConfig, NemotronHForCausalLM

from latentvlm.vlm.cache import Cache
from latentvlm.vlm.config import LanguageConfig
from latentvlm.vlm.language_model import LanguageModel

VOCABULARY = 96
CHUNK = 16  # the oracle's; ours has its own, larger one

SHAPES = {
    "every block": {"hybrid_override_pattern": "M*-E"},
    "groups of experts": {
        "hybrid_override_pattern": "EM-*E",
        "n_routed_experts": 12,
        "n_group": 4,
        "topk_group": 2,
        "num_experts_per_tok": 3,
    },
}


def shape(name: str) -> dict:
    values = {
        "vocab_size": VOCABULARY,
        "hidden_size": 32,
        "mamba_num_heads": 4,
        "mamba_head_dim": 12,
        "n_groups": 2,
        "ssm_state_size": 8,
        "chunk_size": CHUNK,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "head_dim": 8,
        "intermediate_size": 48,
        "n_routed_experts": 6,
        "num_experts_per_tok": 2,
        "moe_intermediate_size": 20,
        "moe_shared_expert_intermediate_size": 28,
        "moe_latent_size": 16,
        "routed_scaling_factor": 2.5,
    }
    return values | SHAPES[name]


def oracle(name: str, *, seed: int = 0, **more) -> NemotronHForCausalLM:
    """A random transformers model whose every tensor matters to the logits."""
    torch.manual_seed(seed)
    theirs = NemotronHForCausalLM(NemotronHConfig(**shape(name), **more)).eval().float()
    with torch.no_grad():
        for key, value in theirs.state_dict().items():
            if key.endswith(("A_log", "dt_bias")):
                value.uniform_(-2.0, 1.0)
            elif value.dim() > 1:
                value.normal_(std=0.3 if "gate" in key else 0.12)
            elif key.endswith("e_score_correction_bias"):
                value.normal_(std=0.05)
            else:
                value.add_(torch.randn_like(value) * 0.2)
    return theirs


def without_clamp(theirs: NemotronHForCausalLM) -> NemotronHForCausalLM:
    for layer in theirs.model.layers:
        if hasattr(layer.mixer, "time_step_limit"):
            layer.mixer.time_step_limit = (0.0, float("inf"))
    return theirs


def ours_like(theirs: NemotronHForCausalLM, name: str) -> LanguageModel:
    ours = LanguageModel(LanguageConfig(**shape(name))).eval()
    tensors = {key.removeprefix("model."): value for key, value in theirs.state_dict().items()}
    ours.load_state_dict(tensors, strict=True)
    return ours


def tokens(count: int, *, seed: int = 1) -> Tensor:
    return torch.randint(0, VOCABULARY, (count,), generator=torch.Generator().manual_seed(seed))


def forward(ours: LanguageModel, ids: Tensor, cache: Cache | None = None, **row) -> Tensor:
    return ours.logits(ours(ours.embed(ids), cache=cache, **row))


def error(ours: Tensor, theirs: Tensor) -> float:
    return float((ours - theirs).abs().max() / theirs.abs().max())


@pytest.mark.parametrize("length", [1, CHUNK - 1, CHUNK, CHUNK + 1, 63, 64, 65, 127, 128, 129])
@torch.inference_mode()
def test_lengths_around_chunk_borders(length: int) -> None:
    theirs = without_clamp(oracle("every block"))
    ours = ours_like(theirs, "every block")
    ids = tokens(length)
    assert error(forward(ours, ids), theirs(ids[None], use_cache=False).logits[0]) < 1e-4


@pytest.mark.parametrize("pieces", [(1, 40), (16, 16, 16), (30, 1, 1, 17), (5, 2, 64)], ids=str)
@torch.inference_mode()
def test_chunked_prefill(pieces: tuple[int, ...]) -> None:
    theirs = without_clamp(oracle("every block"))
    ours = ours_like(theirs, "every block")
    ids = tokens(sum(pieces))
    cache = Cache.allocate(ours.config, 1, capacity=4)
    parts = [forward(ours, part, cache) for part in ids.split(list(pieces))]
    assert error(torch.cat(parts), theirs(ids[None], use_cache=False).logits[0]) < 1e-4


@pytest.mark.parametrize("name", ["every block", "groups of experts"])
@torch.inference_mode()
def test_packed_prompts_of_unequal_lengths(name: str) -> None:
    """One packed row against one call of the oracle per prompt; then the batch decodes on."""
    theirs = without_clamp(oracle(name))
    ours = ours_like(theirs, name)
    lengths, steps = [19, 1, 33, 16], 6
    prompts = [tokens(n + steps, seed=10 + n) for n in lengths]
    expected = [theirs(ids[None], use_cache=False).logits[0] for ids in prompts]

    cu_seqlens = torch.tensor([0, 19, 20, 53, 69], dtype=torch.int32)
    row = torch.cat([ids[:n] for ids, n in zip(prompts, lengths, strict=True)])
    wanted = torch.cat([part[:n] for part, n in zip(expected, lengths, strict=True)])
    assert error(forward(ours, row, cu_seqlens=cu_seqlens), wanted) < 1e-4

    cache = Cache.allocate(ours.config, len(lengths), capacity=8)
    assert error(forward(ours, row, cache, cu_seqlens=cu_seqlens), wanted) < 1e-4
    each = torch.arange(len(lengths) + 1, dtype=torch.int32)
    for step in range(steps):
        ids = torch.stack([p[n + step] for p, n in zip(prompts, lengths, strict=True)])
        wanted = torch.stack([e[n + step] for e, n in zip(expected, lengths, strict=True)])
        assert error(forward(ours, ids, cache, cu_seqlens=each), wanted) < 1e-4


@torch.inference_mode()
def test_the_stock_clamp_changes_what_transformers_says() -> None:
    """With small steps, stock prefill departs from ours and from stock decode of the same text."""
    name = "every block"
    theirs = oracle(name, time_step_min=0.1)
    with torch.no_grad():
        for key, value in theirs.state_dict().items():
            if key.endswith("dt_bias"):
                value.fill_(-6.0)  # dt is about 0.0025
    ours = ours_like(theirs, name)
    ids = tokens(40)
    prefilled = theirs(ids[None], use_cache=False).logits[0]
    assert error(forward(ours, ids), prefilled) > 1e-2

    past, stepped = None, []
    for t in range(len(ids)):
        # the first token too: a first call of length 1 without a state takes the clamped path
        out = theirs(ids[None, t : t + 1], past_key_values=past, use_cache=True)
        past = out.past_key_values
        stepped.append(out.logits[0])
    assert error(torch.cat(stepped[1:]), prefilled[1:]) > 1e-2
    without_clamp(theirs)
    assert error(forward(ours, ids), theirs(ids[None], use_cache=False).logits[0]) < 1e-4
