"""A model exported by every recipe that fits it; of each only the proof is kept."""

import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from ...errors import ConfigError, InputError
from ..quantize.recipes import AUTO, RECIPES
from .budget import Budget
from .export import export, write_proof
from .layouts import LAYOUTS, Layout
from .proof import Proof

_INTEGERS = ("experts-int8", "cpu-int4")  # one layout alone holds them
INDEX = "README.md"


def layouts_of(recipe: str) -> tuple[Layout, ...]:
    """The layouts that a recipe can be written in."""
    return ("compressed-tensors",) if recipe in _INTEGERS else LAYOUTS


def prove_all(
    model: str | Path,
    out: str | Path,
    *,
    name: str,
    budget: Budget | None = None,
    notify: Callable[[str], None] = print,
    **options: Any,
) -> list[Proof]:
    """Export by every recipe into a temporary folder, and write the proofs and a table of them.

    Args:
        out: where proofs go, `RECIPE.LAYOUT.json` and `.md`; what else is there stays.
        name: what the model is called in them.
        options: as for `export`.

    Raises:
        ExportError: a proof does not hold.
        InputError: `out` cannot be a folder; as `export`.
    """
    out = Path(out)
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"{out} cannot be a folder of proofs ({error.strerror}).") from error
    proofs: list[Proof] = []
    with tempfile.TemporaryDirectory() as scratch:
        for recipe in [*RECIPES, AUTO]:
            for layout in layouts_of(recipe):
                label = f"{recipe}.{layout}"
                try:
                    made = export(
                        model,
                        Path(scratch) / label,
                        recipe=recipe,
                        layout=layout,
                        budget=budget,
                        **options,
                    )
                except ConfigError as error:
                    notify(f"{label}: left out: {error}")
                    continue
                # nothing that differs from machine to machine
                costs = {k: v for k, v in made.proof.costs.items() if k.startswith("bytes")}
                checks = [
                    replace(check, about="") if "/" in check.about else check
                    for check in made.proof.checks
                ]
                proof = replace(made.proof, out=label, against=name, costs=costs, checks=checks)
                write_proof(proof, out, stem=label)
                proofs.append(proof)
                notify(f"{label}: {proof.bits:.2f} bits, KL {proof.logits['kl']:.4f}")
    (out / INDEX).write_text(_table(name, proofs), encoding="utf-8")
    return proofs


def _table(name: str, proofs: list[Proof]) -> str:
    lines = [
        f"# Proofs of the exports of {name}",
        "",
        "Each row is a file here; the weights are not kept. Every check of every proof holds.",
        "",
        "| recipe | layout | bits | size | KL, nats | top-1 agrees | answers the same |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    for proof in proofs:
        same = sum(each["before"] == each["after"] for each in proof.answers)
        recipe, _, layout = proof.out.partition(".")
        lines.append(
            f"| [{recipe}]({proof.out}.md) | {layout} | {proof.bits:.2f} "
            f"| {proof.costs['bytes_after'] / proof.costs['bytes_before']:.2f} "
            f"| {proof.logits['kl']:.4f} | {100 * proof.logits['agreement']:.1f}% "
            f"| {same} of {len(proof.answers)} |"
        )
    return "\n".join(lines) + "\n"
