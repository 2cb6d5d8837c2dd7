"""Our language model against transformers' `nemotron_h` on random small models, in float32.

transformers limits dt from below by `time_step_min`, but only where it prefills; the limit is
lifted on the oracle, and one test shows what it would do.
"""

import pytest
import torch
from torch import Tensor
from transformers import NemotronHConfig, NemotronHForCausalLM
from transformers.models.nemotron_h.modeling_nemotron_h import NemotronHTopkRouter

from latentvlm.vlm.cache import Cache
from latentvlm.vlm.config import LanguageConfig
from latentvlm.vlm.language_model import LanguageModel

VOCABULARY = 96
CHUNK = 16  # the oracle's; ours has its own, larger one

SHAPES = {
    "every block": {"hybrid_override_pattern": "M*-E"},
    "no latent size": {"hybrid_override_pattern": "MEM*E", "moe_latent_size": None},
    "groups of experts": {
        "hybrid_override_pattern": "EM-*E",
        "n_routed_experts": 12,
        "n_group": 4,
        "topk_group": 2,
        "num_experts_per_tok": 3,
    },
    "one mamba group": {"hybrid_override_pattern": "MM*-", "n_groups": 1},
    "as many mamba groups as heads": {"hybrid_override_pattern": "M*ME", "n_groups": 4},
    "weights not normalised": {"hybrid_override_pattern": "ME*E", "norm_topk_prob": False},
    "biases": {
        "hybrid_override_pattern": "M-E*",
        "use_bias": True,
        "mlp_bias": True,
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


class Margins:
    """The smallest gap between a chosen and an unchosen expert that the oracle has seen."""

    def __init__(self, theirs: NemotronHForCausalLM) -> None:
        self.smallest = float("inf")
        for module in theirs.modules():
            if isinstance(module, NemotronHTopkRouter):
                module.register_forward_hook(self.look)

    def look(self, router: NemotronHTopkRouter, _, output) -> None:
        scores = output[0].sigmoid() + router.e_score_correction_bias
        if router.num_group > 1:
            groups = scores.unflatten(-1, (router.num_group, -1))
            totals = groups.topk(2).values.sum(-1)
            lowest = self.gap(totals, router.topk_group)
            groups = groups.masked_fill((totals < lowest).unsqueeze(-1), float("-inf"))
            scores = groups.flatten(-2)
        self.gap(scores, router.top_k)

    def gap(self, scores: Tensor, picks: int) -> Tensor:
        """Notes the gap below the last pick; returns the last pick's score."""
        ranked = scores.sort(descending=True).values
        self.smallest = min(self.smallest, float((ranked[:, picks - 1] - ranked[:, picks]).min()))
        return ranked[:, picks - 1 : picks]


@pytest.mark.parametrize("name", SHAPES)
@torch.inference_mode()
def test_prefill_chunks_and_64_steps_agree(name: str) -> None:
    theirs = without_clamp(oracle(name))
    margins = Margins(theirs)
    ours = ours_like(theirs, name)
    prompt, steps = 37, 64
    ids = tokens(prompt + steps)
    expected = theirs(ids[None], use_cache=False).logits[0]
    assert margins.smallest > 1e-4, "choose another seed: a router is almost undecided"
    assert error(forward(ours, ids), expected) < 1e-4

    # the oracle's own cached steps, so that its decode path is met as well
    past = theirs(ids[None, :prompt], use_cache=True).past_key_values
    cache = Cache.allocate(ours.config, 1, capacity=8)
    assert error(forward(ours, ids[:prompt], cache), expected[:prompt]) < 1e-4
    for t in range(prompt, prompt + steps):
        their_step = theirs(ids[None, t : t + 1], past_key_values=past, use_cache=True)
        our_step = forward(ours, ids[t : t + 1], cache)
        assert error(our_step, their_step.logits[0]) < 1e-4, t
        assert error(our_step, expected[t : t + 1]) < 1e-4, t
    assert cache.lengths == [prompt + steps]


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
