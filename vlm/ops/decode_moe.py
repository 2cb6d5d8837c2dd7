"""The decode step of a layer of experts, standard or latent.

Letters: S sequences, D hidden, E experts, K experts per token, I expert width, L their width in
and out.
"""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from ..quantize.packed import PackedWeight
from .decode_parts import Projection, Stream, Sum
from .decode_weights import MoeWeights
from .experts import ExpertProducts, experts_in_place
from .quantized import add_products_of_rows, put_products_of_row
from .routing import choose, choose_one


def moe_step(w: MoeWeights, stream: Stream) -> Callable[[], object]:
    """A function that adds one token of each sequence through the layer to the stream.

    One buffer holds a row of router logits, latent, shared and routed hidden values: what is
    done to neighbours is done once.
    """
    S, x_SD, norm = stream.x.shape[0], stream.x, stream.norm(w.norm, w.eps)
    latents = [] if w.fc1 is None else [w.fc1]
    inputs = [w.gate, *latents, w.shared_up]
    outputs = [w.shared_down] if w.fc2 is None else [w.fc2, w.shared_down]
    K, width = w.routing.experts_per_token, w.up_proj.shape[1]
    num_logits, projected = w.gate.shape[0], sum(weight.shape[0] for weight in inputs)
    buffer = x_SD.new_empty(S, projected + K * width)
    row = buffer[:, :projected]
    project = Projection(inputs, row)
    add = Sum(outputs, row[:, num_logits:])
    logits, *latent, shared = project.parts
    ups, downs = ExpertProducts(w.up_proj), ExpertProducts(w.down_proj)

    def several() -> None:
        h_SD = norm()
        project(h_SD)
        ids, weights = choose(logits, w.gate_bias, w.routing)
        shared.relu_()
        shared.mul_(shared)
        if latent:
            # the result takes the place of the input, beside the shared expert's hidden row
            experts_in_place(latent[0], ups, downs, ids, weights, out_TL=latent[0])
        else:
            x_SD.add_(experts_in_place(h_SD, ups, downs, ids, weights))
        add(x_SD)

    hidden = buffer[:, buffer.shape[1] - K * width - shared.shape[1] :]
    hidden_rows = buffer[:, projected:].split(width, dim=1)
    put_hidden = _hidden_of_row(w.up_proj, buffer[:, projected:])
    add_outputs = _outputs_of_rows(w.down_proj, hidden_rows)

    def one() -> None:
        h_SD = norm()
        project(h_SD)
        ids, weights = choose_one(logits, w.gate_bias, w.routing)
        z = latent[0] if latent else h_SD
        put_hidden(z, ids)
        hidden.relu_()
        hidden.mul_(hidden)
        # without latents the experts add to the stream, else they take the place of their input
        add_outputs(ids, weights, z if latent else x_SD, not latent)
        add(x_SD)

    return one if S == 1 else several


def _hidden_of_row(
    stack: Tensor | PackedWeight, out: Tensor
) -> Callable[[Tensor, list[int]], object]:
    """Puts the products of one row with its experts side by side into `out`."""
    if isinstance(stack, PackedWeight):
        return lambda z, ids: put_products_of_row(z[0], stack, ids, out)
    matrices, rows = stack.mT.unbind(), out.split(stack.shape[1], dim=1)

    def put(z: Tensor, ids: list[int]) -> None:
        for e, row in zip(ids, rows, strict=True):
            torch.mm(z, matrices[e], out=row)

    return put


def _outputs_of_rows(
    stack: Tensor | PackedWeight, rows: Sequence[Tensor]
) -> Callable[[list[int], list[float], Tensor, bool], object]:
    """Adds the weighted products of the experts' hidden rows to a row, or puts them there."""
    if isinstance(stack, PackedWeight):
        return lambda ids, weights, y, keep: add_products_of_rows(
            rows, stack, ids, weights, y, keep=keep
        )
    matrices = stack.mT.unbind()

    def add(ids: list[int], weights: list[float], y: Tensor, keep: bool) -> None:
        kept = int(keep)
        for e, weight, row in zip(ids, weights, rows, strict=True):
            y.addmm_(row, matrices[e], beta=kept, alpha=weight)
            kept = 1

    return add
