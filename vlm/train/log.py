"""The log of a run: one JSON object a line, a curve drawn from it, a progress bar."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.figure import Figure


class RunLog:
    """Appends entries to `log.jsonl`; after a stop, entries past the checkpoint are dropped."""

    def __init__(self, folder: str | Path):
        self.path = Path(folder) / "log.jsonl"
        self.path.parent.mkdir(parents=True, exist_ok=True)

    def rewind(self, total_step: int) -> None:
        """Forget what was logged after `total_step`."""
        kept = [entry for entry in self.entries() if entry["total_step"] <= total_step]
        self.path.write_text("".join(json.dumps(entry) + "\n" for entry in kept))

    def write(self, entry: dict[str, Any]) -> None:
        """Append one entry; it has a `total_step`."""
        rounded = {
            key: float(f"{value:.5g}") if isinstance(value, float) else value
            for key, value in entry.items()
        }
        with self.path.open("a") as stream:
            stream.write(json.dumps(rounded) + "\n")

    def entries(self) -> list[dict[str, Any]]:
        """All entries; a last line cut short by a stop is left out."""
        if not self.path.exists():
            return []
        found = []
        for line in self.path.read_text().splitlines():
            try:
                found.append(json.loads(line))
            except ValueError:
                continue
        return found

    def draw(self) -> Path:
        """Draw `loss.png` beside the log: losses, held-out scores, and how asked questions went."""
        path = self.path.with_name("loss.png")
        training_curves(self.entries()).savefig(path, dpi=110)
        return path


def training_curves(entries: Sequence[Mapping[str, Any]]) -> Figure:
    """The curves of a log, one below the other; asked questions have their own."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    trained = [entry for entry in entries if entry.get("kind") == "train"]
    held_out = [entry for entry in entries if entry.get("kind") == "evaluation"]
    asked = [entry for entry in held_out if "asked" in entry]
    rows = 3 if asked else 2
    figure = Figure(figsize=(9, 3.5 * rows), layout="constrained")
    FigureCanvasAgg(figure)
    panels = figure.subplots(rows, 1, sharex=True)
    upper, middle = panels[:2]
    for name in ("loss", "kl", "next", "mtp", "char"):
        _plot(upper, trained, name, linewidth=0.8)
    upper.set_yscale("log")
    upper.set_ylabel("training loss")
    for name in sorted({name for entry in held_out for name in entry if _is_score(name, entry)}):
        _plot(middle, held_out, name, marker=".")
    middle.set_ylabel("held-out scores")
    if asked:
        _draw_asked(panels[2], asked)
    panels[-1].set_xlabel("step")
    for axes in panels:
        axes.grid(alpha=0.3)
        if axes.lines:
            axes.legend(fontsize=7)
    stages: dict[str, int] = {}
    for entry in trained:
        stages.setdefault(entry["stage"], entry["total_step"])
    for name, step in stages.items():
        upper.axvline(step, color="grey", linewidth=0.5)
        upper.annotate(name, (step, 1), xycoords=("data", "axes fraction"), fontsize=7)
    return figure


def _is_score(name: str, entry: Mapping[str, Any]) -> bool:
    if name in ("time", "loss") or name.startswith("asked"):
        return False
    return isinstance(entry[name], float) and 0 <= entry[name] <= 1


def _plot(axes: Any, entries: Sequence[Mapping[str, Any]], name: str, **style: Any) -> None:
    points = [(each["total_step"], each[name]) for each in entries if name in each]
    if points:
        axes.plot(*zip(*points, strict=True), **{"label": name, **style})


def _draw_asked(axes: Any, asked: Sequence[Mapping[str, Any]]) -> None:
    """The mean score with its interval, and how many answers failed or were cut off."""
    _plot(axes, asked, "asked", label="score", marker="o", color="#33569b")
    banded = [each for each in asked if "asked_low" in each]
    if banded:
        steps = [each["total_step"] for each in banded]
        low, high = ([each[key] for each in banded] for key in ("asked_low", "asked_high"))
        axes.fill_between(steps, low, high, color="#33569b", alpha=0.15, linewidth=0)
    for name, colour in (("asked_cut_off", "#c79a24"), ("asked_failed", "#c4473a")):
        label = name.removeprefix("asked_").replace("_", " ")
        _plot(axes, asked, name, label=label, linewidth=0.8, linestyle="--", color=colour)
    axes.set_ylim(-0.02, 1.02)
    axes.set_ylabel("questions asked")
