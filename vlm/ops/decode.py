"""One token of every sequence through all layers: the step that writing an answer repeats.

`build_step` is the boundary. It takes each layer's tensors and cache, and returns a function
from the residual stream `(S, D)` to the residual stream; what the steps of one cache share is
computed once, when it is built. A step of compiled code would stand in its place.

The layers compute the same for any number of tokens; here, at one token, the products read
every weight once and small operations cost as much as they do, so there are as few as
possible: products add into the residual, views and buffers are made beforehand.

Letters: S sequences, D hidden.
"""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from .attention import decode_attention
from .decode_mamba import MambaScratch, mamba_step
from .decode_moe import moe_step
from .decode_parts import Product, Projection, Stream
from .decode_weights import AttentionWeights, LayerWeights, MambaWeights, MlpWeights, MoeWeights

Step = Callable[[Tensor], Tensor]


def build_step(layers: Sequence[LayerWeights], caches: Sequence, num_seqs: int) -> Step:
    """A function that takes `(num_seqs, D)` through all layers and updates their caches.

    Its result is good until it is called again.

    Args:
        layers: float32 tensors of every layer, and packed weights.
        caches: what `vlm/cache.py` holds for each of them.
        num_seqs: sequences in the caches.
    """
    steps: list[Callable[[], object]] = []
    # buffers are written in every step, in inference mode or not
    with torch.inference_mode(False), torch.no_grad():
        stream = Stream(layers[0].norm, num_seqs)
        scratch = None
        for layer, cache in zip(layers, caches, strict=True):
            if isinstance(layer, MambaWeights):
                scratch = scratch or MambaScratch(layer, num_seqs)
                steps.append(mamba_step(layer, cache, scratch, stream))
            elif isinstance(layer, AttentionWeights):
                steps.append(_attention_step(layer, cache, stream))
            elif isinstance(layer, MoeWeights):
                steps.append(moe_step(layer, stream))
            else:
                steps.append(_mlp_step(layer, stream))

    def step(x_SD: Tensor) -> Tensor:
        stream.x.copy_(x_SD)
        for one in steps:
            one()
        return stream.x

    return step


def _attention_step(w: AttentionWeights, cache, stream: Stream) -> Callable[[], object]:
    S, x_SD, norm = stream.x.shape[0], stream.x, stream.norm(w.norm, w.eps)
    o_proj = Product(w.o_proj)
    weights = [w.q_proj, w.k_proj, w.v_proj]
    project = Projection(weights, x_SD.new_empty(S, sum(weight.shape[0] for weight in weights)))
    q, k, v = (part.view(S, -1, w.head_dim) for part in project.parts)

    def step() -> None:
        project(norm())
        keys, values = cache.append_one(k, v)
        out = decode_attention(q, keys, values, cache.lengths)
        o_proj.add(out.view(S, -1), x_SD)

    return step


def _mlp_step(w: MlpWeights, stream: Stream) -> Callable[[], object]:
    x_SD, norm = stream.x, stream.norm(w.norm, w.eps)
    up_proj, down_proj = Product(w.up_proj), Product(w.down_proj)
    hidden = x_SD.new_empty(x_SD.shape[0], up_proj.num_out)

    def step() -> None:
        up_proj.put(norm(), hidden).relu_()
        down_proj.add(hidden.mul_(hidden), x_SD)

    return step
