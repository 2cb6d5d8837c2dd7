"""Granite 4: Mamba-2 and attention, each followed by experts beside a shared one, or by one MLP.

On disk gate and up are one tensor, `input_linear`, and all experts are one stack.
"""

import re
from collections.abc import Mapping
from typing import Any

from torch import Tensor

from .granitemoehybrid_config import (
    ARCHITECTURE,
    DENSE,
    MODEL_TYPE,
    config_from_json,
    config_to_json,
    is_dense,
)
from .names import Family, Place, is_expert_stack, labelled
from .paired import PairedNames

_SHARED_DOWN = re.compile(r"(\.shared_mlp)\.output_linear\.weight$")
_EXPERTS_DOWN = re.compile(r"(\.block_sparse_moe)\.output_linear\.weight$")


def halves(name: str) -> tuple[str, str] | None:
    """The names under which the halves of a tensor that is gate and up are placed."""
    if not name.endswith(".input_linear.weight"):
        return None
    module = name.removesuffix(".input_linear.weight")
    kind = "" if module.endswith(".block_sparse_moe") else ".weight"
    return f"{module}.gate_proj{kind}", f"{module}.up_proj{kind}"


def _family(name: str, second: Mapping[str, str], *, dense: bool) -> Family:
    names = PairedNames(final_norm="norm", second_norm="post_attention_layernorm", second=second)
    is_granite = labelled(MODEL_TYPE, ARCHITECTURE)

    def recognises(values: Mapping[str, Any]) -> bool:
        return is_granite(values) and is_dense(values) == dense

    def place(name: str) -> Place | None:
        name = _SHARED_DOWN.sub(r"\1.down_proj.weight", name)
        return names.place(_EXPERTS_DOWN.sub(r"\1.down_proj", name))

    def disk_name(name: str, expert: int | None) -> str:
        disk = names.disk_name(name, None)
        if ".shared_mlp." not in disk and not is_expert_stack(name):
            return disk
        module, _, projection = disk.removesuffix(".weight").rpartition(".")
        return f"{module}.{'output' if projection == 'down_proj' else 'input'}_linear.weight"

    def respell(name: str, tensor: Tensor) -> list[str] | None:
        return [disk_name(name, None)] if is_expert_stack(name) else None

    return Family(
        name=name,
        recognises=recognises,
        read_config=lambda values, strict: config_from_json(values, strict=strict),
        write_config=lambda config: {**config_to_json(config), "architectures": [ARCHITECTURE]},
        place=place,
        disk_name=disk_name,
        respell=respell,
        halves=halves,
    )


FAMILY = _family(
    MODEL_TYPE,
    {
        "gate.": "block_sparse_moe.router.layer.",
        "shared_experts.": "shared_mlp.",
        "experts.": "block_sparse_moe.",
    },
    dense=False,
)
DENSE_FAMILY = _family(DENSE, {"": "shared_mlp."}, dense=True)
