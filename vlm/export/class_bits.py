"""Bits a parameter, overall and by class of weights, and the format each class was to have."""

import math

from ..quantize.classes import class_of
from ..quantize.recipes import Recipe
from ..quantize.weight_formats import WeightFormat
from .proof import Proof
from .source import WeightSource


def count_classes(
    proof: Proof, out: WeightSource, source: WeightSource, recipe: Recipe | None
) -> None:
    """Bits a parameter overall and by class, before and after."""
    pattern = source.text.hybrid_override_pattern
    totals: dict[str, dict] = {}
    before = 0
    for name in source.names():
        if not out.holds(name):
            continue
        entry = totals.setdefault(
            class_of(name).name, {"parameters": 0, "bytes": 0, "meant": set(), "found": set()}
        )
        entry["parameters"] += math.prod(source.shapes[name])
        before += sum(source.reader.num_bytes(disk) for disk in source.disk_names(name).values())
        for disk in out.disk_names(name).values():
            stored = out.stored.get(disk)
            parts = [disk] if stored is None else stored.weight_names
            entry["bytes"] += sum(out.reader.num_bytes(part) for part in parts)
        entry["found"] |= out.stored_as(name)
        form: WeightFormat | None = recipe.format_of(name, pattern) if recipe else None
        is_weight = name.endswith(".weight") or source.is_stack(name)
        entry["meant"].add(str(form) if form and is_weight else "keep")
    for entry in totals.values():
        entry["bits"] = 8 * entry["bytes"] / max(1, entry["parameters"])
        entry["meant"], entry["found"] = (
            ", ".join(sorted(entry[key])) for key in ("meant", "found")
        )
    parameters = sum(entry["parameters"] for entry in totals.values())
    after = sum(entry["bytes"] for entry in totals.values())
    proof.classes = dict(sorted(totals.items()))
    proof.bits = 8 * after / max(1, parameters)
    proof.bits_before = 8 * before / max(1, parameters)
    proof.costs |= {"bytes_before": before, "bytes_after": after}
