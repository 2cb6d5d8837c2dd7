"""Sampling beside transformers' logits processors, and as a value."""

import math

import pytest
import torch
from transformers import GenerationConfig as TheirConfig
from transformers.generation.logits_process import (
    MinPLogitsWarper,
    RepetitionPenaltyLogitsProcessor,
    TopKLogitsWarper,
    TopPLogitsWarper,
)

from latentvlm.errors import BackendError, ConfigError
from latentvlm.vlm.sampling import (
    GenerationConfig,
    Sampler,
    filter_scores,
    keep_min_p,
    keep_top_k,
    keep_top_p,
    penalize,
)

VOCAB = 97


def scores(seed: int) -> torch.Tensor:
    return 3 * torch.randn(VOCAB, generator=torch.Generator().manual_seed(seed))


def prompt() -> torch.Tensor:
    return torch.tensor([5, 9, 5, 40])


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("top_k", [1, 7, 96, 200])
def test_top_k_is_that_of_transformers(top_k: int, seed: int) -> None:
    theirs = TopKLogitsWarper(top_k)(prompt()[None], scores(seed)[None])[0]
    torch.testing.assert_close(keep_top_k(scores(seed), top_k), theirs, rtol=0, atol=0)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("top_p", [1e-6, 0.3, 0.9, 0.999])
def test_top_p_is_that_of_transformers(top_p: float, seed: int) -> None:
    theirs = TopPLogitsWarper(top_p)(prompt()[None], scores(seed)[None])[0]
    torch.testing.assert_close(keep_top_p(scores(seed), top_p), theirs, rtol=0, atol=0)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("min_p", [0.01, 0.2, 1.0])
def test_min_p_is_that_of_transformers(min_p: float, seed: int) -> None:
    theirs = MinPLogitsWarper(min_p)(prompt()[None], scores(seed)[None])[0]
    torch.testing.assert_close(keep_min_p(scores(seed), min_p), theirs, rtol=0, atol=0)


@pytest.mark.parametrize("penalty", [0.7, 1.3])
def test_the_repetition_penalty_is_that_of_transformers(penalty: float) -> None:
    seen_mask = torch.zeros(VOCAB, dtype=torch.bool)
    seen_mask[prompt()] = True
    theirs = RepetitionPenaltyLogitsProcessor(penalty)(prompt()[None], scores(0)[None])[0]
    torch.testing.assert_close(penalize(scores(0), seen_mask, penalty), theirs, rtol=0, atol=0)


def test_the_filters_come_in_the_order_of_transformers() -> None:
    from transformers import GenerationMixin

    values = {"temperature": 0.6, "top_k": 30, "top_p": 0.8, "min_p": 0.05}
    theirs_config = TheirConfig(do_sample=True, **values)
    mixin = GenerationMixin()
    mixin.config = None  # not asked for by these processors
    processors = [
        type(each).__name__
        for each in mixin._get_logits_processor(theirs_config, device="cpu")
        if "Warper" in type(each).__name__
    ]
    assert processors == [
        "TemperatureLogitsWarper",
        "TopKLogitsWarper",
        "TopPLogitsWarper",
        "MinPLogitsWarper",
    ]
    theirs = (scores(1) / 0.6)[None]
    for each in (TopKLogitsWarper(30), TopPLogitsWarper(0.8), MinPLogitsWarper(0.05)):
        theirs = each(prompt()[None], theirs)
    ours = filter_scores(scores(1) / 0.6, GenerationConfig(**values))
    torch.testing.assert_close(ours, theirs[0], rtol=0, atol=0)


def test_greedy_takes_the_likeliest_and_says_how_likely() -> None:
    choice = Sampler(GenerationConfig(), prompt(), VOCAB)(scores(2))
    logprobs = scores(2).log_softmax(-1)
    assert choice.id == int(scores(2).argmax())
    assert choice.logprob == pytest.approx(float(logprobs.max()), abs=1e-5)


def test_the_log_probability_is_the_models_own_whatever_the_filters() -> None:
    config = GenerationConfig(temperature=2.0, top_k=5, repetition_penalty=1.5, seed=3)
    choice = Sampler(config, prompt(), VOCAB)(scores(2))
    expected = float(scores(2).log_softmax(-1)[choice.id])
    assert choice.logprob == pytest.approx(expected, abs=1e-5)


def test_a_seed_draws_the_same_tokens_and_none_draws_others() -> None:
    def draw(seed: int | None) -> list[int]:
        sampler = Sampler(GenerationConfig(temperature=1.5, seed=seed), prompt(), VOCAB)
        return [sampler(scores(i)).id for i in range(30)]

    before = torch.random.get_rng_state()
    assert draw(7) == draw(7)
    assert draw(7) != draw(8)
    # 30 draws from 97 tokens: the same by chance about once in 1e30.
    assert draw(None) != draw(None)
    assert torch.equal(before, torch.random.get_rng_state()), "the global generator was used"


def test_draws_follow_the_probabilities() -> None:
    logits = torch.tensor([0.5, 0.3, 0.2]).log()
    sampler = Sampler(GenerationConfig(temperature=1.0, seed=0), torch.tensor([0]), 3)
    counts = torch.zeros(3)
    for _ in range(3000):
        counts[sampler(logits).id] += 1
    # Three standard deviations of a share of 3,000 draws are below 0.03.
    torch.testing.assert_close(counts / 3000, logits.exp(), rtol=0, atol=0.03)


def test_what_was_drawn_is_penalized_from_then_on() -> None:
    logits = torch.tensor([2.0, 1.9, -1.0])
    sampler = Sampler(GenerationConfig(repetition_penalty=1.2), torch.tensor([2]), 3)
    assert [sampler(logits).id for _ in range(2)] == [0, 1]


@pytest.mark.parametrize("bad", [math.nan, math.inf])
@pytest.mark.parametrize("temperature", [0.0, 1.0])
def test_logits_that_are_no_numbers_are_an_error(bad: float, temperature: float) -> None:
    logits = torch.tensor([0.0, bad, 1.0])
    with pytest.raises(BackendError, match="not finite"):
        Sampler(GenerationConfig(temperature=temperature), torch.tensor([0]), 3)(logits)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("max_tokens", 0),
        ("max_tokens", 2.0),
        ("max_tokens", True),
        ("temperature", -0.1),
        ("temperature", math.nan),
        ("temperature", "hot"),
        ("top_p", 0.0),
        ("top_p", 1.1),
        ("top_k", -1),
        ("min_p", 1.5),
        ("repetition_penalty", 0.0),
        ("repetition_penalty", math.inf),
        ("seed", -1),
        ("seed", 2**63),
        ("stop", ("",)),
        ("stop", (3,)),
        ("stop", 3),
        ("stop_ids", (-1,)),
        ("stop_ids", ("a",)),
    ],
)
def test_a_wrong_value_names_its_key(key: str, value: object) -> None:
    with pytest.raises(ConfigError, match=f"GenerationConfig.{key} is "):
        GenerationConfig(**{key: value})


def test_one_stop_text_or_id_needs_no_tuple() -> None:
    config = GenerationConfig(stop="end", stop_ids=[4])  # type: ignore[arg-type]
    assert (config.stop, config.stop_ids) == (("end",), (4,))
    assert hash(config) == hash(GenerationConfig(stop=("end",), stop_ids=(4,)))
