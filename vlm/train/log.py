"""The log of a run: one JSON object a line, a curve drawn from it, a progress bar."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any


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
        """Draw `loss.png` beside the log: losses above, held-out scores below."""
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure

        entries = self.entries()
        figure = Figure(figsize=(9, 7), layout="constrained")
        FigureCanvasAgg(figure)
        upper, lower = figure.subplots(2, 1, sharex=True)
        trained = [entry for entry in entries if entry.get("kind") == "train"]
        for name in ("loss", "next", "mtp", "char"):
            points = [(e["total_step"], e[name]) for e in trained if name in e]
            if points:
                upper.plot(*zip(*points, strict=True), label=name, linewidth=0.8)
        upper.set_yscale("log")
        upper.set_ylabel("training loss")
        held_out = [entry for entry in entries if entry.get("kind") == "evaluation"]
        scores = sorted(
            {
                name
                for entry in held_out
                for name, value in entry.items()
                if isinstance(value, float) and 0 <= value <= 1 and name not in ("time", "loss")
            }
        )
        for name in scores:
            points = [(e["total_step"], e[name]) for e in held_out if name in e]
            lower.plot(*zip(*points, strict=True), label=name, marker=".")
        lower.set_xlabel("step")
        lower.set_ylabel("held-out scores")
        for axes in (upper, lower):
            axes.grid(alpha=0.3)
            if axes.lines:
                axes.legend(fontsize=7)
        stages: dict[str, int] = {}
        for entry in trained:
            stages.setdefault(entry["stage"], entry["total_step"])
        for name, step in stages.items():
            upper.axvline(step, color="grey", linewidth=0.5)
            upper.annotate(name, (step, 1), xycoords=("data", "axes fraction"), fontsize=7)
        path = self.path.with_name("loss.png")
        figure.savefig(path, dpi=110)
        return path
