"""Bamba: what its config.json may say, and what it cannot."""

import pytest

from latentvlm.errors import ConfigError
from latentvlm.vlm.checkpoint import bamba_config
from latentvlm.vlm.config import LanguageConfig, Multipliers, Rotary

BAMBA = {
    "model_type": "bamba",
    "hidden_size": 64,
    "num_hidden_layers": 3,
    "attn_layer_indices": [1],
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "mamba_n_heads": 8,
    "rope_theta": 5000.0,
}


def test_bamba_is_read_and_written() -> None:
    config = bamba_config.config_from_json(BAMBA, strict=True)
    assert config.hybrid_override_pattern == "M-*-M-"
    assert config.rotary == Rotary(dims=8, theta=5000.0)
    assert config.mamba_head_dim == 16
    assert bamba_config.config_from_json(bamba_config.config_to_json(config)) == config


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"rope_scaling": {"type": "linear", "factor": 2}}, "rope_scaling"),
        ({"rope_parameters": {"rope_type": "yarn"}}, "rope_type 'yarn'"),
        ({"partial_rotary_factor": 1.0}, "partial_rotary_factor 1.0"),
        ({"mamba_d_head": 10}, "mamba_n_heads 8 of 10 channels"),
        ({"hidden_act": "gelu"}, "hidden_act 'gelu'"),
    ],
)
def test_what_is_not_bamba_is_refused(values: dict, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        bamba_config.config_from_json({**BAMBA, **values})


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"rotary": Rotary(dims=16)}, "rotary is"),
        ({"rotary": None}, "rotary is None"),
        ({"multipliers": Multipliers(residual=0.5)}, "multipliers is"),
        ({"hybrid_override_pattern": "M*-"}, "pairs of one of"),
    ],
)
def test_what_bamba_cannot_say_is_not_written(changes: dict, message: str) -> None:
    config = bamba_config.config_from_json(BAMBA)
    values = {name: getattr(config, name) for name in config.__dataclass_fields__}
    with pytest.raises(ConfigError, match=message):
        bamba_config.config_to_json(LanguageConfig(**(values | changes)))
