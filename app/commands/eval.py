"""`latentvlm eval`: measure a model, look at what it answered, compare two."""

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..eval_models import make_responder, open_model
from ..evs_options import EVSOptions
from ..frame_options import FrameOptions
from ..options import ModelOptions, expand_options
from ..progress import answers_progress, waiting
from .citations import citations
from .eval_docs import run_documents
from .long_inputs import long
from .sweep import sweep

if TYPE_CHECKING:
    from ...eval.benchmarks import Loaded

app = typer.Typer(
    help="Measure a model, look at what it answered, compare two.", no_args_is_help=True
)
Profiles = Annotated[
    str, typer.Option(help="Whose rules: strict, lmms-eval, vlmevalkit or official.")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]
__all__ = ["app", "make_responder"]


@app.command()
@expand_options
def run(
    benchmark: Annotated[
        str, typer.Argument(help="latentvlm-docs, folder, docvqa, ... (see `eval list`).")
    ],
    model: ModelOptions,
    video: FrameOptions,
    evs: EVSOptions,
    data: Annotated[
        str | None, typer.Option(metavar="DIR", help="The benchmark's files; of `folder`, yours.")
    ] = None,
    split: Annotated[str | None, typer.Option(help="Part of the benchmark (the usual).")] = None,
    limit: Annotated[int | None, typer.Option(help="Most questions, from the first (all).")] = None,
    out: Annotated[
        Path, typer.Option(metavar="DIR", help="Where answers and scores go; goes on there.")
    ] = Path("runs/eval"),
    profile: Profiles = "strict",
    prompt: Annotated[
        str | None, typer.Option(help="In place of the usual one; {question} and {options}.")
    ] = None,
    max_tokens: Annotated[
        int | None, typer.Option(help="Longest answer, in tokens (as the benchmark says).")
    ] = None,
    dpi: Annotated[float | None, typer.Option(help="At which PDF pages are drawn.")] = None,
    concurrency: Annotated[
        int | None,
        typer.Option(min=1, help="Requests at once (1; of a server 8)."),
    ] = None,
    on_error: Annotated[
        str, typer.Option(help="go-on or stop, at a bad row or a failing model.")
    ] = "go-on",
    rung: Annotated[
        list[str] | None,
        typer.Option(help="Of latentvlm-docs: line-one-font, line, lines, small, page (all)."),
    ] = None,
    rival: Annotated[
        bool, typer.Option("--rival", help="Of latentvlm-docs: ask Tesseract with rules too.")
    ] = False,
    rival_only: Annotated[
        bool, typer.Option("--rival-only", help="Of latentvlm-docs: ask the rival alone.")
    ] = False,
    controls: Annotated[
        bool, typer.Option("--controls", help="Of latentvlm-docs: blank, other, redrawn page.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Ask a model the questions of a benchmark and score its answers.

    The model is a checkpoint, http://HOST/v1#NAME of an OpenAI-style server, or
    transformers:FOLDER. Under torchrun the processes share the questions out.

    Example: latentvlm eval run folder --data invoices --model my-model --out runs/mine
    """
    from ...errors import ConfigError
    from ...eval.documents import BENCHMARK
    from ...eval.metrics import Profile

    if benchmark == BENCHMARK:
        return run_documents(
            model,
            rungs=rung or (),
            limit=limit,
            out=out,
            rival=rival or rival_only,
            rival_only=rival_only,
            controls=controls,
            as_json=as_json,
        )
    if rung or rival or rival_only or controls:
        raise ConfigError(f"--rung, --rival, --rival-only and --controls are of {BENCHMARK} alone.")
    if profile not in list(Profile):
        raise ConfigError(f"There is no profile {profile!r}; choose one of {', '.join(Profile)}.")
    if on_error not in ("go-on", "stop"):
        raise ConfigError(f"--on-error is {on_error!r}; it is go-on or stop.")
    from ...eval.evaluate import evaluate
    from ...eval.manifest import make_manifest

    loaded = load_questions(benchmark, data, split=split, limit=limit, prompt=prompt)
    shown = {**video.arguments(), **evs.arguments(), "dpi": dpi}
    shown = {name: value for name, value in shown.items() if value is not None}
    opened = open_model(
        model,
        shown=shown,
        max_tokens=max_tokens,
        concurrency=concurrency,
        stops_on_error=on_error == "stop",
    )
    manifest = make_manifest(
        loaded, model=opened.about, decoding=opened.decoding, shown=opened.shown, limit=limit
    )
    for row in loaded.bad[:20]:
        print(f"left out: {row.where}: {row.reason}", file=sys.stderr)
    if len(loaded.bad) > 20:
        print(f"left out: {len(loaded.bad) - 20} more rows", file=sys.stderr)
    with answers_progress(loaded.benchmark.title, len(loaded.questions)) as count:
        result = evaluate(
            loaded,
            opened.responder,
            out,
            manifest,
            profile=profile,
            on_error=on_error,
            on_response=count,
        )
    if result is None:
        print("This process is done; the last one writes the scores.", file=sys.stderr)
    elif as_json:
        print(json.dumps(result, ensure_ascii=False))
    else:
        show_result(result)
        print(f"Answers, scores and report.html are in {out}.")


app.command()(citations)
app.command()(sweep)
app.command()(long)


@app.command("list")
def list_benchmarks(as_json: AsJson = False) -> None:
    """The benchmarks, their splits, and what to put where for each.

    Example: latentvlm eval list
    """
    from rich.console import Console

    from ...eval.benchmarks import BENCHMARKS

    if as_json:
        found = {
            name: {"title": each.title, "splits": list(each.splits), "put": each.put}
            for name, each in BENCHMARKS.items()
        }
        print(json.dumps(found, ensure_ascii=False))
        return
    console = Console(highlight=False)
    console.print("[bold]latentvlm-docs[/]: drawn documents, nothing to put anywhere")
    console.print("[bold]latentvlm-video[/]: drawn videos, nothing to put anywhere")
    for name, each in BENCHMARKS.items():
        console.print(
            f"[bold]{name}[/]: {each.title}, {', '.join(each.splits)}; {each.metric}\n"
            f"    {each.put}",
            soft_wrap=True,
        )


@app.command()
def start(
    folder: Annotated[Path, typer.Argument(help="A folder of documents.")],
    as_json: AsJson = False,
) -> None:
    """Write a questions.csv with a row for each document of a folder, to be filled in.

    Example: latentvlm eval start invoices
    """
    from ...eval.benchmarks.folder import start_questions

    path = start_questions(folder)
    if as_json:
        print(json.dumps({"questions": str(path)}))
        return
    print(
        f"{path}\nFill in question and answer, then: latentvlm eval run folder --data {folder} "
        "--out runs/mine"
    )


@app.command()
def rescore(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="The folder of a run.")],
    profile: Profiles = "strict",
    as_json: AsJson = False,
) -> None:
    """Score the answers of a run again, under another profile; no model is asked.

    Example: latentvlm eval rescore runs/mine --profile official
    """
    from ...eval.evaluate import rescore as score_again

    with waiting("scoring the answers"):
        result = score_again(folder, profile)
    if as_json:
        print(json.dumps(result, ensure_ascii=False))
    else:
        show_result(result)


@app.command()
def compare(
    first: Annotated[Path, typer.Argument(help="The folder of a run.")],
    second: Annotated[Path, typer.Argument(help="Another, on the same questions.")],
    profile: Profiles = "strict",
    out: Annotated[
        Path, typer.Option(metavar="FILE", help="Where the page goes, side by side.")
    ] = Path("comparison.html"),
    as_json: AsJson = False,
) -> None:
    """Compare two runs: the difference with its interval, by kind, and what flipped.

    Example: latentvlm eval compare runs/a runs/b
    """
    from ...eval.compare import compare as compare_runs
    from ...eval.report.compare_report import signed, verdict, write_comparison

    with waiting("comparing the answers"):
        comparison = compare_runs(first, second, profile)
        write_comparison(comparison, out)
    result = comparison.result
    if as_json:
        print(json.dumps(result, ensure_ascii=False))
        return
    gap = result["difference"]
    print(
        f"{signed(gap['score'])} points (95% interval {signed(gap['low'])} to "
        f"{signed(gap['high'])}) on {result['questions']} questions. {verdict(result)}\n"
        f"{len(result['won'])} questions won, {len(result['lost'])} lost: {out}"
    )


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
    as_json: AsJson = False,
) -> None:
    """Write a model's card, README.md, and what its confidence means, from measured scores.

    Example: latentvlm eval card --model my-model --scores runs/docs
    """
    from ...eval.card import write_calibration, write_card
    from ...eval.measure import read_scores

    read = [read_scores(path) for path in scores]
    path = write_card(model, read, logs=log or ())
    print(json.dumps({"card": str(path)}) if as_json else path)
    write_calibration(model, read)


def load_questions(
    benchmark: str,
    data: str | None,
    *,
    split: str | None = None,
    limit: int | None = None,
    prompt: str | None = None,
) -> "Loaded":
    """The questions of any benchmark but `latentvlm-docs`, whose runs have rungs.

    Raises:
        ConfigError: there is no such benchmark; the sentence has the nearest name.
        DataError: its files are not there.
    """
    from difflib import get_close_matches

    from ...errors import ConfigError
    from ...eval.benchmarks import BENCHMARKS, load_benchmark
    from ...eval.documents import BENCHMARK
    from ...eval.drawn import VIDEO_BENCHMARK, load_videos

    if benchmark == VIDEO_BENCHMARK:
        if data or split or prompt:
            raise ConfigError(f"{benchmark} is drawn; --data, --split and --prompt are not for it.")
        return load_videos(limit)
    if benchmark not in BENCHMARKS:
        names = [BENCHMARK, VIDEO_BENCHMARK, *BENCHMARKS]
        near = get_close_matches(benchmark, names, n=1)
        hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(names)}"
        raise ConfigError(f"There is no benchmark {benchmark!r} here; {hint}")
    return load_benchmark(BENCHMARKS[benchmark], data, split=split, limit=limit, prompt=prompt)


def show_result(result: dict[str, Any]) -> None:
    """The score, by kind, and what became of the answers."""
    from rich.console import Console
    from rich.table import Table

    from ...eval.card import percent

    console = Console(highlight=False)
    console.print(
        f"[bold]{result['benchmark']} ({result['split']}): {percent(result['score'])}[/] "
        f"({percent(result['low'])} to {percent(result['high'])}), {result['n']} questions, "
        f"{result['metric']} by {result['profile']}",
        soft_wrap=True,
    )
    if len(result["kinds"]) > 1:
        grid = Table("kind", "score", "interval", "n")
        for kind, cell in result["kinds"].items():
            interval = f"{percent(cell['low'])} to {percent(cell['high'])}"
            grid.add_row(kind, percent(cell["score"]), interval, str(cell["n"]))
        console.print(grid)
    for name, value in result["further"].items():
        console.print(f"{name}: {percent(value['score'])}")
    counts = {name.replace("_", " "): n for name, n in result["counts"].items() if n}
    console.print(", ".join(f"{name} {n}" for name, n in counts.items()))
    if result["bad_rows"]:
        console.print(f"{len(result['bad_rows'])} rows could not be asked")
