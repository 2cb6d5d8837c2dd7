"""The classes of weights that a recipe gives number formats to, told from a weight's name.

Names are ours (`language_model.layers.3.mixer.in_proj.weight`), so the classes are the same for
every family of checkpoints.
"""

from dataclasses import dataclass

QKV, O_PROJ = "attention-qkv", "attention-o"
MAMBA_IN, MAMBA_OUT, MAMBA_STEP, CONV = "mamba-in", "mamba-out", "mamba-step", "conv"
LATENT, EXPERTS, SHARED, ROUTER = "latent", "experts", "shared-expert", "router"
MLP, EMBEDDINGS, HEAD = "mlp", "embeddings", "head"
MTP, VISION, PROJECTOR, OTHER = "mtp", "vision", "projector", "norms-and-vectors"

CLASSES = (
    *(QKV, O_PROJ, MAMBA_IN, MAMBA_OUT, MAMBA_STEP, CONV, LATENT, EXPERTS, SHARED, ROUTER),
    *(MLP, EMBEDDINGS, HEAD, MTP, VISION, PROJECTOR, OTHER),
)
# Products of the language model: what a recipe may name. The rest stays as it is stored: readers
# have no quantized form for it, or a release that quantized it could not be loaded.
QUANTIZABLE = frozenset([QKV, O_PROJ, MAMBA_IN, MAMBA_OUT, LATENT, EXPERTS, SHARED, MLP, HEAD])

_OUTSIDE = {
    "embeddings": EMBEDDINGS,
    "lm_head": HEAD,
    "mtp": MTP,
    "vision_encoder": VISION,
    "vision_final_layernorm": VISION,
    "projector": PROJECTOR,
}
_IN_MIXER = {
    "q_proj": QKV,
    "k_proj": QKV,
    "v_proj": QKV,
    "o_proj": O_PROJ,
    "in_proj": MAMBA_IN,
    "out_proj": MAMBA_OUT,
    "x_proj": MAMBA_STEP,
    "dt_proj": MAMBA_STEP,
    "conv1d": CONV,
    "fc1_latent_proj": LATENT,
    "fc2_latent_proj": LATENT,
    "experts": EXPERTS,
    "shared_experts": SHARED,
    "gate": ROUTER,
    "gate_proj": MLP,
    "up_proj": MLP,
    "down_proj": MLP,
}


@dataclass(frozen=True, kw_only=True)
class WeightClass:
    """What a weight is.

    Attributes:
        name: one of `CLASSES`.
        layer: its place in the pattern; None outside the layers.
    """

    name: str
    layer: int | None = None

    @property
    def can_be_quantized(self) -> bool:
        return self.name in QUANTIZABLE


def class_of(name: str) -> WeightClass:
    """The class of a weight by its name of ours; biases and vectors are `OTHER` or their part's."""
    parts = name.removeprefix("language_model.").split(".")
    if parts[0] in _OUTSIDE:
        return WeightClass(name=_OUTSIDE[parts[0]])
    if parts[0] != "layers":
        return WeightClass(name=OTHER)
    layer = int(parts[1])
    is_weight = parts[-1] == "weight" or parts[3:4] == ["experts"]
    if parts[2] != "mixer" or not is_weight:
        return WeightClass(name=OTHER, layer=layer)
    return WeightClass(name=_IN_MIXER.get(parts[3], OTHER), layer=layer)
