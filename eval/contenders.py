"""The two that are compared: this package and transformers, on the same weights.

Both read a prompt and keep only its last logits, then write greedily, one token of every
sequence a step. This package reads in blocks with the state carried over; transformers reads
a prompt in one call, as its `generate` does.
"""

from dataclasses import asdict
from typing import Any, Protocol

import torch
from torch import Tensor

from ..errors import MissingDependencyError
from ..vision_encoder.radio import RadioConfig, RadioEncoder
from ..vlm.config import LanguageConfig
from ..vlm.generate import PREFILL_BLOCK
from ..vlm.language_model import LanguageModel


class Contender(Protocol):
    """One side of the comparison."""

    def prefill(self, ids: Tensor) -> Tensor:
        """Read `ids` `(sequences, tokens)`; the likeliest next token of each `(sequences,)`."""
        ...

    def step(self, ids: Tensor) -> Tensor:
        """Go on with one token of each sequence; the likeliest next ones `(sequences,)`."""
        ...


class Ours:
    def __init__(self, model: LanguageModel) -> None:
        self.model = model.prepare_for_decoding()

    @torch.inference_mode()
    def prefill(self, ids: Tensor) -> Tensor:
        model, (count, length) = self.model, ids.shape
        self.cache = model.allocate_cache(count, capacity=length + 256)
        # a block holds the next tokens of every sequence; one long sequence fills it alone
        last = ids
        for part in ids.split(max(1, PREFILL_BLOCK // count), dim=1):
            bounds = torch.arange(count + 1, dtype=torch.int32) * part.shape[1]
            hidden = model(model.embed(part.flatten()), cu_seqlens=bounds, cache=self.cache)
            last = hidden.unflatten(0, (count, -1))[:, -1]
        self.bounds = torch.arange(count + 1, dtype=torch.int32)
        return model.logits(last).argmax(-1)

    @torch.inference_mode()
    def step(self, ids: Tensor) -> Tensor:
        model = self.model
        hidden = model(model.embed(ids), cu_seqlens=self.bounds, cache=self.cache)
        return model.logits(hidden).argmax(-1)


class Transformers:
    """`NemotronHForCausalLM` with its grouped product, over the tensors of our model."""

    def __init__(self, model: LanguageModel) -> None:
        self.model = nemotron_h(model)

    @torch.inference_mode()
    def prefill(self, ids: Tensor) -> Tensor:
        out = self.model(ids, use_cache=True, logits_to_keep=1)
        self.past = out.past_key_values
        return out.logits[:, -1].argmax(-1)

    @torch.inference_mode()
    def step(self, ids: Tensor) -> Tensor:
        out = self.model(ids[:, None], past_key_values=self.past, use_cache=True)
        return out.logits[:, -1].argmax(-1)


def nemotron_h(model: LanguageModel):
    """transformers' model of the same config, sharing our tensors.

    Raises:
        MissingDependencyError: transformers is not installed.
    """
    try:
        from transformers import NemotronHConfig, NemotronHForCausalLM
    except ImportError as error:
        raise MissingDependencyError(
            "The comparison needs transformers: pip install transformers."
        ) from error
    known = {name: value for name, value in asdict(model.config).items() if name != "extra"}
    known["mtp_hybrid_override_pattern"] = "*E"
    config = NemotronHConfig(**known)
    with torch.device("meta"):
        theirs = NemotronHForCausalLM(config)
    tensors = {
        key if key.startswith("lm_head") else f"model.{key}": value.contiguous()
        for key, value in model.state_dict().items()
        if not key.startswith("mtp.")
    }
    theirs.load_state_dict(tensors, strict=True, assign=True)
    theirs.set_experts_implementation("grouped_mm")
    for layer in theirs.model.layers:
        # its prefill alone would limit dt from below
        mixer: Any = layer.mixer
        if hasattr(mixer, "time_step_limit"):
            mixer.time_step_limit = model.config.time_step_limit
    return theirs.eval()


def radio(tower: RadioEncoder):
    """transformers' RADIO tower of the same sizes, random weights.

    Raises:
        MissingDependencyError: transformers is not installed.
    """
    try:
        from transformers import RadioConfig as TheirConfig
        from transformers import RadioModel
    except ImportError as error:
        raise MissingDependencyError(
            "The comparison needs transformers: pip install transformers."
        ) from error
    config: RadioConfig = tower.config
    theirs = RadioModel(
        TheirConfig(
            hidden_size=config.hidden_size,
            num_hidden_layers=config.num_layers,
            num_attention_heads=config.num_heads,
            mlp_ratio=config.intermediate_size / config.hidden_size,
            patch_size=config.patch_size,
            max_img_size=config.patch_size * config.pos_grid,
            num_cls_tokens=config.num_cls_tokens,
            num_registers=config.num_registers,
            summary_idxs=list(config.summary_idxs),
            video_temporal_patch_size=config.video_temporal_patch_size,
        )
    )
    theirs.make_preprocessor_external()
    return theirs.eval()


def active_weights(config: LanguageConfig, model: LanguageModel) -> tuple[int, int]:
    """Weights multiplied for one token: (without the output layer, with it)."""
    total = 0
    for name, parameter in model.named_parameters():
        if name.startswith(("embeddings.", "lm_head.", "mtp.")):
            continue
        if ".experts." in name:
            total += parameter.numel() * config.num_experts_per_tok // config.n_routed_experts
        else:
            total += parameter.numel()
    return total, total + model.lm_head.weight.numel()
