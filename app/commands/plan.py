"""`latentvlm plan MODEL`: memory, speed and bottleneck on given GPUs, on paper."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..units import count, read_length, size

if TYPE_CHECKING:
    from ...vlm.census.plan import Plan


def plan(
    model: Annotated[str, typer.Argument(help="Checkpoint folder, hub id or preset.")],
    context: Annotated[str, typer.Option(help="Tokens of a sequence, such as 128k.")] = "8k",
    batch: Annotated[int, typer.Option(help="Sequences at once.")] = 1,
    gpu: Annotated[str, typer.Option(help="h100, h200, b200, a10g, laptop-cpu, ...")] = "h100",
    gpus: Annotated[int, typer.Option(help="How many of them.")] = 1,
    weights: Annotated[
        str | None, typer.Option(help="bf16, fp8, nvfp4 or int8 experts (as stored).")
    ] = None,
    kv_dtype: Annotated[str, typer.Option(help="Keys and values: bfloat16, fp8.")] = "bfloat16",
    ssm_dtype: Annotated[str, typer.Option(help="Scan states: float32, float16.")] = "float32",
    revision: Annotated[
        str | None, typer.Option(help="Branch, tag or commit of a hub id (the newest).")
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Say whether a model fits, how fast it could be there, and what holds it back."""
    from ...vlm.census.cache_sizes import element_bytes
    from ...vlm.census.gpus import find_gpu
    from ...vlm.census.moe_costs import counterpart
    from ...vlm.census.parameters import count_parameters
    from ...vlm.census.plan import make_plan, weight_bits
    from ...vlm.census.request import Request
    from ...vlm.census.source import find_source
    from ...vlm.census.tensors import config_tensors

    request = Request(
        context=read_length(context, option="--context"),
        batch=batch,
        gpu=find_gpu(gpu),
        gpus=gpus,
        weights=weights,
        kv_bytes=element_bytes(kv_dtype, option="--kv-dtype"),
        ssm_bytes=element_bytes(ssm_dtype, option="--ssm-dtype"),
    )
    source = find_source(model, revision=revision)
    parameters = count_parameters(source.tensors, source.config)
    made = make_plan(source.text, parameters, request)
    values: dict[str, Any] = {
        "model": model,
        "gpu": request.gpu.name,
        "gpus": gpus,
        "context": request.context,
        "context_limit": source.text.max_position_embeddings,
        "batch": batch,
        "weights_as": weights or "stored",
        "parameters": {"total": parameters.total, "active": parameters.active},
        **made.as_values(),
    }
    kinds = {_kind(source.text.moe_latent_size): (values["parameters"], made)}
    other = counterpart(source.text)
    if other is not None:
        whole = source.with_text(other)
        counted = count_parameters(config_tensors(whole), whole)
        alike = weight_bits(parameters, weights)
        twin = make_plan(other, counted, request, bits=alike)
        sizes = {"total": counted.total, "active": counted.active}
        kinds[_kind(other.moe_latent_size)] = (sizes, twin)
        values["counterpart"] = {
            "kind": _kind(other.moe_latent_size),
            "experts": other.n_routed_experts,
            "experts_per_token": other.num_experts_per_tok,
            "width": other.moe_latent_size or other.hidden_size,
            "parameters": sizes,
            **twin.as_values(),
        }
    if json:
        from json import dumps

        print(dumps(values))
        return
    for line in lines(model, made):
        print(line)
    if request.context > source.text.max_position_embeddings:
        print(f"note        its context is {source.text.max_position_embeddings} tokens")
    if len(kinds) == 2:
        print("\nat about the same cost\n" + "\n".join(table(kinds)))


def lines(model: str, made: "Plan") -> list[str]:
    """The plan as a few lines."""
    request = made.request
    shown = [
        f"{model} on {request.gpus} x {request.gpu.name}: {request.batch} "
        f"sequence{'s' * (request.batch != 1)} of {request.context} tokens",
        f"memory      {size(made.total)} of {size(made.usable)} on each GPU: "
        + ("it fits" if made.fits else "it does not fit")
        + f"; at most {made.largest_batch} such sequences would",
    ]
    for name in ("weights", "kv", "ssm", "conv", "activations"):
        shown.append(f"  {name:<12}{size(getattr(made, name)):>11}")
    for name, phase in [("prefill", made.prefill), ("decode", made.decode)]:
        shown.append(
            f"{name:<12}at most {phase.tokens_per_s:,.0f} tokens/s, bound by {phase.bottleneck}; "
            f"a token: {count(phase.flops / phase.tokens)} FLOP, "
            f"{size(phase.memory_bytes / phase.tokens)} on each GPU"
        )
    if made.dispatched_elements:
        shown.append(
            f"experts     {made.dispatched_elements} elements sent for each token and layer; "
            + (
                f"all-to-all {size(made.all_to_all)} a GPU and layer of a decoding step"
                if request.gpus > 1
                else "on one GPU nothing leaves it"
            )
        )
        needed = made.compute_bound_batch
        if needed is not None:
            shown.append(f"            bound by compute from {needed:,.0f} tokens in a step")
    return [*shown, f"bottleneck  {made.bottleneck}"]


def table(kinds: dict[str, tuple[dict[str, int], "Plan"]]) -> list[str]:
    """A standard mixture beside a latent one."""
    shown = [f"  {'':<28}" + "".join(f"{name:>14}" for name in kinds)]
    rows = {
        "parameters": [count(sizes["total"]) for sizes, _ in kinds.values()],
        "active": [count(sizes["active"]) for sizes, _ in kinds.values()],
        "weights on each GPU": [size(each.weights) for _, each in kinds.values()],
        "elements sent for a token": [str(each.dispatched_elements) for _, each in kinds.values()],
        "all-to-all of a layer": [size(each.all_to_all) for _, each in kinds.values()],
        "prefill, tokens/s": [f"{each.prefill.tokens_per_s:,.0f}" for _, each in kinds.values()],
        "decode, tokens/s": [f"{each.decode.tokens_per_s:,.0f}" for _, each in kinds.values()],
        "fits": ["yes" if each.fits else "no" for _, each in kinds.values()],
    }
    return shown + [
        f"  {name:<28}" + "".join(f"{cell:>14}" for cell in cells) for name, cells in rows.items()
    ]


def _kind(latent: int | None) -> str:
    return "LatentMoE" if latent else "standard MoE"
