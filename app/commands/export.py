"""`latentvlm export` and `latentvlm verify`: quantized checkpoints, and their proofs."""

import sys
from dataclasses import dataclass
from math import inf
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..options import expand_options
from ..output import show_values
from ..progress import show_progress

if TYPE_CHECKING:
    from ...vlm.export.proof import Limits, Proof

DEFAULT = "default"


@dataclass(frozen=True, kw_only=True)
class ProofOptions:
    """What a proof is made on, and when it fails."""

    data: Annotated[
        str | None,
        typer.Option(
            "--calibration",
            metavar="FILE",
            help="Conversations (.jsonl), a training shard (.tar), a folder of shards; documents "
            "are drawn if not given.",
        ),
    ] = None
    held_out: Annotated[
        int, typer.Option(min=1, help="Prompts on which both models are compared.")
    ] = 8
    answers: Annotated[int, typer.Option(min=0, help="Questions answered side by side.")] = 4
    max_kl: Annotated[float, typer.Option(help="Largest mean KL divergence, in nats.")] = 1.0
    min_agreement: Annotated[
        float, typer.Option(help="Smallest share of positions with the same likeliest token.")
    ] = 0.5
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False

    def limits(self) -> "Limits":
        from ...vlm.export.proof import Limits

        return Limits(max_kl=self.max_kl, min_agreement=self.min_agreement)


@expand_options
def export(
    model: Annotated[str, typer.Argument(help="Checkpoint folder, hub id, or default.")],
    out: Annotated[Path, typer.Argument(help="A new folder.")],
    proof: ProofOptions,
    recipe: Annotated[
        str,
        typer.Option(
            help="A published recipe, such as super-nvfp4; auto; the folder of an export, for its "
            "recipe again; all (with --proofs-only)."
        ),
    ],
    layout: Annotated[
        str | None,
        typer.Option(help="modelopt or compressed-tensors (that of the export, else modelopt)."),
    ] = None,
    bits: Annotated[
        float | None, typer.Option(help="Of auto: bits a parameter of the layers (4.75).")
    ] = None,
    changes: Annotated[
        list[str] | None,
        typer.Option(
            "--set", metavar="CLASS=FORMAT", help="Another format for a class; may be given again."
        ),
    ] = None,
    prompts: Annotated[int, typer.Option(min=1, help="Prompts to calibrate on.")] = 64,
    max_shard_gb: Annotated[float, typer.Option(help="Size at which a new file is begun.")] = 4.0,
    proofs_only: Annotated[
        bool, typer.Option("--proofs-only", help="Keep the proofs and not the weights.")
    ] = False,
) -> None:
    """Write a quantized checkpoint that is proven: calibrate, quantize, reopen, compare.

    Example: latentvlm export my-model my-model-nvfp4 --recipe super-nvfp4
    """
    from ...errors import ConfigError
    from ...vlm.export.all_recipes import prove_all
    from ...vlm.export.budget import DEFAULT_BITS, Budget
    from ...vlm.export.export import export as write
    from ...vlm.export.layouts import LAYOUTS, check_layout
    from ...vlm.export.recorded import recorded_recipe
    from ...vlm.quantize.recipes import AUTO

    folder = _folder(model)
    if not 0 < max_shard_gb < inf:
        raise ConfigError(f"--max-shard-gb is {max_shard_gb:g}; it must be a number above 0.")
    if bits is not None and recipe not in (AUTO, "all"):
        raise ConfigError("--bits is the budget of --recipe auto; give both.")
    options = {
        "budget": Budget(bits=DEFAULT_BITS if bits is None else bits),
        "data": proof.data,
        "num_prompts": prompts,
        "num_held_out": proof.held_out,
        "num_answers": proof.answers,
        "limits": proof.limits(),
    }
    if proofs_only != (recipe == "all"):
        raise ConfigError("--recipe all and --proofs-only belong together.")
    if proofs_only and (changes or layout):
        raise ConfigError("--recipe all has every recipe in every layout: no --set, no --layout.")
    if proofs_only:
        made = prove_all(folder, out, name=model, notify=_tell, **options)
        if proof.json:
            show_values({"folder": str(out), "proofs": [each.as_values() for each in made]})
        else:
            print(f"The proofs are in {out}.")
        return
    recorded = recorded_recipe(recipe)
    chosen = layout or (recorded[1] if recorded else LAYOUTS[0])
    check_layout(chosen, ())
    made = write(
        folder,
        out,
        recipe=recipe if recorded is None else recorded[0],
        layout=chosen,  # type: ignore[arg-type]  # checked above
        changes=changes or (),
        max_shard_bytes=int(max_shard_gb * 1e9),
        notify=show_progress,
        **options,
    )
    _show(made.proof, as_json=proof.json)


@expand_options
def verify(
    out: Annotated[Path, typer.Argument(help="A quantized checkpoint folder.")],
    against: Annotated[str, typer.Option(help="The checkpoint that it was made from.")],
    proof: ProofOptions,
    recipe: Annotated[
        str | None, typer.Option(help="What was meant (what the export recorded, or declares).")
    ] = None,
) -> None:
    """Prove a quantized checkpoint against its original; exit code 3 if that fails.

    Example: latentvlm verify my-model-nvfp4 --against my-model
    """
    from ...vlm.export.verify import verify as prove
    from ...vlm.quantize.recipes import recipe_named

    found = prove(
        out,
        _folder(against),
        recipe=None if recipe is None else recipe_named(recipe),
        data=proof.data,
        num_prompts=proof.held_out,
        num_answers=proof.answers,
        limits=proof.limits(),
        notify=show_progress,
    )
    _show(found, as_json=proof.json)
    if not found.holds:
        sys.exit(3)


def _folder(model: str) -> Path:
    from ...vlm.api import PRETRAINED
    from ...vlm.checkpoint.hub import find_source

    if model == DEFAULT and not Path(model).exists():
        return PRETRAINED
    return find_source(model).folder


def _tell(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def _show(proof: "Proof", *, as_json: bool) -> None:
    if as_json:
        show_values(proof.as_values())
    else:
        print(proof.as_markdown(), end="")
