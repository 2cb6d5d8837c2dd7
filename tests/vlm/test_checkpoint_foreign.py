"""Random models that transformers built and saved open here, and compute the same."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from latentvlm.data.image_transform import ImageConfig, ImageTransform
from latentvlm.vlm.checkpoint import load_model, save_model
from latentvlm.vlm.language_model import LanguageModel
from latentvlm.vlm.model import VisionLanguageModel

TEXT = {
    "vocab_size": 96,
    "hidden_size": 32,
    "layers_block_type": ["linear_attention", "full_attention", "mlp", "moe", "linear_attention"],
    "mamba_num_heads": 4,
    "mamba_head_dim": 8,
    "n_groups": 2,
    "ssm_state_size": 8,
    "chunk_size": 16,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 8,
    "intermediate_size": 48,
    "n_routed_experts": 6,
    "num_experts_per_tok": 2,
    "moe_intermediate_size": 16,
    "moe_shared_expert_intermediate_size": 24,
    "moe_latent_size": 12,
    "routed_scaling_factor": 2.5,
}
VISION = {
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "mlp_ratio": 3.0,
    "patch_size": 8,
    "max_img_size": 64,
    "num_cls_tokens": 2,
    "num_registers": 3,
    "video_temporal_patch_size": 2,
}
# Pictures a prompt (height, width): square, wide, tall, larger than the position table,
# neither side a multiple of the patch.
PROMPTS = [[(64, 64)], [(20, 150), (150, 20)], [(200, 90), (31, 33), (16, 16)]]
IMAGES = ImageConfig(patch_size=8, min_num_patches=4, max_num_patches=200, max_model_len=2048)


def randomise(model: torch.nn.Module, seed: int) -> None:
    """Weights that matter, a selection bias that changes the selection, no clamp on dt."""
    random = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if weight.dim() > 1 and "A_log" not in name:
                scale = 0.7 * weight.shape[-1] ** -0.5
                weight.copy_(torch.randn(weight.shape, generator=random) * scale)
        for name, buffer in model.named_buffers():
            if name.endswith("e_score_correction_bias"):
                buffer.copy_(0.1 * torch.randn(buffer.shape, generator=random))
    for module in model.modules():
        if hasattr(module, "time_step_limit"):
            module.time_step_limit = (0.0, float("inf"))


def relative(ours: torch.Tensor, theirs: torch.Tensor) -> float:
    return float((ours - theirs).abs().max() / theirs.abs().max())


@pytest.mark.parametrize("changes", [{}, {"moe_latent_size": None, "num_nextn_predict_layers": 1}])
@torch.no_grad()
def test_an_omni_model(tmp_path: Path, changes: dict):
    from transformers.models.nemotron_h_omni import (
        modeling_nemotron_h_omni as modeling,
    )

    config = modeling.NemotronH_Omni_Reasoning_V3_Config(
        text_config={**TEXT, **changes},
        vision_config=VISION,
        audio_config=None,
        projector_hidden_size=40,
        vision_hidden_size=32,
        image_token_id=18,
    )
    theirs = modeling.NemotronH_Omni_Reasoning_V3(config).eval()
    randomise(theirs, seed=1)
    theirs.save_pretrained(tmp_path)
    ours = load_model(tmp_path)
    assert isinstance(ours, VisionLanguageModel)
    random = np.random.default_rng(0)
    transform = ImageTransform(IMAGES)
    for sizes in PROMPTS:
        images = transform([random.integers(0, 256, (*size, 3), dtype=np.uint8) for size in sizes])
        ids = [1, 50]
        for info in images.infos:
            ids += [21, *[18] * info.visual_tokens, 22, 60]
        input_ids = torch.tensor([*ids, 70, 71, 72])
        pixels = {"pixel_values": images.pixel_values, "image_grid_hw": images.image_grid_hw}
        expected = theirs(input_ids=input_ids[None], **pixels).logits[0]
        # float32 through a few layers; the scale is the largest logit
        assert relative(ours(input_ids, **pixels), expected) < 1e-4


@pytest.mark.parametrize("changes", [{}, {"n_group": 3, "topk_group": 2, "moe_latent_size": None}])
@torch.no_grad()
def test_a_text_model_and_back(tmp_path: Path, changes: dict):
    from transformers import AutoModelForCausalLM, NemotronHConfig

    theirs = AutoModelForCausalLM.from_config(NemotronHConfig(**{**TEXT, **changes})).eval()
    randomise(theirs, seed=2)
    theirs.save_pretrained(tmp_path / "theirs")
    input_ids = torch.randint(0, 96, (37,), generator=torch.Generator().manual_seed(0))
    expected = theirs(input_ids=input_ids[None]).logits[0]
    ours = load_model(tmp_path / "theirs")
    assert isinstance(ours, LanguageModel)
    assert relative(ours.logits(ours(ours.embed(input_ids))), expected) < 1e-4

    save_model(ours, tmp_path / "ours", max_shard_bytes=20_000)
    again, loading = AutoModelForCausalLM.from_pretrained(
        tmp_path / "ours", dtype=torch.float32, output_loading_info=True
    )
    assert not loading["missing_keys"] and not loading["unexpected_keys"]
    randomised, saved = theirs.state_dict(), again.state_dict()
    assert all(torch.equal(saved[name], tensor) for name, tensor in randomised.items())


def test_what_transformers_drops_may_be_missing(tmp_path: Path, tiny_folder: Path):
    """transformers loses the draft head: the rest opens, and has no draft head."""
    from transformers import AutoModelForImageTextToText

    theirs = AutoModelForImageTextToText.from_pretrained(tiny_folder, dtype=torch.float32)
    theirs.save_pretrained(tmp_path)
    names = json.loads((tmp_path / "config.json").read_text())["text_config"]
    assert "layers_block_type" in names and "hybrid_override_pattern" not in names
    full, without = load_model(tiny_folder), load_model(tmp_path)
    assert isinstance(full, VisionLanguageModel) and isinstance(without, VisionLanguageModel)
    assert full.language_model.mtp is not None and without.language_model.mtp is None
    for name, tensor in without.state_dict().items():
        assert torch.equal(tensor, full.state_dict()[name]), name
