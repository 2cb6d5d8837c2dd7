"""What files can prove: that all is there, in the formats that were meant, scales and all.

Weights are compared one at a time with the original's, so an expert is the most that is held.
"""

import math
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from ..checkpoint.kv_scales import is_kv_scale
from ..checkpoint.names import listed
from ..checkpoint.stored_weights import StoredWeight
from ..quantize.classes import QUANTIZABLE, class_of
from ..quantize.declared import ALGORITHMS, DeclaredFormats
from ..quantize.packed import PackedWeight
from ..quantize.recipes import Recipe
from .calibrate import Notify
from .contract import breaches
from .layouts import is_finite, slice_rows
from .plain_files import StreamReader
from .plan import joined_units
from .proof import Proof
from .source import WeightSource

# What rounding can do at most to a weight as a whole, of its size, however its numbers lie: half
# a step of each format at its coarsest place. Anything wrong with scales or codes is far beyond.
_LARGEST_ERROR = {"FP8": 0.07, "NVFP4": 0.26, "INT8": 0.1, "INT4": 0.3}
_SMALL = 1e-30


def meant_format(
    name: str, recipe: Recipe | None, pattern: str, declared: DeclaredFormats | None, module: str
) -> str | None:
    """The stored format that a weight was meant to have; None if it was to be kept."""
    if recipe is not None:
        form = recipe.format_of(name, pattern)
        return None if form is None else form.stored
    if declared is None or class_of(name).name not in QUANTIZABLE:
        return None
    algorithm = declared.algorithm_of(module)
    return None if algorithm is None else ALGORITHMS[algorithm]


def check_files(
    proof: Proof, out: WeightSource, source: WeightSource, recipe: Recipe | None, notify: Notify
) -> dict[int, float]:
    """Add the checks; returns the largest relative error of each layer's weights."""
    missing = [name for name in source.names() if not out.holds(name)]
    extra = [name for name in out.names() if not source.holds(name)]
    misshapen = [
        name
        for name in source.names()
        if out.holds(name) and out.shapes[name] != source.shapes[name]
    ]
    proof.add(
        "the whole model is there",
        [
            f"{what}: {listed(names)}"
            for what, names in (("lost", missing), ("new", extra), ("of another shape", misshapen))
            if names
        ],
        f"{len(source.shapes)} tensors, with{'' if source.has_mtp else 'out'} a draft head",
    )
    names = [name for name in source.names() if name not in {*missing, *misshapen}]
    meant = _check_formats(proof, out, names, recipe)
    _check_declared(proof, out, names)
    errors = _check_weights(proof, out, source, names, meant, notify)
    _check_scales(proof, out)
    _check_joined(proof, out, names)
    if out.declared is not None and out.declared.producer == "modelopt":
        found = breaches(out.folder, StreamReader(out.folder))  # by the names of the file alone
        proof.add("loaders of ModelOpt checkpoints find what they need", found, "docs/export.md")
    return errors


def _disk_module(out: WeightSource, name: str) -> str:
    return out.module(next(iter(out.disk_names(name).values())))


def _check_formats(
    proof: Proof, out: WeightSource, names: list[str], recipe: Recipe | None
) -> dict[str, str | None]:
    """The formats meant against those found."""
    pattern = out.text.hybrid_override_pattern
    skipped, accidental, other = [], [], []
    meant = {}
    for name in names:
        is_weight = name.endswith(".weight") or out.is_stack(name)
        module = _disk_module(out, name)
        wanted = meant_format(name, recipe, pattern, out.declared, module) if is_weight else None
        meant[name] = wanted
        for found in out.stored_as(name):
            is_few = found in _LARGEST_ERROR
            if wanted is not None and not is_few:
                skipped.append(f"{name} was meant to be {wanted} and is {found}")
            elif wanted is None and (is_few or found in ("U8", "I8", "F8_E4M3")):
                accidental.append(f"{name} was to be kept and is {found}")
            elif wanted is not None and found != wanted:
                other.append(f"{name} was meant to be {wanted} and is {found}")
    some = sum(1 for wanted in meant.values() if wanted)
    proof.add("nothing was left out by accident", skipped, f"{some} weights and stacks quantized")
    proof.add("nothing was quantized by accident", accidental, f"{len(meant) - some} kept")
    proof.add("every weight has the format it was meant to have", other)
    if not some:
        proof.add("something is quantized", [f"{out.folder} has no quantized weight"])
    return meant


def _check_declared(proof: Proof, out: WeightSource, names: list[str]) -> None:
    """The JSON against the tensors, module by module, experts included."""
    if out.declared is None:
        faults = ["config.json says nothing of a quantization"] if out.stored else []
        proof.add("the JSON says what the tensors are", faults)
        return
    faults = []
    for name in names:
        is_weight = name.endswith(".weight") or out.is_stack(name)
        if not is_weight or len(out.shapes[name]) < 2 or class_of(name).name == "embeddings":
            continue
        for disk in out.disk_names(name).values():
            module = out.module(disk)
            stored = out.stored.get(disk)
            algorithm = out.declared.algorithm_of(module)
            said = None if algorithm is None else ALGORITHMS[algorithm]
            found = None if stored is None else stored.format
            if said == found or (found is None and _never_quantized(out, name)):
                continue
            faults.append(f"{module} is {found or 'kept'} but declared {said or 'kept'}")
    proof.add("the JSON says what the tensors are", faults, Path(out.declared.source).name)


def _never_quantized(out: WeightSource, name: str) -> bool:
    """Whether readers have no quantized form of it at all, whatever a pattern says."""
    return len(out.shapes[name]) != 2 and not out.is_stack(name)


def _check_weights(
    proof: Proof,
    out: WeightSource,
    source: WeightSource,
    names: list[str],
    meant: Mapping[str, str | None],
    notify: Notify,
) -> dict[int, float]:
    changed, far, unreadable, endless = [], [], [], []
    errors: dict[int, float] = {}
    for done, name in enumerate(names):
        experts = range(source.shapes[name][0]) if source.is_stack(name) else (None,)
        for expert in experts:
            label = name if expert is None else f"{name}[{expert}]"
            theirs = source.read(name, expert)
            try:
                packed = out.read_packed(name, expert)
                if packed is None:
                    if not is_finite(theirs):
                        endless.append(f"{label} holds NaN or infinity in {source.folder}")
                    if not _same(out.read(name, expert), theirs):
                        changed.append(f"{label} was to be kept and differs")
                    continue
                found = _error_of(packed, theirs)
            except Exception as error:  # noqa: BLE001 (whatever is wrong with it is a fault)
                unreadable.append(f"{label}: {error}")
                continue
            layer = class_of(name).layer
            if layer is not None:
                errors[layer] = max(found, errors.get(layer, 0.0))
            if not found <= _LARGEST_ERROR[packed.format]:
                far.append(f"{label} in {packed.format} is {found:.3g} of its size away")
        notify("comparing weights", done + 1, len(names))
    proof.add("every weight can be read", unreadable)
    proof.add("what was kept is the same, bit for bit", changed)
    proof.add("what was kept holds numbers alone", endless)
    worst = max(errors.values(), default=0.0)
    proof.add("quantized weights are close", far, f"at most {worst:.4f} of their size away")
    return errors


def _error_of(ours: PackedWeight, theirs: Tensor) -> float:
    """The size of the difference, of the size of `theirs`; NaN counts as infinite.

    Some rows at a time, for a head in float32 is gigabytes.
    """
    difference = size = 0.0
    step = slice_rows(theirs.shape[-1])
    for first in range(0, theirs.shape[0], step):
        rows = slice(first, first + step)
        right = theirs[rows].float()
        size += float(right.square().sum())
        difference += float((ours.matrix(rows=rows) - right).square().sum())
    found = math.sqrt(difference) / max(math.sqrt(size), _SMALL)
    return found if math.isfinite(found) else math.inf


def _same(ours: Tensor, theirs: Tensor) -> bool:
    as_bytes = [t.contiguous().view(-1).view(torch.uint8) for t in (ours, theirs)]
    return ours.dtype == theirs.dtype and torch.equal(*as_bytes)


def _check_scales(proof: Proof, out: WeightSource) -> None:
    """Finite, positive, and there where activations or caches are rounded by them."""
    faults, count = [], 0
    for stored in out.stored.values():
        for name in (*stored.weight_names[1:], *stored.others):
            if name.endswith("weight_shape"):
                continue
            values = out.reader.tensor(name).float()
            count += 1
            if not bool(torch.isfinite(values).all()):
                faults.append(f"{name} is not finite")
            elif not bool((values > 0).all()):
                faults.append(f"{name} is zero or negative")
    declared = out.declared
    scales = [name for name in out.reader.files if is_kv_scale(name)]
    for name in scales:
        value = float(out.reader.tensor(name).reshape(-1)[0])
        count += 1
        if not 0 < value < math.inf:
            faults.append(f"{name} is {value}")
    wanted = 2 * out.text.hybrid_override_pattern.count("*")
    if declared is not None and declared.kv_cache == "FP8" and len(scales) < wanted:
        faults.append(f"an FP8 cache is declared, but {len(scales)} of {wanted} scales are there")
    proof.add("scales are finite and positive", faults, f"{count} tensors of scales")


def _check_joined(proof: Proof, out: WeightSource, names: list[str]) -> None:
    """q, k and v share their scales, and so do gate and up; experts of a layer share a format."""
    faults = []
    units = joined_units(out)
    for members in units.values():
        experts = range(out.shapes[members[0]][0]) if out.is_stack(members[0]) else (None,)
        for expert in experts:
            found = [_shared(out, name, expert) for name in members if name in names]
            if len({*found}) > 1:
                where = "" if expert is None else f" of expert {expert}"
                faults.append(f"{listed(members)}{where} have different scales or formats")
    for name in names:
        if out.is_stack(name) and len(out.stored_as(name)) > 1:
            faults.append(f"the experts of {name} are stored in {listed(out.stored_as(name))}")
    proof.add("weights that readers join share their scales", faults)


def _shared(out: WeightSource, name: str, expert: int | None) -> tuple:
    disk = out.disk_names(name)
    stored: StoredWeight | None = out.stored.get(disk.get(expert) or disk.get(None) or "")
    if stored is None:
        return ("kept",)
    singles = [stored.tensor_scale, *stored.others]
    if stored.tensor_scale is None and len(out.reader.shape(stored.scale)) <= 1:
        singles.append(stored.scale)
    values = [
        float(out.reader.tensor(each).reshape(-1)[0])
        for each in singles
        if each is not None and math.prod(out.reader.shape(each)) == 1
    ]
    return (stored.format, *values)
