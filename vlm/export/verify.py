"""Reopen what was written, and prove that it is what was meant and does what the original does."""

import math
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import torch

from ...data.processor_files import read_json
from ...errors import LatentVLMError
from ..quantize.classes import class_of
from ..quantize.recipes import Recipe, recipe_from_values
from .answers import side_by_side
from .blocks import BlockRunner, Row, through
from .calibrate import Notify, starved_notes
from .checks import check_files
from .class_bits import count_classes
from .memory import require_memory
from .prompts import Prompts, find_prompts
from .proof import LayerError, Limits, Proof
from .source import WeightSource
from .writer import RECORD_FILE

_POSITIONS_AT_ONCE = 64
NUM_HELD_OUT = 8


def verify(
    out: str | Path,
    against: str | Path,
    *,
    recipe: Recipe | None = None,
    data: str | Path | Iterable[Any] | None = None,
    num_calibrated: int | None = None,
    num_prompts: int = NUM_HELD_OUT,
    num_answers: int = 4,
    limits: Limits | None = None,
    notify: Notify = lambda what, done, total: None,
) -> Proof:
    """Prove a quantized folder against the full-precision one it was made from.

    Args:
        recipe: what was meant; else what the export's own record says, else what its JSON declares.
        data: held-out conversations, see `prompts.find_prompts`; drawn documents if None.
        num_calibrated: how many of them come first and calibrated; what the record says if None.
        num_answers: questions that both models answer in full, if both fit into memory.

    Raises:
        LatentVLMError: the original cannot be opened; what is wrong with the export, the proof
            says.
        InputError: the memory is too little to compare them.
    """
    started = time.monotonic()
    limits = limits or Limits()
    source = WeightSource(against)
    proof = Proof(out=str(out), against=str(against))
    try:
        recipe = _record(Path(out), proof) if recipe is None else recipe
        proof.recipe = proof.recipe or (recipe.name if recipe else "as declared")
        opened = WeightSource(out)
    except LatentVLMError as error:
        proof.add("our reader opens it", [str(error)])
        return proof
    proof.add("our reader opens it", [])
    proof.layout = opened.declared.producer if opened.declared else "none"
    if opened.text != source.text or type(opened.config) is not type(source.config):
        proof.add("it is the same model", [f"{out} has another config.json than {against}"])
        return proof
    errors = check_files(proof, opened, source, recipe, notify)
    count_classes(proof, opened, source, recipe)
    if proof.holds:
        skipped = _num_calibrated(Path(out)) if num_calibrated is None else num_calibrated
        prompts = find_prompts(source, data, num_prompts, split="heldout", skip=skipped)
        if num_calibrated is None:  # an export has asked before it wrote, when nothing was held
            require_memory(source, prompts.inputs, models=2)
        proof.prompts = f"{len(prompts.prompts)} prompts of {prompts.origin}"
        compare_outputs(proof, opened, source, prompts, errors, limits, notify)
        side_by_side(proof, opened, source, prompts.prompts[:num_answers])
    else:
        proof.notes.append("Outputs were not compared, for the files are wrong already.")
    proof.costs["seconds"] = time.monotonic() - started
    return proof


def _record(out: Path, proof: Proof) -> Recipe | None:
    """The recipe that the export's own record names."""
    path = out / RECORD_FILE
    if not path.is_file():
        return None
    values = read_json(path)
    recipe = recipe_from_values(values.get("recipe"), str(path))
    proof.recipe = recipe.name
    counts = (values.get("calibration") or {}).get("expert_tokens") or {}
    proof.notes += starved_notes({int(layer): tokens for layer, tokens in counts.items()})
    return recipe


def _num_calibrated(out: Path) -> int:
    """How many prompts the record says came first and calibrated."""
    path = out / RECORD_FILE
    values = read_json(path) if path.is_file() else {}
    found = (values.get("calibration") or {}).get("prompts")
    return found if isinstance(found, int) and found >= 0 else 0


@torch.no_grad()
def compare_outputs(
    proof: Proof,
    out: WeightSource,
    source: WeightSource,
    prompts: Prompts,
    weight_errors: dict[int, float],
    limits: Limits,
    notify: Notify,
) -> None:
    """Layer by layer, then the next token."""
    theirs, ours = BlockRunner(source), BlockRunner(out)
    rows_before, rows_after = theirs.embed(prompts.inputs), ours.embed(prompts.inputs)
    far = []
    for idx in range(theirs.num_blocks):
        block, quantized = theirs.block(idx), ours.block(idx)
        before = through(block, rows_before)
        alone = through(quantized, rows_before)
        rows_after = through(quantized, rows_after)
        local = _error(alone, before, rows_before)
        drift = _error(rows_after, before)
        rows_before = before
        proof.layers.append(
            LayerError(
                layer=idx,
                letter=block.letter,
                formats=_formats_of(out, idx),
                weight=weight_errors.get(idx, 0.0),
                output=local,
                drift=drift,
            )
        )
        if not local <= limits.max_layer_error:
            far.append(f"layer {idx} ({block.letter}) is {local:.3g} of its output away")
        notify("comparing layers", idx + 1, theirs.num_blocks)
    proof.add("every layer's output is close", far, f"limit {limits.max_layer_error:g}")
    _compare_logits(proof, ours, theirs, rows_after, rows_before, limits)


def _error(
    ours: Sequence[Row], theirs: Sequence[Row], starts: Sequence[Row] | None = None
) -> float:
    """The size of the difference, of the size of `theirs` beyond where it started.

    Prompt by prompt, for all at once would be several times the hidden states in memory.
    """
    difference = size = 0.0
    for idx, (mine, right) in enumerate(zip(ours, theirs, strict=True)):
        moved = right.hidden if starts is None else right.hidden - starts[idx].hidden
        size += float(moved.square().sum())
        difference += float((mine.hidden - right.hidden).square().sum())
    found = math.sqrt(difference) / max(math.sqrt(size), 1e-30)
    return found if math.isfinite(found) else math.inf


def _compare_logits(
    proof: Proof,
    ours: BlockRunner,
    theirs: BlockRunner,
    rows_after: list[Row],
    rows_before: list[Row],
    limits: Limits,
) -> None:
    head, head_before = ours.head(), theirs.head()
    image = getattr(theirs.source.config, "image_token_id", None)
    total, largest, same, count = 0.0, 0.0, 0, 0
    for after, before in zip(rows_after, rows_before, strict=True):
        kept = before.ids != image if image is not None else slice(None)
        pairs = zip(
            after.hidden[kept].split(_POSITIONS_AT_ONCE),
            before.hidden[kept].split(_POSITIONS_AT_ONCE),
            strict=True,
        )
        for hidden, hidden_before in pairs:
            log_q = head(hidden).log_softmax(-1)
            log_p = head_before(hidden_before).log_softmax(-1)
            kl = (log_p.exp() * (log_p - log_q)).sum(-1)
            total += float(kl.sum())
            largest = max(largest, float(kl.max()))
            same += int((log_q.argmax(-1) == log_p.argmax(-1)).sum())
            count += len(kl)
    mean, agreement = total / max(1, count), same / max(1, count)
    proof.logits = {
        "kl": mean,
        "largest_kl": largest,
        "agreement": agreement,
        "positions": count,
    }
    faults = []
    if not math.isfinite(mean) or mean > limits.max_kl:
        faults.append(f"the mean KL is {mean:.4f}, above {limits.max_kl:g}")
    if agreement < limits.min_agreement:
        faults.append(
            f"the likeliest token agrees at {agreement:.1%}, below {limits.min_agreement:.0%}"
        )
    proof.add("the next token is close", faults, f"KL {mean:.4f}, agreement {agreement:.1%}")


def _formats_of(out: WeightSource, layer: int) -> str:
    kinds: set[str] = set()
    for name in out.names():
        found = class_of(name)
        if found.layer == layer and found.can_be_quantized:
            kinds |= out.stored_as(name)
    return ", ".join(sorted(kinds))
