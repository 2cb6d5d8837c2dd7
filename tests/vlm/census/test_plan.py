"""Caches, routing and plans against the published tables."""

from dataclasses import replace

import pytest
from support.counted import counted, source

from latentvlm.errors import ConfigError, InputError
from latentvlm.vlm.cache import Cache
from latentvlm.vlm.census.cache_sizes import cache_sizes, element_bytes
from latentvlm.vlm.census.gpus import GIB, find_gpu
from latentvlm.vlm.census.moe_costs import (
    MoeCosts,
    communication_to_compute,
    counterpart,
    gemm_intensity,
    tokens_to_be_compute_bound,
)
from latentvlm.vlm.census.parameters import MTP, ROUTED
from latentvlm.vlm.census.plan import Plan, make_plan
from latentvlm.vlm.census.request import Request
from latentvlm.vlm.config import LanguageConfig
from latentvlm.vlm.mamba_cache import SsmRounding
from latentvlm.vlm.presets import preset


def text(name: str) -> LanguageConfig:
    config = preset(name)
    assert isinstance(config, LanguageConfig)
    return config


def planned(name: str, **given) -> Plan:
    request = Request(**{"context": 8192, "batch": 1, "gpu": find_gpu("h200"), **given})
    return make_plan(source(name).text, counted(name), request)


# SSM in MiB (float32), convolutions in MiB (BF16), bytes of a token (FP8), crossover
@pytest.mark.parametrize(("name", "ssm", "conv", "kv", "crossover"), [
    ("nemotron-3-nano-30b-a3b", 46, 0.8, 3_072, 15_700),
    ("nemotron-3-super-120b-a12b", 160, 2.3, 4_096, 41_000),
    ("nemotron-3-ultra-550b-a55b", 384, 5.1, 6_144, 65_536),
    ("nemotron-nano-12b-v2", 140, 2.0, 12_288, 11_900),
    ("nemotron-nano-9b-v2", 135, 1.9, 8_192, 17_300),
])  # fmt: skip
def test_the_table_of_caches(name: str, ssm: int, conv: float, kv: int, crossover: int) -> None:
    found = cache_sizes(text(name), kv_bytes=1)
    assert found.ssm == ssm * 2**20
    assert found.conv / 2**20 == pytest.approx(conv, abs=0.05)
    assert found.kv_per_token == kv
    assert found.crossover == pytest.approx(crossover, rel=5e-3)


@pytest.mark.parametrize(
    ("name", "gib"), [("jamba-v0.1", 4), ("jamba-1.5-mini", 4), ("jamba-1.5-large", 9)]
)
def test_keys_and_values_of_jamba_at_256k(name: str, gib: int) -> None:
    assert 256 * 1024 * cache_sizes(text(name)).kv_per_token == gib * 2**30


def test_sizes_are_what_a_cache_takes() -> None:
    config = text("bench-s")
    found = cache_sizes(config, kv_bytes=4, conv_bytes=4)
    assert Cache.allocate(config, 1, capacity=100).num_bytes == found.of(100)
    narrow = Cache.allocate(config, 1, capacity=100, ssm=SsmRounding(kind="int8"))
    assert narrow.num_bytes == cache_sizes(config, kv_bytes=4, conv_bytes=4, ssm_bytes=1).of(100)


def test_intensity_of_an_expert_on_gb200() -> None:
    # Qwen3-235B's sizes: the ridge of 1250 FLOP a byte asks for some 1418 tokens an expert
    ridge = find_gpu("gb200").peak(4.5) / find_gpu("gb200").bandwidth
    assert ridge == 1250
    tokens = tokens_to_be_compute_bound(4096, 1536, ridge)
    assert tokens == pytest.approx(1418, abs=1)
    assert gemm_intensity(tokens, 4096, 1536) == pytest.approx(ridge)
    assert communication_to_compute(1536, flops=10e15, link=900e9) == pytest.approx(9, abs=0.1)


def test_a_narrow_expert_is_never_bound_by_compute_on_a_fast_gpu() -> None:
    assert tokens_to_be_compute_bound(512, 512, 1250) == float("inf")


def test_super_sends_fewer_elements_than_its_standard_counterpart() -> None:
    latent = text("nemotron-3-super-120b-a12b")
    standard = counterpart(latent)
    assert standard is not None
    a, b = MoeCosts.of(latent), MoeCosts.of(standard)
    assert a is not None and b is not None
    assert (a.experts, a.per_token, a.dispatched_elements) == (512, 22, 22_528)
    assert (b.experts, b.per_token, b.dispatched_elements) == (128, 6, 24_576)
    assert a.parameters == b.parameters
    # dispatch in FP4 and combine in BF16 on eight devices
    assert a.all_to_all_bytes(1000, 8, 2.5) == 1000 * 22_528 / 8 * 2.5
    # from the standard one back to where it came from, projections paid
    back = counterpart(standard)
    assert back is not None
    assert (back.n_routed_experts, back.num_experts_per_tok, back.moe_latent_size) == (
        512,
        22,
        1024,
    )


def test_routed_parameters_are_those_that_the_model_has() -> None:
    for name in ("nemotron-3-super-120b-a12b", "jamba-v0.1"):
        costs = MoeCosts.of(text(name))
        assert costs is not None
        assert costs.parameters == counted(name).by_class[ROUTED].parameters


def test_the_target_that_nano_9b_was_pruned_for() -> None:
    # 128k tokens on one A10G: 12B does not fit, 9B does
    a10g, context = find_gpu("a10g"), 128 * 1024
    assert a10g.memory_gib == 22.06
    assert not planned("nemotron-nano-12b-v2", gpu=a10g, context=context).fits
    assert planned("nemotron-nano-9b-v2", gpu=a10g, context=context).fits


def test_weights_of_super_in_each_format() -> None:
    plain = planned("nemotron-3-super-120b-a12b")
    assert plain.weights / GIB == pytest.approx(225, abs=0.5)
    assert not plain.fits and plain.bottleneck == "memory: weights" and plain.largest_batch == 0
    assert planned("nemotron-3-super-120b-a12b", weights="nvfp4").fits
    half = planned("nemotron-3-super-120b-a12b", gpus=2)
    assert half.fits and half.weights == plain.weights / 2


def test_jamba_large_serves_256k_on_eight_a100_in_int8() -> None:
    plan = planned(
        "jamba-1.5-large", weights="int8", gpu=find_gpu("a100-80"), gpus=8, context=256 * 1024
    )
    assert plan.fits
    assert not planned("jamba-1.5-large", gpu=find_gpu("a100-80"), gpus=8).fits


def test_decoding_reads_weights_and_reading_computes() -> None:
    plan = planned("nemotron-3-nano-30b-a3b")
    assert plan.decode.bottleneck == "memory bandwidth"
    assert plan.prefill.bottleneck == "compute"
    # one token reads what it is multiplied with: 3.23B parameters in BF16, and its cache
    caches = cache_sizes(text("nemotron-3-nano-30b-a3b"))
    wanted = 2 * 3.23e9 + 8192 * caches.kv_per_token + 2 * (caches.ssm + caches.conv)
    assert plan.decode.memory_bytes == pytest.approx(wanted, rel=5e-3)
    # two operations a parameter, the attention over 8192 tokens and the scan
    attention = 4 * 32 * 128 * 6 * 8192
    scan = 5 * caches.ssm / 4
    assert plan.decode.flops == pytest.approx(2 * 3.23e9 + attention + scan, rel=5e-3)


def test_a_batch_wakes_more_experts_and_fills_the_memory() -> None:
    one, many = (planned("nemotron-3-nano-30b-a3b", batch=batch) for batch in (1, 64))
    assert one.decode.tokens_per_s < many.decode.tokens_per_s < 64 * one.decode.tokens_per_s
    assert many.kv == 64 * one.kv and many.ssm == 64 * one.ssm
    costs = MoeCosts.of(text("nemotron-3-nano-30b-a3b"))
    assert costs is not None
    assert costs.touched(1) == pytest.approx(6 / 128)
    assert costs.touched(64) == pytest.approx(1 - (122 / 128) ** 64)


def test_gpus_exchange_and_hold_no_half_of_a_key_head() -> None:
    one, four = (planned("nemotron-3-nano-30b-a3b", gpus=gpus) for gpus in (1, 4))
    assert one.decode.exchanged_bytes == 0 < four.decode.exchanged_bytes
    assert four.kv == one.kv / 2  # two heads
    assert four.ssm == one.ssm / 4
    assert one.experts is not None and four.experts is not None
    assert four.experts.all_to_all == one.experts.dispatched_elements / 4 * 4
    assert one.experts.all_to_all == 0


@pytest.mark.parametrize(("gpus", "most"), [(3, 171), (8, 64), (5, 103), (600, 1)])
def test_an_expert_is_on_one_gpu_whole(gpus: int, most: int) -> None:
    # 512 experts a layer: a third of them is 170 and two thirds of one
    plan = planned("nemotron-3-super-120b-a12b-nvfp4", gpus=gpus)
    found = counted("nemotron-3-super-120b-a12b-nvfp4").by_class
    routed = found[ROUTED].num_bytes
    rest = sum(each.num_bytes for name, each in found.items() if name not in (ROUTED, MTP))
    assert plan.experts is not None and plan.experts.most_on_a_gpu == most
    assert plan.weights == pytest.approx(rest / gpus + routed * most / 512)
    # 8192 tokens wake every expert: the fullest GPU reads all of its own
    many = planned("nemotron-3-super-120b-a12b-nvfp4", gpus=gpus, batch=8192, context=1)
    assert many.decode.memory_bytes > routed * most / 512


def test_a_key_head_is_on_one_gpu_whole() -> None:
    one, three = (planned("jamba-v0.1", gpus=gpus) for gpus in (1, 3))
    assert three.kv == one.kv * 3 / 8  # the fullest has three of the eight


def test_what_a_step_of_decoding_gives_an_expert() -> None:
    few, many = (planned("nemotron-3-super-120b-a12b", batch=batch) for batch in (1, 4096))
    assert few.experts is not None and many.experts is not None
    # one token: two operations for each weight, and its own two vectors moved beside
    product = 1024 * 2688
    assert few.experts.intensity == pytest.approx(2 * product / (product + 1024 + 2688))
    tokens = 4096 * 22 / 512
    wanted = 2 * tokens * product / (product + tokens * (1024 + 2688))
    assert many.experts.intensity == pytest.approx(wanted)
    gpu = find_gpu("h200")
    assert many.experts.ridge == pytest.approx(gpu.bf16 / gpu.bandwidth)
    # BF16 there and BF16 back over NVLink, against one product of the expert
    assert many.experts.sending_to_computing == pytest.approx(
        (4 / gpu.link) / (2 * 2688 / gpu.bf16)
    )


def test_states_outweigh_keys_up_to_the_crossover() -> None:
    values = planned("nemotron-3-nano-30b-a3b", kv_bytes=1).as_values()
    assert values["states_outweigh_keys_up_to"] == pytest.approx(15_700, rel=5e-3)


def test_a_gpu_is_found_in_capitals_too() -> None:
    assert find_gpu("H200") is find_gpu("h200")


def test_bad_requests() -> None:
    with pytest.raises(ConfigError, match="did you mean 'h200'"):
        find_gpu("h20")
    with pytest.raises(InputError, match="batch is 0"):
        planned("tiny", batch=0)
    with pytest.raises(ConfigError, match="weights is 'fp3'"):
        planned("tiny", weights="fp3")
    with pytest.raises(ConfigError, match="--kv-dtype is 'wide'"):
        element_bytes("wide", option="--kv-dtype")


def test_a_model_without_attention_or_experts_is_planned_too() -> None:
    config = replace(text("bench-s"), hybrid_override_pattern="M-M-", intermediate_size=64)
    assert counterpart(config) is None
    assert cache_sizes(config).crossover == float("inf")
