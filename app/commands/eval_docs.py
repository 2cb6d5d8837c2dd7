"""`latentvlm eval run latentvlm-docs`: the ladder of drawn documents, its rival and controls."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..eval_models import describe, make_responder
from ..options import ModelOptions
from ..progress import show_progress

if TYPE_CHECKING:
    from ...eval.rival import Rival


def run_documents(
    model: ModelOptions,
    *,
    rungs: Sequence[str],
    limit: int | None,
    out: Path,
    rival: bool,
    rival_only: bool,
    controls: bool,
    as_json: bool,
) -> None:
    """Measures, and prints tables or JSON."""
    from ...eval.documents import document_samples
    from ...eval.measure import MeasureConfig, measure

    config = MeasureConfig(rungs=tuple(rungs), limit=limit, controls=controls)
    document_samples(config.rungs, limit=1 if limit is None else min(limit, 1))
    responder = None if rival_only else make_responder(model)
    result = measure(
        responder,
        make_rival() if rival else None,
        out,
        config,
        about=None if responder is None else describe(responder, model),
        notify=show_progress,
    )
    if as_json:
        from json import dumps

        print(dumps(result, ensure_ascii=False))
    else:
        show_scores(result)
        print(f"Responses and scores are in {out}.")


def make_rival() -> "Rival":
    from ...eval.ocr import Tesseract
    from ...eval.rival import Rival

    return Rival(Tesseract())


def show_scores(result: dict[str, Any]) -> None:
    """Tables of scores by rung and kind, then controls and calibration."""
    from rich.console import Console
    from rich.table import Table

    from ...eval.card import percent

    console = Console()
    for who in ("model", "rival"):
        if who not in result:
            continue
        table = Table(
            "rung", "kind", "n", "exact", "ANLS", "CER", "empty, cut, failed", "s",
            title=f"{who}: {result[who]['name']}",
        )  # fmt: skip
        for column in table.columns[:2]:
            column.no_wrap = True
        for rung, about in result[who]["scores"].items():
            kinds = about["kinds"] if len(about["kinds"]) > 1 else {}
            for kind, cell in {"all": about["all"], **kinds}.items():
                shares = (percent(cell[key]) for key in ("exact", "anls", "cer"))
                bad = ", ".join(str(cell[key]) for key in ("empty", "cut_off", "failed"))
                row = (rung, kind, str(cell["n"]), *shares, bad, f"{cell['seconds']:.2f}")
                table.add_row(*row, style="bold" if kind == "all" else "")
        console.print(table)
    model = result.get("model", {})
    if model.get("controls"):
        table = Table("control", "n", "same answer", "not in document", "new value")
        for control, about in model["controls"].items():
            cell = about["all"]
            shares = (percent(cell.get(key)) for key in ("keeps", "absent", "follows"))
            table.add_row(control, str(cell["n"]), *shares)
        console.print(table)
    if model.get("calibration"):
        sure = model["calibration"]["above_0.9"]
        share = percent(sure["exact"])
        console.print(f"confidence above 0.9: {sure['n']} answers, {share} of them exact")
