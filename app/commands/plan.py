"""`latentvlm plan MODEL`: memory, speed and bottleneck on given GPUs, on paper."""

from typing import Annotated, Any

import typer

from ..plan_text import lines, table
from ..progress import waiting
from ..units import read_length


def plan(
    model: Annotated[str, typer.Argument(help="Checkpoint folder, hub id or preset.")],
    context: Annotated[str, typer.Option(help="Tokens of a sequence, such as 128k.")] = "8k",
    images: Annotated[int, typer.Option(help="Pictures in each sequence.")] = 0,
    frames: Annotated[int, typer.Option(help="Frames of a video in each sequence.")] = 0,
    image_size: Annotated[
        str, typer.Option(metavar="WxH", help="Pixels of a picture or frame.")
    ] = "1024x1024",
    batch: Annotated[int, typer.Option(help="Sequences at once.")] = 1,
    gpu: Annotated[str, typer.Option(help="h100, h200, b200, a10g, laptop-cpu, ...")] = "h100",
    gpus: Annotated[int, typer.Option(help="How many of them.")] = 1,
    weights: Annotated[
        str | None, typer.Option(help="bf16, fp8, nvfp4 or int8 experts (as stored).")
    ] = None,
    kv_dtype: Annotated[
        str | None,
        typer.Option(help="Keys and values: bfloat16, fp8 (bfloat16, as `load` keeps them)."),
    ] = None,
    ssm_dtype: Annotated[
        str, typer.Option(help="Scan states: float32, float16, int8.")
    ] = "float32",
    revision: Annotated[
        str | None, typer.Option(help="Branch, tag or commit of a hub id (the newest).")
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Say whether a model fits, how fast it could be there, and what holds it back.

    Example: latentvlm plan my-model --context 128k --batch 8 --gpu h200
    """
    from ...vlm.census.cache_sizes import element_bytes
    from ...vlm.census.gpus import find_gpu
    from ...vlm.census.moe_costs import counterpart
    from ...vlm.census.parameters import count_parameters
    from ...vlm.census.plan import make_plan, weight_bits
    from ...vlm.census.problems import find_problems
    from ...vlm.census.request import Request
    from ...vlm.census.source import find_source
    from ...vlm.census.tensors import config_tensors
    from ...vlm.census.vision_work import Pictures, read_size, vision_work

    width, height = read_size(image_size)
    shown = Pictures(images=images, frames=frames, width=width, height=height)
    with waiting(f"reading the headers of {model}"):
        source = find_source(model, revision=revision)
    offers_fp8 = kv_dtype is None and source.has_kv_scales
    kv_dtype = kv_dtype or "bfloat16"
    request = Request(
        context=read_length(context, option="--context"),
        batch=batch,
        gpu=find_gpu(gpu),
        gpus=gpus,
        weights=weights,
        kv_bytes=element_bytes(kv_dtype, option="--kv-dtype"),
        ssm_bytes=element_bytes(ssm_dtype, option="--ssm-dtype"),
    )
    problems = find_problems(source)
    vision = vision_work(source, shown)
    parameters = count_parameters(source.tensors, source.config)
    made = make_plan(source.text, parameters, request, vision=vision)
    values: dict[str, Any] = {
        "model": model,
        "gpu": request.gpu.name,
        "gpus": gpus,
        "context": request.context,
        "context_limit": source.text.max_position_embeddings,
        "batch": batch,
        "weights_as": weights or "stored",
        "kv_dtype": kv_dtype,
        "problems": problems,
        "parameters": {"total": parameters.total, "active": parameters.active},
        **made.as_values(),
    }
    kinds = {_kind(source.text.moe_latent_size): (values["parameters"], made)}
    other = counterpart(source.text)
    if other is not None:
        whole = source.with_text(other)
        counted = count_parameters(config_tensors(whole), whole)
        alike = weight_bits(parameters, weights)
        twin = make_plan(other, counted, request, bits=alike, vision=vision)
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
    for line in lines(model, made, kv_dtype=kv_dtype):
        print(line)
    for problem in problems:
        print(f"problem     {problem}")
    if offers_fp8:
        print(
            "note        it brings the scales of an FP8 cache: --kv-dtype fp8 plans with one, and "
            "--kv-cache fp8 of the commands that open it keeps one"
        )
    if request.context > source.text.max_position_embeddings:
        print(f"note        its context is {source.text.max_position_embeddings} tokens")
    if vision is None and source.text is not source.config:
        print("note        no pictures are counted; --images and --frames say how many there are")
    if len(kinds) == 2:
        print("\nat about the same cost\n" + "\n".join(table(kinds)))


def _kind(latent: int | None) -> str:
    return "LatentMoE" if latent else "standard MoE"
