"""A plan in words: what `latentvlm plan` prints."""

from typing import TYPE_CHECKING

from .units import count, size

if TYPE_CHECKING:
    from ..vlm.census.expert_costs import ExpertCosts
    from ..vlm.census.plan import Plan


def lines(model: str, made: "Plan", *, kv_dtype: str) -> list[str]:
    """The plan as a few lines."""
    request = made.request
    where = "the fullest GPU" if request.gpus > 1 else "the GPU"
    shown = [
        f"{model} on {request.gpus} x {request.gpu.name}: {request.batch} "
        f"sequence{'s' * (request.batch != 1)} of {request.context} tokens",
        f"memory      {size(made.total)} of {size(made.usable)} on {where}: "
        + ("it fits" if made.fits else "it does not fit")
        + f"; at most {made.largest_batch} such sequences would",
    ]
    for name in ("weights", "kv", "ssm", "conv", "activations"):
        kind = f" ({kv_dtype})" if name == "kv" else ""
        shown.append(f"  {name:<12}{size(getattr(made, name)):>11}{kind}")
    if 0 < made.crossover < float("inf"):
        shown.append(
            f"            states outweigh keys and values up to {made.crossover:,.0f} tokens"
        )
    if made.vision is not None:
        shown.append(
            f"pictures    {made.vision.tokens} of the tokens of a sequence, from "
            f"{made.vision.patches} patches: {count(made.vision.flops)} FLOP"
        )
    phases = {"encode": made.encode, "prefill": made.prefill, "decode": made.decode}
    for name, phase in phases.items():
        if phase is not None:
            shown.append(
                f"{name:<12}at most {phase.tokens_per_s:,.0f} tokens/s, bound by "
                f"{phase.bottleneck}; a token: {count(phase.flops / phase.tokens)} FLOP, "
                f"{size(phase.memory_bytes / phase.tokens)} on each GPU"
            )
    if made.experts is not None:
        shown += _experts(made.experts, made.request.gpus)
    return [*shown, f"bottleneck  {made.bottleneck}"]


def _experts(costs: "ExpertCosts", gpus: int) -> list[str]:
    """What routing costs in a decoding step."""
    if gpus > 1:
        sent = f"all-to-all {size(costs.all_to_all)} a GPU and layer of a decoding step"
        held = f"; the fullest GPU holds {costs.most_on_a_gpu} of a layer"
    else:
        sent, held = "on one GPU nothing leaves it", ""
    shown = [
        f"experts     {costs.dispatched_elements} elements sent for each token and layer; "
        f"{sent}{held}",
        f"            {costs.intensity:,.1f} operations an element in a decoding step, "
        f"{costs.ridge:,.0f} a byte to be bound by compute",
    ]
    if costs.compute_bound_batch is not None:
        shown[1] += f": from {costs.compute_bound_batch:,.0f} tokens in a step"
    if gpus > 1:
        shown.append(
            f"            sending a token takes {costs.sending_to_computing:,.1f} times one product"
        )
    return shown


def _expert_rows(found: "list[ExpertCosts | None]") -> dict[str, list[str]]:
    costs = [each for each in found if each is not None]
    return {
        "elements sent for a token": [str(each.dispatched_elements) for each in costs],
        "all-to-all of a layer": [size(each.all_to_all) for each in costs],
        "operations an element": [f"{each.intensity:,.1f}" for each in costs],
        "bound by compute from": [
            "never" if each.compute_bound_batch is None else f"{each.compute_bound_batch:,.0f}"
            for each in costs
        ],
        "sending over computing": [f"{each.sending_to_computing:,.1f}" for each in costs],
    }


def table(kinds: dict[str, tuple[dict[str, int], "Plan"]]) -> list[str]:
    """A standard mixture beside a latent one."""
    shown = [f"  {'':<28}" + "".join(f"{name:>14}" for name in kinds)]
    rows = {
        "parameters": [count(sizes["total"]) for sizes, _ in kinds.values()],
        "active": [count(sizes["active"]) for sizes, _ in kinds.values()],
        "weights on each GPU": [size(each.weights) for _, each in kinds.values()],
        **_expert_rows([each.experts for _, each in kinds.values()]),
        "prefill, tokens/s": [f"{each.prefill.tokens_per_s:,.0f}" for _, each in kinds.values()],
        "decode, tokens/s": [f"{each.decode.tokens_per_s:,.0f}" for _, each in kinds.values()],
        "fits": ["yes" if each.fits else "no" for _, each in kinds.values()],
    }
    return shown + [
        f"  {name:<28}" + "".join(f"{cell:>14}" for cell in cells) for name, cells in rows.items()
    ]
