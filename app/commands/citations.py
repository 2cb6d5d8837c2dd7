"""`latentvlm eval citations`: find out which heads tell the page that an answer is read from."""

from functools import partial
from typing import Annotated

import typer

from ..options import ModelOptions, expand_options
from ..progress import show_progress


@expand_options
def citations(
    model: ModelOptions,
    questions: Annotated[
        int, typer.Option(min=1, help="Questions to calibrate with; as many more judge.")
    ] = 200,
    write: Annotated[
        bool, typer.Option("--write", help="Write what was found into the model's latentvlm.json.")
    ] = False,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Calibrate and judge the page citations of a model on generated booklets of five pages.

    Example: latentvlm eval citations --model F --write
    """
    from ...errors import ConfigError
    from ...eval.citations import measure_citations
    from ...vlm.limits import ModelLimits

    vlm = model.load()
    how, found = measure_citations(vlm, questions, partial(show_progress, "questions"))
    if write:
        if vlm.source is None:
            raise ConfigError("This model has no folder to write into.")
        ModelLimits.change(vlm.source.folder, citations=how)
    if json:
        from json import dumps

        heads = [list(head) for head in how.heads]
        print(dumps({"heads": heads, "threshold": how.threshold, **found}))
        return
    print(f"heads {how.heads} (attention layer, head), threshold {how.threshold}")
    for name in ("right_answers", "wrong_answers"):
        each = found[name]
        if not each["n"]:
            print(f"{name.replace('_', ' ')}: none")
            continue
        judged = "" if each["cited_right"] is None else f", {each['cited_right']:.1%} of them right"
        print(
            f"{each['n']} {name.replace('_', ' ')}: the right page first in "
            f"{each['page_first']:.1%}; {each['cited']:.1%} cite a page{judged}"
        )
