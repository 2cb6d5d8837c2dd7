"""The decode step of a layer of experts, standard or latent.

Letters: S sequences, D hidden, E experts, K experts per token, I expert width, L their width in
and out.
"""

from collections.abc import Callable

import torch

from .decode_parts import Projection, Stream, Sum
from .decode_weights import MoeWeights
from .experts import experts_in_place
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
    ups, downs = w.up_proj.mT.unbind(), w.down_proj.mT.unbind()

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

    def one() -> None:
        h_SD = norm()
        project(h_SD)
        ids, weights = choose_one(logits, w.gate_bias, w.routing)
        z = latent[0] if latent else h_SD
        for e, out in zip(ids, hidden_rows, strict=True):
            torch.mm(z, ups[e], out=out)
        hidden.relu_()
        hidden.mul_(hidden)
        y, kept = (z, 0) if latent else (x_SD, 1)  # the first product replaces the latent input
        for e, weight, row in zip(ids, weights, hidden_rows, strict=True):
            y.addmm_(row, downs[e], beta=kept, alpha=weight)
            kept = 1
        add(x_SD)

    return one if S == 1 else several
