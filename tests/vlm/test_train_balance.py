"""The loss that keeps the load of experts even, against transformers' and by what it does."""

from dataclasses import replace

import pytest
import torch
from transformers.models.jamba.modeling_jamba import load_balancing_loss_func

from latentvlm.vlm.config import LanguageConfig
from latentvlm.vlm.language_model import LanguageModel
from latentvlm.vlm.layers.moe import MoEMixer, Router
from latentvlm.vlm.presets import tiny
from latentvlm.vlm.train.balance import balance_loss, routed_tokens

EXPERTS, CHOSEN = 8, 2


def softmax_config(**changes) -> LanguageConfig:
    return replace(
        tiny().text,
        router_score="softmax",
        n_routed_experts=EXPERTS,
        num_experts_per_tok=CHOSEN,
        n_group=1,
        topk_group=1,
        num_nextn_predict_layers=0,
        **changes,
    )


def router(config: LanguageConfig, *, seed: int = 0) -> Router:
    made = Router(config)
    with torch.no_grad():
        made.weight.copy_(torch.randn(made.weight.shape, generator=_random(seed)))
    return made


def _random(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def tokens(config: LanguageConfig, count: int = 200) -> torch.Tensor:
    return torch.randn(count, config.hidden_size, generator=_random(1))


def test_a_layer_is_as_transformers_has_it() -> None:
    config = softmax_config()
    made, x = router(config), tokens(config)
    wanted = load_balancing_loss_func((x @ made.weight.T,), EXPERTS, CHOSEN)
    found = balance_loss([(made, x)])
    assert found is not None
    torch.testing.assert_close(found, wanted)


def test_an_even_load_costs_least_and_layers_are_averaged() -> None:
    config = softmax_config()
    even, skewed, x = Router(config), Router(config), torch.eye(config.hidden_size)[:EXPERTS]
    with torch.no_grad():
        even.weight.zero_()
        even.weight[:, :EXPERTS] = torch.eye(EXPERTS) + torch.eye(EXPERTS).roll(1, 0)
        skewed.weight.zero_()
        skewed.weight[:CHOSEN] = 9.0
    least, most, both = (
        float(loss.detach())
        for seen in ([(even, x)], [(skewed, x)], [(even, x), (skewed, x)])
        if (loss := balance_loss(seen)) is not None
    )
    assert least == pytest.approx(CHOSEN)
    assert most == pytest.approx(EXPERTS, rel=1e-2)  # two experts have every token
    assert both == pytest.approx((least + most) / 2)
    assert balance_loss([]) is None


@pytest.mark.parametrize("score", ["softmax", "sigmoid"])
def test_following_it_makes_the_load_even(score: str) -> None:
    config = replace(softmax_config(), router_score=score)
    made, x = router(config, seed=3), tokens(config) + 0.6
    optimizer = torch.optim.SGD([made.weight], lr=2.0)

    def worst() -> float:
        load = made(x)[0].flatten().bincount(minlength=EXPERTS).float()
        return float(load.max() / load.mean())

    before = worst()
    for _ in range(60):
        optimizer.zero_grad()
        loss = balance_loss([(made, x)])
        assert loss is not None
        loss.backward()
        optimizer.step()
    assert before > 1.8 and worst() < 0.8 * before


def test_every_router_of_a_model_is_seen_and_then_left_alone() -> None:
    model = LanguageModel(softmax_config(hybrid_override_pattern="ME*E"))
    model.train()
    ids = torch.arange(1, 12)
    with routed_tokens(model) as seen:
        model(model.embed(ids))
    routers = [each.gate for each in model.modules() if isinstance(each, MoEMixer)]
    assert [each for each, _ in seen] == routers and len(routers) == 2
    assert all(len(x) == len(ids) for _, x in seen)
    loss = balance_loss(seen)
    assert loss is not None
    loss.backward()
    assert all(each.weight.grad is not None and each.weight.grad.any() for each in routers)
    model(model.embed(ids))
    assert len(seen) == 2
