"""One benchmark under several settings: accuracy against tokens and time to the first token."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ..errors import ConfigError
from .evaluate import write_json
from .report.sweep_picture import sweep_figure

SETTINGS = (
    *("model", "dtype", "quantized", "kv_cache", "ssm_cache"),
    *("evs_rate", "token_budget", "max_frames"),
)
_NUMBERS = {"evs_rate": float, "token_budget": int, "max_frames": int}
SWEEP_FILE, PICTURE_FILE = "sweep.json", "sweep.png"


def read_settings(given: Sequence[str]) -> list[dict[str, Any]]:
    """`["evs-rate=0,0.5", "dtype=float32"]` as every combination of values.

    Raises:
        ConfigError: one is no `NAME=VALUE,VALUE`, or there is no such setting.
    """
    points: list[dict[str, Any]] = [{}]
    for each in given:
        name, mark, values = each.partition("=")
        name = name.strip().replace("-", "_")
        texts = [value.strip() for value in values.split(",") if value.strip()]
        if not mark or not texts:
            raise ConfigError(f"{each!r} is no setting; write for example evs-rate=0,0.5,0.75.")
        if name not in SETTINGS:
            names = ", ".join(each.replace("_", "-") for each in SETTINGS)
            raise ConfigError(f"There is no setting {name!r}; there are {names}.")
        try:
            read = [_NUMBERS.get(name, str)(text) for text in texts]
        except ValueError as error:
            raise ConfigError(f"{each!r} has a value that is no number.") from error
        points = [{**point, name: value} for point in points for value in read]
    if points == [{}]:
        raise ConfigError("Say what varies: --vary evs-rate=0,0.5,0.75, for example.")
    return points


def point_name(point: Mapping[str, Any]) -> str:
    """What a point is called, as a name of a folder too."""
    parts = (f"{name}={Path(str(value)).name or value}" for name, value in point.items())
    return ",".join(parts).replace("_", "-")


def summary(points: Sequence[Mapping[str, Any]], results: Sequence[Mapping[str, Any]]) -> dict:
    """The points of a sweep as a value for JSON."""
    kept = ("score", "low", "high", "n", "counts", "cost", "manifest", "model")
    return {
        "benchmark": results[0]["benchmark"],
        "metric": results[0]["metric"],
        "profile": results[0]["profile"],
        "points": [
            {"name": point_name(point), "settings": dict(point)}
            | {key: result[key] for key in kept}
            for point, result in zip(points, results, strict=True)
        ],
    }


def write_sweep(found: Mapping[str, Any], folder: str | Path) -> Path:
    """Writes `sweep.json` and `sweep.png`.

    Returns:
        The picture's path.

    Raises:
        DataError: the disk is full.
    """
    folder = Path(folder)
    write_json(folder / SWEEP_FILE, found)
    path = folder / PICTURE_FILE
    sweep_figure(found).savefig(path, dpi=150)
    return path
