"""What a decode step needs of each layer: its tensors, as they lie on disk, and a few numbers."""

from dataclasses import dataclass

from torch import Tensor

from .routing import Routing


@dataclass(frozen=True, kw_only=True)
class MambaWeights:
    """The tensors of a Mamba-2 layer, named as on disk; `num_groups` B/C groups."""

    norm: Tensor
    eps: float
    in_proj: Tensor
    conv_weight: Tensor
    conv_bias: Tensor | None
    dt_bias: Tensor
    dt_limit: tuple[float, float] | None
    A_log: Tensor
    D: Tensor
    gated_norm: Tensor
    out_proj: Tensor
    num_groups: int
    state_size: int


@dataclass(frozen=True, kw_only=True)
class AttentionWeights:
    norm: Tensor
    eps: float
    q_proj: Tensor
    k_proj: Tensor
    v_proj: Tensor
    o_proj: Tensor
    head_dim: int


@dataclass(frozen=True, kw_only=True)
class MlpWeights:
    norm: Tensor
    eps: float
    up_proj: Tensor
    down_proj: Tensor


@dataclass(frozen=True, kw_only=True)
class MoeWeights:
    """`fc1`, `fc2` are the latent projections, if there are any; experts are stacked."""

    norm: Tensor
    eps: float
    gate: Tensor
    gate_bias: Tensor
    routing: Routing
    up_proj: Tensor
    down_proj: Tensor
    fc1: Tensor | None
    fc2: Tensor | None
    shared_up: Tensor
    shared_down: Tensor


LayerWeights = MambaWeights | AttentionWeights | MlpWeights | MoeWeights
