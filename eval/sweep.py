"""One benchmark under several settings: accuracy against tokens and time to the first token."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ..errors import ConfigError
from .evaluate import write_json

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
    _draw(found).savefig(path, dpi=150)
    return path


def _draw(found: Mapping[str, Any]) -> Any:
    """Score with its interval against visual tokens, and against time to the first token."""
    # A figure of its own: pyplot would keep it, and choose a window.
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10, 4.4), layout="constrained")
    axes = figure.subplots(1, 2, sharey=True)
    sides = (
        ("visual_tokens", "visual tokens of a question"),
        ("time_to_first_token_s", "seconds to the first token"),
    )
    for axis, (key, label) in zip(axes, sides, strict=True):
        known = [each for each in found["points"] if each["cost"].get(key) is not None]
        for idx, each in enumerate(known):
            score = 100 * each["score"]
            below, above = score - 100 * each["low"], 100 * each["high"] - score
            x = each["cost"][key]
            axis.errorbar(
                x,
                score,
                yerr=[[max(below, 0)], [max(above, 0)]],
                fmt="o",
                capsize=3,
                color="#33569b",
            )
            up = 10 if idx % 2 == 0 else -16
            axis.annotate(
                each["name"], (x, score), xytext=(7, up), textcoords="offset points", fontsize=8
            )
        axis.set_xlabel(label)
        axis.set_xlim(left=0)
        axis.margins(x=0.2)
        axis.grid(alpha=0.25)
        axis.spines[["top", "right"]].set_visible(False)
    axes[0].set_ylabel(f"{found['metric']} ({found['profile']}), %")
    axes[0].set_ylim(0, 102)
    figure.suptitle(f"{found['benchmark']}, {found['points'][0]['n']} questions")
    return figure
