"""The quantized checkpoint written: one weight in memory at a time, beside its place, whole or not.

Everything goes into a hidden folder next to the output; its rename, after the proof, is the only
moment at which the output folder appears. A kill leaves the hidden folder, which the next export
to the same place clears away.
"""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor

from ...data.processor_files import read_json, write_json
from ...errors import InputError
from ..checkpoint.save import COMPANION_FILES
from ..quantize.declared_files import QUANT_CONFIG_FILE
from ..quantize.fp8 import LARGEST
from .calibrate import Calibration, Notify, largest_input
from .declare import (
    compressed_tensors_config,
    modelopt_excluded,
    modelopt_flat,
    modelopt_nested,
)
from .layouts import encode_in_slices, is_finite, is_of_stack, largest_number
from .plain_files import DTYPES, as_bytes, shards_of, write_planned_shards
from .plan import Entry, ExportPlan, joined_units
from .source import WeightSource

RECORD_FILE = "latentvlm_export.json"
MAX_SHARD_BYTES = 4 << 30
_ROOM = 64 << 20  # beyond the weights, for the text files and the proof


def require_room(folder: Path, num_bytes: int) -> None:
    """Raises:
    InputError: the disk does not have that much free.
    """
    free = shutil.disk_usage(folder).free
    if free < num_bytes + _ROOM:
        raise InputError(
            f"The export takes {num_bytes / 1e9:.2f} GB, but {folder} has {free / 1e9:.2f} GB "
            "free; make room or choose another folder."
        )


def require_new(out: Path) -> None:
    """Raises:
    InputError: something is there already, or there is no folder to put it into.
    """
    if out.exists() or out.is_symlink():
        raise InputError(f"{out} exists already; an export goes into a new folder.")
    if not out.parent.is_dir():
        raise InputError(f"There is no folder {out.parent} to write {out.name} into.")


@contextmanager
def staged(out: Path) -> Iterator[Path]:
    """A hidden folder that becomes `out` at the end, and vanishes if anything goes wrong.

    Raises:
        InputError: the disk is full, or the folder cannot be written.
    """
    for old in out.parent.glob(f".{out.name}.exporting-*"):
        if not _is_running(old.name.rpartition("-")[2]):
            shutil.rmtree(old, ignore_errors=True)
    folder = out.parent / f".{out.name}.exporting-{os.getpid()}"
    try:
        folder.mkdir()
        yield folder
        require_new(out)
        folder.rename(out)
    except OSError as error:
        raise InputError(
            f"{out} cannot be written ({error.strerror or error}); nothing was left there."
        ) from error
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def write_export(
    source: WeightSource,
    plan: ExportPlan,
    calibration: Calibration,
    folder: Path,
    *,
    max_shard_bytes: int = MAX_SHARD_BYTES,
    notify: Notify = lambda what, done, total: None,
) -> None:
    """Weights, `config.json`, `hf_quant_config.json`, the record of the recipe, text files.

    Raises:
        InputError: a weight holds NaN or infinity.
        OSError: the disk is full.
    """
    shards = shards_of(plan.specs, max_shard_bytes)
    tensors = _tensors(source, plan, calibration, notify)
    write_planned_shards(folder, shards, tensors)
    for name in COMPANION_FILES:
        if (source.folder / name).is_file():
            shutil.copyfile(source.folder / name, folder / name)
    old = read_json(source.folder / "config.json")
    values = source.family.write_config(source.config)
    kind = DTYPES[source.dtype(f"{source.prefix}embeddings.weight")]
    values["dtype"] = str(kind).removeprefix("torch.")
    values |= {key: old[key] for key in ("transformers_version",) if key in old}
    if plan.layout == "modelopt":
        excluded = modelopt_excluded(plan, source.family, source.config)
        values["quantization_config"] = modelopt_flat(plan, excluded)
        write_json(folder / QUANT_CONFIG_FILE, modelopt_nested(plan, excluded))
    else:
        values["quantization_config"] = compressed_tensors_config(plan)
    write_json(
        folder / RECORD_FILE,
        {
            "recipe": plan.recipe.as_values(),
            "layout": plan.layout,
            "calibration": {
                "prompts": calibration.num_prompts,
                "tokens": calibration.num_tokens,
                "expert_tokens": {str(k): v for k, v in calibration.expert_tokens.items()},
            },
        },
    )
    write_json(folder / "config.json", values)


def _tensors(
    source: WeightSource, plan: ExportPlan, calibration: Calibration, notify: Notify
) -> Iterator[tuple[str, Iterator[bytes]]]:
    joined = {name: names for names in joined_units(source).values() for name in names}
    for done, entry in enumerate(plan.entries):
        if entry.form is None:
            yield entry.specs[0].name, _kept(source, entry, calibration)
        elif len(entry.shape) == 3:
            yield from _quantized_stack(source, plan, entry, calibration)
        else:
            parts = _quantized(source, plan, entry, joined, calibration)
            for spec, part in zip(entry.specs, parts, strict=True):
                yield spec.name, iter([as_bytes(part)])
        notify("writing", done + 1, len(plan.entries))


def _kept(source: WeightSource, entry: Entry, calibration: Calibration) -> Iterator[bytes]:
    spec = entry.specs[0]
    if entry.kv_scale is not None:
        yield as_bytes(_kv_scale(entry.kv_scale, calibration))
        return
    if entry.constant is not None:
        yield as_bytes(entry.constant)
        return
    disk = [source.disk_names(name).get(expert) for name, expert in entry.parts]
    found = [name for name in disk if name is not None]
    if len(found) == len(disk) and source.reader.whole(found) is not None:
        for chunk in source.reader.chunks(found):
            yield as_bytes(_finite(source, spec.name, chunk))
        return
    parts = [source.read(*part) for part in entry.parts]
    whole = parts[0] if len(parts) == 1 else torch.cat(parts, dim=-2)
    yield as_bytes(_finite(source, spec.name, whole).to(DTYPES[spec.dtype]))


def _finite(source: WeightSource, name: str, values: Tensor) -> Tensor:
    """Raises:
    InputError: NaN or infinity is among them: kept bit for bit, it would look whole.
    """
    if not is_finite(values):
        raise InputError(
            f"{source.folder} holds NaN or infinity in {name}: the file is damaged, or its "
            "training failed; nothing was exported."
        )
    return values


def _quantized(
    source: WeightSource,
    plan: ExportPlan,
    entry: Entry,
    joined: dict[str, list[str]],
    calibration: Calibration,
) -> list[Tensor]:
    assert entry.form is not None
    weights = [source.read(*part) for part in entry.parts]
    weight = weights[0] if len(weights) == 1 else torch.cat(weights)
    name, expert = entry.parts[0]
    largest = None
    if name in joined and len(entry.parts) == 1:
        others = (source.read(other, expert) for other in joined[name] if other != name)
        largest = max(largest_number(weight), *map(largest_number, others))
    seen = largest_input(calibration.largest_inputs, name, expert)
    return encode_in_slices(
        _finite(source, entry.module, weight),
        entry.form,
        plan.layout,
        largest=largest,
        largest_input=seen,
    )


def _quantized_stack(
    source: WeightSource, plan: ExportPlan, entry: Entry, calibration: Calibration
) -> Iterator[tuple[str, Iterator[bytes]]]:
    """Expert by expert: the codes are written at once, their scales wait until all codes are."""
    rest: list[list[Tensor]] = [[] for _ in entry.specs[1:]]

    def codes() -> Iterator[bytes]:
        for expert in range(entry.shape[0]):
            one = replace(entry, parts=tuple((name, expert) for name, _ in entry.parts))
            first, *others = _quantized(source, plan, one, {}, calibration)
            for parts, part in zip(rest, others, strict=True):
                parts.append(part)
            yield as_bytes(first)

    yield entry.specs[0].name, codes()
    for spec, parts in zip(entry.specs[1:], rest, strict=True):
        if spec.name.endswith("weight_shape"):
            yield spec.name, iter([as_bytes(torch.tensor(entry.shape))])
        else:
            yield spec.name, map(as_bytes, parts[:1] if is_of_stack(spec) else parts)


def _kv_scale(which: tuple[str, int], calibration: Calibration) -> Tensor:
    letter, layer = which
    seen = calibration.largest_keys if letter == "k" else calibration.largest_values
    amax = seen.get(layer, 0.0)
    return torch.tensor(amax / LARGEST if amax > 0 else 1.0, dtype=torch.float32)


def _is_running(pid: str) -> bool:
    try:
        os.kill(int(pid), 0)
    except (ValueError, ProcessLookupError):
        return False
    except PermissionError:
        return True
    return True
