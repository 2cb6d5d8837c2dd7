"""`latentvlm inspect MODEL`: what a model is, without reading its weights unless asked to."""

from functools import partial
from typing import Annotated, Any

import typer

from ...errors import InputError
from ..progress import show_progress, waiting
from ..units import count, size


def inspect(
    model: Annotated[str, typer.Argument(help="Checkpoint folder, hub id or preset.")],
    revision: Annotated[
        str | None, typer.Option(help="Branch, tag or commit of a hub id (the newest).")
    ] = None,
    check_weights: Annotated[
        bool, typer.Option("--check-weights", help="Read all weights; refuse NaN and infinity.")
    ] = False,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Say what a model is: blocks, sizes, bits, cache, what its chat template can do.

    Example: latentvlm inspect nemotron-3-super-120b-a12b
    """
    from ...vlm.census.description import describe
    from ...vlm.census.source import find_source

    with waiting(f"reading the headers of {model}"):
        source = find_source(model, revision=revision)
        found = describe(source)
    if check_weights:
        found["checked_tensors"] = _check(model, revision, has_files=source.folder is not None)
    if json:
        from json import dumps

        print(dumps(found))
    else:
        for line in lines(found):
            print(line)


def _check(model: str, revision: str | None, *, has_files: bool) -> int:
    """How many tensors were looked at; a repository's weights are fetched."""
    from ...vlm.checkpoint import hub
    from ...vlm.checkpoint.finite import require_finite

    if not has_files:
        raise InputError(f"{model} has no weights to check; give a folder or a hub id.")
    folder = hub.find_source(model, revision=revision).folder
    return require_finite(folder, notify=partial(show_progress, "tensors"))


def lines(found: dict[str, Any]) -> list[str]:
    """The description as one screen."""
    blocks, parameters, cache = found["blocks"], found["parameters"], found["cache"]
    named = {name: value for name, value in blocks.items() if name not in ("pattern", "layers")}
    shown = [
        f"{found['model']}  ({found['kind']}, family {found['family']})",
        f"blocks      {blocks['layers']}: "
        + ", ".join(f"{value} {name}" for name, value in named.items())
        + f"; hidden size {found['hidden_size']}",
    ]
    experts = found["experts"]
    if experts:
        latent = f", latent size {experts['latent_size']}" if experts["latent_size"] else ""
        shown.append(
            f"experts     {experts['routed']}, {experts['per_token']} for each token{latent}"
        )
    vision = found["vision"]
    if vision:
        layers = f"{vision['layers']} layers, " if vision["layers"] else ""
        shown.append(
            f"vision      {vision['name']}, {layers}{vision['hidden_size']} wide, patches of "
            f"{vision['patch_size']} pixels"
        )
    draft = f" and {count(parameters['mtp'])} in the draft head" if parameters["mtp"] else ""
    shown += [
        f"parameters  {count(parameters['total'])} in all, {count(parameters['active'])} active "
        f"({count(parameters['active_with_embeddings'])} with embeddings){draft}",
        f"stored      {size(found['bytes'])} in {found['tensors']} tensors, "
        f"{found['bits_per_parameter']:.2f} bits a parameter",
    ]
    for name, each in parameters["by_class"].items():
        shown.append(
            f"  {name:<20}{count(each['parameters']):>9}  {each['bits']:>6.2f} bits"
            f"  {size(each['bytes']):>11}"
        )
    shown += [
        f"context     {found['context_length']} tokens",
        f"cache       {cache['kv_bytes_per_token']} bytes a token (BF16); a sequence: scan states "
        f"{size(cache['ssm_bytes_per_sequence'])} (float32), convolutions "
        f"{size(cache['conv_bytes_per_sequence'])}; a full one "
        f"{size(cache['bytes_per_full_sequence'])}",
        "tokens      " + ", ".join(f"{k} {v}" for k, v in found["tokens"].items() if v is not None),
    ]
    shown += [f"problem     {each}" for each in found["problems"]]
    if found["files"] is not None:
        chat = found["chat"]
        can = [name.replace("_", " ") for name, value in (chat or {}).items() if value]
        shown.append(f"chat        {', '.join(can) or 'plain turns' if chat else 'no template'}")
        files = found["files"]
        weights = [name for name in files if name.endswith(".safetensors")]
        others = [name for name in files if name not in weights]
        shown.append(f"files       {len(weights)} of weights; {', '.join(others)}")
    if "checked_tensors" in found:
        shown.append(f"checked     {found['checked_tensors']} tensors: no NaN, no infinity")
    return shown
