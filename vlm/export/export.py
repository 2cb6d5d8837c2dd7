"""`export`: calibrate, write, reopen, prove; only then is there an output folder."""

import time
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from ...data.processor_files import write_json
from ...errors import ExportError, InputError
from ..quantize.recipes import AUTO, Recipe, recipe_named
from ..quantize.weight_formats import format_changes
from .blocks import BlockRunner
from .budget import Budget
from .calibrate import Calibration, Notify, calibrate, starved_notes
from .layouts import Layout, check_layout
from .memory import held_bytes, peak_bytes, require_memory
from .plan import ExportPlan, make_plan
from .prompts import find_prompts
from .proof import Limits, Proof
from .search import search_recipe
from .source import WeightSource
from .verify import NUM_HELD_OUT, verify
from .writer import MAX_SHARD_BYTES, require_new, require_room, staged, write_export

NUM_CALIBRATION = 64
PROOF_NAMES = ("proof.json", "proof.md")


@dataclass(frozen=True, kw_only=True)
class Exported:
    """What an export was."""

    plan: ExportPlan
    calibration: Calibration
    proof: Proof


def export(
    model: str | Path,
    out: str | Path,
    *,
    recipe: str | Recipe,
    layout: Layout = "modelopt",
    budget: Budget | None = None,
    changes: Iterable[str] = (),
    data: str | Path | Iterable[Any] | None = None,
    num_prompts: int = NUM_CALIBRATION,
    num_held_out: int = NUM_HELD_OUT,
    num_answers: int = 4,
    limits: Limits | None = None,
    max_shard_bytes: int = MAX_SHARD_BYTES,
    notify: Notify = lambda what, done, total: None,
) -> Exported:
    """Write a quantized checkpoint of a full-precision one, with its proof.

    Args:
        model: a checkpoint folder of any family.
        out: a folder that does not exist; it appears once the proof holds.
        recipe: a name of `RECIPES`, "auto", or a recipe of one's own.
        budget: of "auto".
        changes: `CLASS=FORMAT` in place of what the recipe has; "auto" decides for the others.
        data: conversations or training records, or a file of them, see `prompts.find_prompts`; the
            first `num_prompts` calibrate, those after them are held out for the proof.

    Raises:
        InputError: `out` exists, the disk is or becomes full, the memory is too little, a number
            of the model or of what calibration makes of it is NaN or infinite.
        ConfigError: the recipe does not fit the model, or the budget cannot be met.
        CheckpointError: the model's folder is damaged.
        ExportError: the proof does not hold; it names what was found, and nothing is left but
            the proof itself beside the output's place.
    """
    started, held = time.monotonic(), held_bytes()
    out = Path(out).expanduser().absolute()
    require_new(out)
    if min(num_prompts, num_held_out) < 1:
        raise InputError(
            f"{num_prompts} prompts to calibrate and {num_held_out} held out are too few: an "
            "export needs one of each."
        )
    source = WeightSource(model)
    source.require_full_precision()
    runner = BlockRunner(source)
    given = data
    if data is not None and not isinstance(data, str | Path):  # it may be endless, and run once
        given = list(islice(data, num_prompts + num_held_out))
    chosen = recipe if isinstance(recipe, Recipe) else None
    if chosen is None and recipe != AUTO:
        chosen = recipe_named(str(recipe))
    changes, budget = tuple(changes), budget or Budget()
    fixed = format_changes(changes)
    check_layout(layout, filter(None, fixed.values()))
    plan = search = None
    if chosen is not None:
        chosen = chosen.changed(changes)
        plan = make_plan(source, chosen, layout)
        require_room(out.parent, plan.num_bytes)
    prompts = find_prompts(source, given, num_prompts, split="train")
    require_memory(source, prompts.inputs, models=1)
    require_memory(source, prompts.inputs[:num_held_out], models=2)
    if plan is None:
        search = search_recipe(runner, prompts.inputs, budget, fixed=fixed, notify=notify)
        calibration = search.calibration
        plan = make_plan(source, search.recipe.changed(changes), layout)
        require_room(out.parent, plan.num_bytes)
    else:
        calibration = calibrate(runner, prompts.inputs, notify=notify)
    with staged(out) as folder:
        write_export(
            source, plan, calibration, folder, max_shard_bytes=max_shard_bytes, notify=notify
        )
        proof = verify(
            folder,
            source.folder,
            recipe=plan.recipe,
            data=given,
            num_calibrated=num_prompts,
            num_prompts=num_held_out,
            num_answers=num_answers,
            limits=limits,
            notify=notify,
        )
        proof.out = str(out)
        proof.search = {} if search is None else search.as_values(budget)
        proof.notes += starved_notes(calibration.expert_tokens)
        proof.notes.append(
            f"Calibrated on {calibration.num_prompts} prompts of {prompts.origin}, "
            f"{calibration.num_tokens} tokens."
        )
        peak = peak_bytes()
        proof.costs |= {
            "seconds": time.monotonic() - started,
            "peak_bytes": peak,
            "peak_bytes_more": max(0, peak - held),
        }
        if not proof.holds:
            beside = write_proof(proof, out.parent, stem=f"{out.name}.refuted-proof")
            raise ExportError(
                f"{out} was not written, for its proof does not hold: "
                f"{'; '.join(proof.faults[:3])} (all of it in {beside})."
            )
        write_proof(proof, folder)
    return Exported(plan=plan, calibration=calibration, proof=proof)


def write_proof(proof: Proof, folder: Path, stem: str = "proof") -> Path:
    """`proof.json` and `proof.md`; returns the latter."""
    write_json(folder / f"{stem}.json", proof.as_values())
    readable = folder / f"{stem}.md"
    readable.write_text(proof.as_markdown(), encoding="utf-8")
    return readable
