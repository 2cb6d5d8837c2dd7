"""What a decode step needs of each layer: its tensors, as they lie on disk, and a few numbers.

Weights of products may be packed.
"""

from dataclasses import dataclass

from torch import Tensor

from ..quantize.packed import PackedWeight
from .routing import Routing


@dataclass(frozen=True, kw_only=True)
class MambaWeights:
    """The tensors of a Mamba-2 layer, named as on disk; `num_groups` B/C groups."""

    norm: Tensor
    eps: float
    in_proj: Tensor | PackedWeight
    conv_weight: Tensor
    conv_bias: Tensor | None
    dt_bias: Tensor
    dt_limit: tuple[float, float] | None
    A_log: Tensor
    D: Tensor
    gated_norm: Tensor
    out_proj: Tensor | PackedWeight
    num_groups: int
    state_size: int


@dataclass(frozen=True, kw_only=True)
class AttentionWeights:
    norm: Tensor
    eps: float
    q_proj: Tensor | PackedWeight
    k_proj: Tensor | PackedWeight
    v_proj: Tensor | PackedWeight
    o_proj: Tensor | PackedWeight
    head_dim: int


@dataclass(frozen=True, kw_only=True)
class MlpWeights:
    norm: Tensor
    eps: float
    up_proj: Tensor | PackedWeight
    down_proj: Tensor | PackedWeight


@dataclass(frozen=True, kw_only=True)
class MoeWeights:
    """`fc1`, `fc2` are the latent projections, if there are any; experts are stacked."""

    norm: Tensor
    eps: float
    gate: Tensor
    gate_bias: Tensor
    routing: Routing
    up_proj: Tensor | PackedWeight
    down_proj: Tensor | PackedWeight
    fc1: Tensor | PackedWeight | None
    fc2: Tensor | PackedWeight | None
    shared_up: Tensor | PackedWeight
    shared_down: Tensor | PackedWeight


LayerWeights = MambaWeights | AttentionWeights | MlpWeights | MoeWeights
