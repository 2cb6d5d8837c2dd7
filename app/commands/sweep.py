"""`latentvlm eval sweep`: one benchmark under several settings."""

import dataclasses
import json
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from ..eval_models import open_model
from ..options import ModelOptions, expand_options
from ..progress import answers_progress

_OF_MODEL = ("model", "dtype", "quantized", "kv_cache", "ssm_cache")


@expand_options
def sweep(
    benchmark: Annotated[str, typer.Argument(help="latentvlm-video, folder, docvqa, ...")],
    model: ModelOptions,
    vary: Annotated[
        list[str],
        typer.Option(
            metavar="NAME=A,B,...",
            help="evs-rate, token-budget, max-frames, dtype, quantized, kv-cache, ssm-cache or "
            "model; may be given again: every combination is measured.",
        ),
    ],
    data: Annotated[str | None, typer.Option(metavar="DIR", help="The benchmark's files.")] = None,
    split: Annotated[str | None, typer.Option(help="Part of the benchmark (the usual).")] = None,
    limit: Annotated[int | None, typer.Option(help="Most questions, from the first (all).")] = None,
    out: Annotated[
        Path, typer.Option(metavar="DIR", help="Where runs, sweep.json and sweep.png go.")
    ] = Path("runs/sweep"),
    profile: Annotated[str, typer.Option(help="Whose rules.")] = "strict",
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Measure accuracy, tokens and time to the first token under several settings.

    Example: latentvlm eval sweep latentvlm-video --vary evs-rate=0,0.5,0.75,0.9
    """
    from ...data.frame_choice import FrameChoice
    from ...eval.evaluate import evaluate
    from ...eval.manifest import make_manifest
    from ...eval.sweep import point_name, read_settings, summary, write_sweep
    from .eval import load_questions

    points = read_settings(vary)
    loaded = load_questions(benchmark, data, split=split, limit=limit)
    results: list[dict[str, Any]] = []
    for point in points:
        of_model = {k: v for k, v in point.items() if k in _OF_MODEL}
        shown = {k: v for k, v in point.items() if k in ("evs_rate", "token_budget")}
        if "max_frames" in point:
            shown["frames"] = FrameChoice(max_frames=point["max_frames"])
        opened = open_model(dataclasses.replace(model, **of_model), shown=shown)
        manifest = make_manifest(
            loaded, model=opened.about, decoding=opened.decoding, shown=opened.shown, limit=limit
        )
        with answers_progress(point_name(point), len(loaded.questions)) as count:
            result = evaluate(
                loaded,
                opened.responder,
                out / point_name(point),
                manifest,
                profile=profile,
                on_response=count,
            )
        if result is not None:
            results.append(result)
    if len(results) < len(points):
        print("This process is done; start it again alone for the picture.", file=sys.stderr)
        return
    found = summary(points, results)
    picture = write_sweep(found, out)
    if as_json:
        print(json.dumps(found, ensure_ascii=False))
        return
    for each in found["points"]:
        cost = each["cost"]
        print(
            f"{each['name']}: {100 * each['score']:.1f}% ({100 * each['low']:.1f} to "
            f"{100 * each['high']:.1f}), {_told(cost['visual_tokens'], 0)} visual tokens, "
            f"{_told(cost['time_to_first_token_s'], 3)} s to the first token"
        )
    print(picture)


def _told(value: float | None, digits: int) -> str:
    return "unknown" if value is None else f"{value:.{digits}f}"
