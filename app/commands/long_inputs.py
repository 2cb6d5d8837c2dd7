"""`latentvlm eval long`: videos at each pruning rate, and booklets, into a model's card."""

from pathlib import Path
from typing import Annotated

import typer

from ..options import ModelOptions, expand_options
from ..progress import show_progress


@expand_options
def long(
    model: ModelOptions,
    questions: Annotated[
        int, typer.Option(min=1, help="About videos; half of those have 32 frames or more.")
    ] = 80,
    booklets: Annotated[
        int, typer.Option(min=0, help="Questions about five pages, and the pages cited.")
    ] = 120,
    rates: Annotated[
        str, typer.Option(metavar="A,B,...", help="Pruning rates; the first is compared with.")
    ] = "0,0.5,0.75,0.9",
    timed: Annotated[
        int, typer.Option(min=1, help="Long videos whose time to the first token is taken.")
    ] = 4,
    out: Annotated[
        Path, typer.Option(metavar="DIR", help="Where answers and scores go; goes on there.")
    ] = Path("runs/long"),
    write: Annotated[
        bool,
        typer.Option("--write", help="Write tables into the model's card, and how it cites pages."),
    ] = False,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Measure a model on videos at each pruning rate and on booklets of five pages.

    Accuracy by kind, tokens and time to the first token, points lost; and how often the page cited
    is the right one.

    Example: latentvlm eval long --model F --write
    """
    import sys

    from ...errors import ConfigError
    from ...eval.long_card import long_tables, write_long
    from ...eval.long_inputs import LongConfig, measure_long
    from ...vlm.limits import ModelLimits
    from ..eval_models import describe, make_responder

    try:
        read = tuple(float(each) for each in rates.split(","))
    except ValueError as error:
        raise ConfigError(f"--rates is {rates!r}; write for example 0,0.5,0.75.") from error
    config = LongConfig(questions=questions, booklets=booklets, rates=read, timed=timed)
    responder = make_responder(model)
    vlm = responder.vlm
    if write and vlm.source is None:
        raise ConfigError("This model has no folder to write into.")
    found, how = measure_long(
        vlm,
        responder.name,
        out,
        config,
        about=describe(responder, model),
        notify=show_progress,
    )
    if json:
        from json import dumps

        print(dumps(found, ensure_ascii=False))
    else:
        print(long_tables(found))
    if write and vlm.source is not None:
        if how is not None:
            ModelLimits.change(vlm.source.folder, citations=how)
        print(write_long(vlm.source.folder, found), file=sys.stderr)
