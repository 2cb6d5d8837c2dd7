"""The published Jamba architectures, built whole on the meta device."""

import pytest

from latentvlm.vlm.census.tensors import config_tensors
from latentvlm.vlm.config import LanguageConfig
from latentvlm.vlm.presets import preset
from latentvlm.vlm.skeleton import skeleton


@pytest.mark.parametrize(("name", "layers", "total", "active"), [
    ("jamba-v0.1", 32, 51.57, 12.11),
    ("jamba-1.5-mini", 32, 51.57, 12.11),
    ("jamba-1.5-large", 72, 398.56, 94.15),
])  # fmt: skip
def test_the_published_sizes(name: str, layers: int, total: float, active: float) -> None:
    """Published are 52B with 12B active, and 398B with 94B active."""
    config = preset(name)
    assert isinstance(config, LanguageConfig)
    pattern = config.hybrid_override_pattern
    assert len(pattern) == 2 * layers
    assert [idx // 2 for idx, c in enumerate(pattern) if c == "*"] == list(range(4, layers, 8))
    parameters = dict(skeleton(config).named_parameters())
    counted = sum(tensor.numel() for tensor in parameters.values())
    experts = sum(tensor.numel() for name, tensor in parameters.items() if ".experts." in name)
    idle = experts * (1 - config.num_experts_per_tok / config.n_routed_experts)
    assert counted / 1e9 == pytest.approx(total, abs=0.01)
    assert (counted - idle) / 1e9 == pytest.approx(active, abs=0.01)


def test_tensors_as_written_on_disk() -> None:
    found = {each.name: each.shape for each in config_tensors(preset("jamba-v0.1"))}
    first = {name.removeprefix("model.layers.0."): shape for name, shape in found.items()
             if name.startswith("model.layers.0.")}  # fmt: skip
    assert first == {
        "input_layernorm.weight": (4096,),
        "pre_ff_layernorm.weight": (4096,),
        "mamba.in_proj.weight": (16384, 4096),
        "mamba.conv1d.weight": (8192, 1, 4),
        "mamba.conv1d.bias": (8192,),
        "mamba.x_proj.weight": (288, 8192),
        "mamba.dt_proj.weight": (8192, 256),
        "mamba.dt_proj.bias": (8192,),
        "mamba.dt_layernorm.weight": (256,),
        "mamba.b_layernorm.weight": (16,),
        "mamba.c_layernorm.weight": (16,),
        "mamba.A_log": (8192, 16),
        "mamba.D": (8192,),
        "mamba.out_proj.weight": (4096, 8192),
        "feed_forward.gate_proj.weight": (14336, 4096),
        "feed_forward.up_proj.weight": (14336, 4096),
        "feed_forward.down_proj.weight": (4096, 14336),
    }
    assert found["model.layers.4.self_attn.k_proj.weight"] == (1024, 4096)
    assert found["model.layers.31.feed_forward.router.weight"] == (16, 4096)
    assert found["model.layers.31.feed_forward.experts.15.down_proj.weight"] == (4096, 14336)
    assert found["model.embed_tokens.weight"] == found["lm_head.weight"] == (65536, 4096)
    assert found["model.final_layernorm.weight"] == (4096,)
    # mixers, two norms a layer, MLPs, experts; embeddings, last norm and head
    assert len(found) == 28 * 12 + 4 * 4 + 64 + 16 * 3 + 16 * (1 + 48) + 3
