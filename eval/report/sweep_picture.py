"""A sweep as one picture."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_SIDES = (
    ("visual_tokens", "visual tokens of a question"),
    ("time_to_first_token_s", "seconds to the first token"),
)
_MARKS = "osD^vP*X"
_NEAR = 0.01  # of an axis: points that would cover one another


def sweep_figure(found: Mapping[str, Any]) -> "Figure":
    """Score with its interval against visual tokens, and against time to the first token.

    Points that fall together are drawn as rings around one another.
    """
    # A figure of its own: pyplot would keep it, and choose a window.
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D

    points = found["points"]
    figure = Figure(figsize=(10, 4.6 + 0.22 * -(-len(points) // 3)), layout="constrained")
    axes = figure.subplots(1, 2, sharey=True)
    for axis, (key, label) in zip(axes, _SIDES, strict=True):
        _draw_side(axis, points, key)
        axis.set_xlabel(label)
        axis.set_xlim(left=0)
        axis.grid(alpha=0.25)
        axis.spines[["top", "right"]].set_visible(False)
    axes[0].set_ylabel(f"{found['metric']} ({found['profile']}), %")
    axes[0].set_ylim(0, 102)
    handles = [
        Line2D([], [], linestyle="", markerfacecolor="none", label=each["name"], **_mark(idx))
        for idx, each in enumerate(points)
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=3, fontsize=8, frameon=False)
    figure.suptitle(f"{found['benchmark']}, {points[0]['n']} questions")
    return figure


def _draw_side(axis: Any, points: Sequence[Mapping[str, Any]], key: str) -> None:
    known = [
        (idx, each, each["cost"][key])
        for idx, each in enumerate(points)
        if each["cost"].get(key) is not None
    ]
    if not known:
        axis.text(0.5, 0.5, "not known of this model", ha="center", transform=axis.transAxes)
        return
    widest = max(x for _, _, x in known) or 1.0
    if is_curve(points):
        line = sorted((x, 100 * each["score"]) for _, each, x in known)
        axis.plot(*zip(*line, strict=True), color="#8a8f9a", linewidth=1, zorder=1)
    drawn: list[tuple[float, float]] = []
    for idx, each, x in known:
        score = 100 * each["score"]
        rings = sum(abs(x - a) < _NEAR * widest and abs(score - b) < 1 for a, b in drawn)
        drawn.append((x, score))
        axis.errorbar(
            x,
            score,
            yerr=[[max(score - 100 * each["low"], 0)], [max(100 * each["high"] - score, 0)]],
            linestyle="",
            markersize=6 + 5 * rings,
            markerfacecolor="none",
            markeredgewidth=1.8,
            capsize=3,
            elinewidth=1,
            **_mark(idx),
        )


def _mark(idx: int) -> dict[str, Any]:
    return {"marker": _MARKS[idx % len(_MARKS)], "color": f"C{idx % 10}"}


def is_curve(points: Sequence[Mapping[str, Any]]) -> bool:
    """Whether one number alone varies, so that a line says something."""
    first = points[0]["settings"]
    varied = [key for key in first if len({str(each["settings"][key]) for each in points}) > 1]
    return len(varied) == 1 and all(
        isinstance(each["settings"][varied[0]], int | float) for each in points
    )
