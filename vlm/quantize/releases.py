"""Which weights of the quantized releases are stored in how few bits, as values.

A module is named as on disk and without `.weight`; a layer by its place in the pattern. What
no rule names is not quantized: embeddings, norms, convolutions, draft heads, whatever sees
or hears.
"""

import re
from dataclasses import dataclass

NVFP4, W4A16_NVFP4, FP8 = "NVFP4", "W4A16_NVFP4", "FP8"

_MODULE = re.compile(r"^(?:language_model\.)?(?:backbone\.layers\.(\d+)\.mixer\.)?([^.].*)$")


@dataclass(frozen=True, kw_only=True)
class Rule:
    """Modules of one name, in some layers.

    Attributes:
        module: `in_proj`, `lm_head`; `experts` stands for everything inside it.
        algorithm: one of the names above.
        only: the layers meant; all if empty.
        but: layers that are not meant.
    """

    module: str
    algorithm: str
    only: frozenset[int] = frozenset()
    but: frozenset[int] = frozenset()

    def covers(self, layer: int | None, module: str) -> bool:
        if module != self.module and not module.startswith(self.module + "."):
            return False
        return layer is None or (layer not in self.but and (not self.only or layer in self.only))


@dataclass(frozen=True, kw_only=True)
class Release:
    """How one release of a preset is stored.

    Attributes:
        preset: the architecture.
        rules: the first that covers a module has it.
        float32: endings of names stored in F32; the rest of what is not quantized is BF16.
        kv_scales: whether attention layers carry `k_proj.k_scale` and `v_proj.v_scale`.
    """

    preset: str
    rules: tuple[Rule, ...]
    float32: tuple[str, ...] = ("gate.e_score_correction_bias",)
    kv_scales: bool = False

    def algorithm(self, module: str) -> str | None:
        """How the weight of a module is quantized; None if it is not."""
        found = _MODULE.match(module)
        if found is None or module.startswith(("mtp.", "language_model.mtp.")):
            return None
        layer = None if found[1] is None else int(found[1])
        for rule in self.rules:
            if rule.covers(layer, found[2]):
                return rule.algorithm
        return None


def _layers(numbers: str) -> frozenset[int]:
    return frozenset(int(number) for number in numbers.split())


# The six Mamba layers right before attention stay in BF16, and attention itself.
NANO_3_30B_NVFP4 = Release(
    preset="nemotron-3-nano-30b-a3b",
    rules=(
        Rule(module="experts", algorithm=NVFP4),
        Rule(module="shared_experts", algorithm=NVFP4),
        Rule(module="in_proj", algorithm=NVFP4, but=_layers("4 11 18 25 32 41")),
        Rule(module="out_proj", algorithm=NVFP4, but=_layers("4 11 18 25 32 41")),
    ),
    float32=("gate.e_score_correction_bias", "gate.weight"),
)

# Found by a search over formats under a budget of bits, hence the irregular lists.
SUPER_3_120B_NVFP4 = Release(
    preset="nemotron-3-super-120b-a12b",
    rules=(
        Rule(module="experts", algorithm=NVFP4),
        Rule(
            module="in_proj",
            algorithm=FP8,
            only=_layers(
                "0 2 4 6 9 11 13 15 18 20 27 29 31 40 49 51 53 55 57 60 62 66 68 71 73 82 84 86"
            ),
        ),
        Rule(
            module="out_proj",
            algorithm=FP8,
            only=_layers(
                "0 2 4 9 11 13 18 38 40 42 44 49 51 53 55 57 60 62 64 66 68 71 73 75 77 80 82 84 86"
            ),
        ),
        Rule(module="shared_experts.up_proj", algorithm=FP8, but=_layers("41")),
        Rule(module="shared_experts.down_proj", algorithm=NVFP4, only=_layers("1")),
        Rule(module="shared_experts.down_proj", algorithm=FP8, but=_layers("8 76")),
        Rule(module="fc1_latent_proj", algorithm=FP8, only=_layers("1 3 5")),
        Rule(module="fc2_latent_proj", algorithm=FP8, only=_layers("3")),
        Rule(module="o_proj", algorithm=FP8, only=_layers("69 78")),
    ),
    kv_scales=True,
)

LIGHTNING_30B_NVFP4 = Release(
    preset="nemotron-3.5-lightning-30b-a3b",
    rules=(
        Rule(module="experts", algorithm=W4A16_NVFP4),
        Rule(module="shared_experts", algorithm=W4A16_NVFP4),
        Rule(module="lm_head", algorithm=W4A16_NVFP4),
        Rule(module="in_proj", algorithm=FP8),
        Rule(module="out_proj", algorithm=FP8),
    ),
)

NANO_OMNI_30B_NVFP4 = Release(
    preset="nemotron-3-nano-omni-30b-a3b",
    rules=(
        Rule(module="experts", algorithm=NVFP4),
        Rule(module="shared_experts", algorithm=FP8),
        Rule(module="in_proj", algorithm=FP8),
        Rule(module="out_proj", algorithm=FP8),
        Rule(module="o_proj", algorithm=FP8),
    ),
)

# By layers: the first two and the last two of 56 stay in BF16, and attention.
NANO_9B_V2_NVFP4 = Release(
    preset="nemotron-nano-9b-v2",
    rules=tuple(
        Rule(module=module, algorithm=NVFP4, but=_layers("0 1 54 55"))
        for module in ("in_proj", "out_proj", "up_proj", "down_proj")
    ),
)

RELEASES: dict[str, Release] = {
    "nemotron-3-nano-30b-a3b-nvfp4": NANO_3_30B_NVFP4,
    "nemotron-3-super-120b-a12b-nvfp4": SUPER_3_120B_NVFP4,
    "nemotron-3.5-lightning-30b-a3b-nvfp4": LIGHTNING_30B_NVFP4,
    "nemotron-3-nano-omni-30b-a3b-nvfp4": NANO_OMNI_30B_NVFP4,
    "nemotron-nano-9b-v2-nvfp4": NANO_9B_V2_NVFP4,
}
