"""What the numbers inside a model are on calibration data, gathered a block at a time.

inputs of products   their largest size, for the scales of activations
keys and values      the same, for the scales of an FP8 cache
experts              how many tokens each got, so that those that saw too few are named
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ...data.model_inputs import ModelInputs
from ...errors import InputError
from ..block import Block
from ..layers.attention import AttentionMixer
from ..layers.moe import Experts, MoEMixer
from ..ops.linear import Linear
from ..quantize.modules import PackedLinear
from ..quantize.packed import PackedWeight
from .blocks import BlockRunner, Row, through

Notify = Callable[[str, int, int], None]
FEW_TOKENS = 16


@dataclass(kw_only=True)
class Calibration:
    """What was gathered.

    Attributes:
        num_prompts, num_tokens: of what.
        largest_inputs: by the name of ours of a product's weight.
        largest_keys, largest_values: by layer.
        expert_tokens: by layer, tokens that each expert got.
    """

    num_prompts: int = 0
    num_tokens: int = 0
    largest_inputs: dict[str, float] = field(default_factory=dict)
    largest_keys: dict[int, float] = field(default_factory=dict)
    largest_values: dict[int, float] = field(default_factory=dict)
    expert_tokens: dict[int, list[int]] = field(default_factory=dict)

    def see(self, name: str, values: Tensor) -> None:
        found = float(values.detach().abs().amax()) if values.numel() else 0.0
        if not math.isfinite(found):
            raise InputError(
                f"On the calibration data the input of {name} is {found}: the checkpoint is "
                "damaged, or its numbers overflow."
            )
        self.largest_inputs[name] = max(found, self.largest_inputs.get(name, 0.0))


def starved_notes(expert_tokens: Mapping[int, Sequence[int]]) -> list[str]:
    """Which experts of which layers saw no token, and which too few, a line each."""
    notes = []
    for layer, counts in expert_tokens.items():
        kinds = {
            "no token at all": [e for e, count in enumerate(counts) if not count],
            f"fewer than {FEW_TOKENS} tokens": [
                e for e, count in enumerate(counts) if 0 < count < FEW_TOKENS
            ],
        }
        for what, experts in kinds.items():
            if experts:
                more = f" and {len(experts) - 8} more" if len(experts) > 8 else ""
                notes.append(
                    f"Layer {layer}: experts {', '.join(map(str, experts[:8]))}{more} saw {what} "
                    "in calibration; their scales of activations are those of the layer."
                )
    return notes


@torch.no_grad()
def calibrate(
    runner: BlockRunner,
    prompts: Sequence[ModelInputs],
    *,
    notify: Notify = lambda what, done, total: None,
    each_block: Callable[[int, Block, list[Row], list[Row]], None] | None = None,
    called: str = "calibrating",
) -> Calibration:
    """Run the prompts through the model.

    Args:
        each_block: called with a block, what went into it and what came out; the search for a
            recipe looks on there.
        called: what `notify` is told it is.

    Raises:
        InputError: there are no prompts, or some number is infinite or no number.
    """
    if not prompts:
        raise InputError("There is no calibration data: it must hold at least one conversation.")
    found = Calibration(num_prompts=len(prompts))
    rows = runner.embed(prompts, notify)
    found.num_tokens = sum(row.hidden.shape[0] for row in rows)
    prefix = runner.source.prefix
    for idx, block in runner.blocks():
        hooks = _watch(block, idx, f"{prefix}layers.{idx}.", found)
        after = through(block, rows)
        for hook in hooks:
            hook.remove()
        if each_block is not None:
            each_block(idx, block, rows, after)
        rows = after
        notify(called, idx + 1, runner.num_blocks)
    head = f"{prefix}lm_head.weight"
    norm = runner.head()
    for row in rows:
        found.see(head, norm.norm(row.hidden))  # type: ignore[operator]  # a module
    return found


def _watch(block: Block, idx: int, prefix: str, found: Calibration) -> list:
    hooks = []
    for name, module in block.named_modules():
        if isinstance(module, Linear | PackedLinear):
            hooks.append(module.register_forward_pre_hook(_seen(found, f"{prefix}{name}.weight")))
        elif isinstance(module, Experts):
            hooks.append(module.register_forward_pre_hook(_experts(found, idx, prefix + name)))
    mixer = block.mixer
    if isinstance(mixer, AttentionMixer):
        keys, values = mixer.k_proj, mixer.v_proj
        hooks.append(keys.register_forward_hook(_cached(found.largest_keys, idx, mixer)))
        hooks.append(values.register_forward_hook(_cached(found.largest_values, idx, None)))
    if isinstance(mixer, MoEMixer):
        found.expert_tokens[idx] = [0] * mixer.gate.weight.shape[0]
    return hooks


def _seen(found: Calibration, name: str) -> Callable[[nn.Module, tuple], None]:
    return lambda module, inputs: found.see(name, inputs[0])


def _cached(
    largest: dict[int, float], idx: int, mixer: AttentionMixer | None
) -> Callable[[nn.Module, tuple, Tensor], None]:
    def look(module: nn.Module, inputs: tuple, output: Tensor) -> None:
        size = output.abs()
        if mixer is not None and mixer.rotary is not None:
            # wherever a pair is turned to, neither of its values gets larger than its length
            heads = output.unflatten(-1, (-1, mixer.head_dim))
            half = mixer.rotary.dims // 2
            size = torch.cat(
                [
                    torch.hypot(heads[..., :half], heads[..., half : 2 * half]),
                    heads[..., 2 * half :].abs(),
                ],
                -1,
            )
        largest[idx] = max(float(size.amax()), largest.get(idx, 0.0))

    return look


def _experts(found: Calibration, idx: int, name: str) -> Callable[[nn.Module, tuple], None]:
    """Inputs of up (and gate) are what comes in; those of down are computed once more."""

    def look(module: nn.Module, inputs: tuple) -> None:
        assert isinstance(module, Experts)
        z, ids, _ = inputs
        gates = module.gate_proj
        counts = found.expert_tokens[idx]
        for expert in ids.unique().tolist():
            mine = z[(ids == expert).any(-1)].float()
            counts[expert] += mine.shape[0]
            up = F.linear(mine, _matrix(module.up_proj, expert))
            if gates is None:
                hidden = up.relu().square()
            else:
                hidden = F.silu(F.linear(mine, _matrix(gates, expert))) * up
                found.see(f"{name}.gate_proj|{expert}", mine)
            found.see(f"{name}.up_proj|{expert}", mine)
            found.see(f"{name}.down_proj|{expert}", hidden)

    return look


def _matrix(stack: Tensor | PackedWeight, expert: int) -> Tensor:
    return stack.matrix(expert) if isinstance(stack, PackedWeight) else stack[expert].float()


def largest_input(found: Mapping[str, float], name: str, expert: int | None) -> float:
    """Of a product; an expert that saw no token has the largest of its layer's experts.

    Readers join the experts of a layer and take the largest of their scales in any case.
    """
    if expert is None:
        return found.get(name, 0.0)
    return max((v for key, v in found.items() if key.startswith(f"{name}|")), default=0.0)
