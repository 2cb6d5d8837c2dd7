"""`latentvlm distill RECIPE`: train for an export, then set it beside the plain export."""

from pathlib import Path
from typing import Annotated

import typer

from ..output import show_values


def distill(
    recipe: Annotated[
        str,
        typer.Argument(help="A YAML file with a distill stage, or qad-nvfp4 of the package."),
    ] = "qad-nvfp4",
    max_minutes: Annotated[
        float | None,
        typer.Option(help="Stop the training with a checkpoint after this time; exit code 3."),
    ] = None,
    threads: Annotated[int | None, typer.Option(help="CPU threads (what torch takes).")] = None,
    device: Annotated[str | None, typer.Option(help="cpu, cuda, cuda:1 (a GPU if any).")] = None,
    questions: Annotated[
        int, typer.Option(min=1, help="Questions of latentvlm-docs, of each of two rungs.")
    ] = 200,
    prompts: Annotated[
        int, typer.Option(min=1, help="Prompts that each export is calibrated on.")
    ] = 32,
    card: Annotated[
        str | None,
        typer.Option(
            metavar="FOLDER", help="Write the table into this model's card too; or default."
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Distil a model for its export; compare the export before and after. Goes on where it was.

    Example: latentvlm distill qad-nvfp4 --max-minutes 30
    """
    from ...eval.before_after import (
        before_after_table,
        compare_exports,
        find_card,
        what_is_compared,
        write_into_card,
    )
    from ...vlm.api import PRETRAINED
    from ...vlm.train.run import find_recipe, run_recipe

    found = find_recipe(recipe)
    what_is_compared(found)
    folder = PRETRAINED if card == "default" else card and Path(card)
    if folder:
        find_card(folder)
    report = run_recipe(recipe, max_minutes=max_minutes, threads=threads, device=device)
    if not report.finished:
        typer.echo(
            f"The training stopped with a checkpoint in {found.output}; the same command goes on "
            "from there and compares at its end.",
            err=True,
        )
        if as_json:
            show_values({"finished": False, "total_step": report.total_step})
        if report.interrupted:
            raise KeyboardInterrupt
        raise typer.Exit(3)
    result = compare_exports(
        found,
        questions=questions,
        prompts=prompts,
        notify=lambda line: typer.echo(line, err=True),
    )
    written = write_into_card(folder, result) if folder else None
    exported = Path(found.output) / "export"
    if as_json:
        show_values(
            {"finished": True, **result, "export": str(exported), "card": written and str(written)}
        )
        return
    print(before_after_table(result))
    print(f"\nThe proven export is {exported}.")
    if written is not None:
        print(f"Written into {written}.")
