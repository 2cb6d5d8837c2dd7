"""Named architectures have the sizes they are said to have; built without memory."""

import pytest

from latentvlm.errors import ConfigError
from latentvlm.vlm.config import LanguageConfig
from latentvlm.vlm.presets import preset
from latentvlm.vlm.skeleton import skeleton
from latentvlm.vlm.train.architecture import model_config
from latentvlm.vlm.train.run import find_recipe


def parameters(config) -> int:
    return sum(weight.numel() for weight in skeleton(config).parameters())


def active_parameters(config: LanguageConfig) -> int:
    """What one token is multiplied with: not the embedding table, nor experts it misses."""
    width = config.moe_latent_size or config.hidden_size
    idle = config.n_routed_experts - config.num_experts_per_tok
    layers = config.hybrid_override_pattern.count("E")
    missed = layers * idle * 2 * width * config.moe_intermediate_size
    return parameters(config) - missed - config.vocab_size * config.hidden_size


@pytest.mark.parametrize(
    ("name", "total", "active"), [("bench-s", 61.4e6, 30.7e6), ("bench-m", 299e6, 138.6e6)]
)
def test_the_presets_of_the_speed_comparison(name: str, total: float, active: float) -> None:
    config = preset(name)
    assert isinstance(config, LanguageConfig)
    assert parameters(config) == pytest.approx(total, rel=2e-3)
    assert active_parameters(config) == pytest.approx(active, rel=2e-3)


@pytest.mark.parametrize(("name", "most"), [("default-cpu", 4e6), ("default", 20e6)])
def test_the_default_models_are_small(name: str, most: float) -> None:
    assert parameters(model_config(find_recipe(name))) <= most


def test_an_unknown_name_has_the_nearest() -> None:
    with pytest.raises(ConfigError, match="did you mean 'default-cpu'"):
        preset("default_cpu")
