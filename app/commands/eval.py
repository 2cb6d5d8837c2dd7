"""`latentvlm eval`: measure a model, and write its card from what was measured."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..options import ModelOptions, expand_options
from .citations import citations

if TYPE_CHECKING:
    from ...eval.responder import VLMResponder
    from ...eval.rival import Rival

app = typer.Typer(
    help="Measure a model, and write its card from what was measured.", no_args_is_help=True
)


@app.command()
@expand_options
def run(
    benchmark: Annotated[str, typer.Argument(help="latentvlm-docs.")],
    model: ModelOptions,
    rung: Annotated[
        list[str] | None,
        typer.Option(help="line-one-font, line, lines, small or page; may be given again (all)."),
    ] = None,
    limit: Annotated[int | None, typer.Option(help="Most questions of each rung (all).")] = None,
    out: Annotated[
        Path, typer.Option(metavar="DIR", help="Where responses and scores go; goes on there.")
    ] = Path("runs/eval"),
    rival: Annotated[
        bool, typer.Option("--rival", help="Ask Tesseract with rules the same questions.")
    ] = False,
    rival_only: Annotated[
        bool, typer.Option("--rival-only", help="Ask the rival and no model.")
    ] = False,
    controls: Annotated[
        bool, typer.Option("--controls", help="Blank page, other page, redrawn value.")
    ] = False,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Ask a model the questions of a benchmark and score its answers."""
    from ...errors import ConfigError
    from ...eval.documents import BENCHMARK, document_samples
    from ...eval.measure import MeasureConfig, measure

    if benchmark != BENCHMARK:
        raise ConfigError(f"There is no benchmark {benchmark!r}; there is {BENCHMARK}.")
    config = MeasureConfig(rungs=tuple(rung or ()), limit=limit, controls=controls)
    document_samples(config.rungs, limit=1 if limit is None else min(limit, 1))
    result = measure(
        None if rival_only else make_responder(model),
        make_rival() if rival or rival_only else None,
        out,
        config,
        notify=show_progress if sys.stderr.isatty() else lambda what, done, total: None,
    )
    if json:
        from json import dumps

        print(dumps(result, ensure_ascii=False))
    else:
        show_scores(result)
        print(f"Responses and scores are in {out}.")


app.command()(citations)


@app.command()
def card(
    model: Annotated[str, typer.Option(metavar="FOLDER", help="The model's folder.")],
    scores: Annotated[
        list[Path], typer.Option(help="scores.json, or its folder; may be given again.")
    ],
    log: Annotated[
        list[Path] | None,
        typer.Option(help="log.jsonl of the training run; again for one that went on from it."),
    ] = None,
) -> None:
    """Write the tables of a model's card, README.md, from measured scores."""
    from ...eval.card import write_card
    from ...eval.measure import read_scores

    print(write_card(model, [read_scores(path) for path in scores], logs=log or ()))


def make_responder(model: ModelOptions) -> "VLMResponder":
    """Our model, named by its folder and a checksum of what is in it."""
    from ...eval.responder import VLMResponder, fingerprint
    from ...vlm.api import PRETRAINED

    vlm = model.load()
    folder = Path(model.model).expanduser().resolve() if model.model else PRETRAINED
    return VLMResponder(vlm, name=f"{folder.name} {fingerprint(folder)}")


def make_rival() -> "Rival":
    from ...eval.ocr import Tesseract
    from ...eval.rival import Rival

    return Rival(Tesseract())


def show_progress(what: str, done: int, total: int) -> None:
    """One line on stderr that is written over."""
    end = "\n" if done == total else ""
    print(f"\r{what}: {done} of {total} ", end=end, file=sys.stderr, flush=True)


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
