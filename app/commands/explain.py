"""`latentvlm explain FILE [QUESTION]`: a picture of what the model sees and where it looks."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from ..evs_options import EVSOptions
from ..frame_options import FrameOptions
from ..options import MediaOptions, ModelOptions, expand_options
from ..output import as_values, show_values, written_whole
from ..progress import waiting


@expand_options
def explain(
    file: Annotated[str, typer.Argument(help="A picture, a PDF or a video.")],
    media: MediaOptions,
    model: ModelOptions,
    frames: FrameOptions,
    evs: EVSOptions,
    question: Annotated[str, typer.Argument(help="Also show where the answer to it looked.")] = "",
    out: Annotated[
        Path | None,
        typer.Option(
            "--out", "-o", metavar="PNG", help="Where the picture goes (FILE.explain.png)."
        ),
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Draw how pages and videos become visual tokens, and where an answer looked.

    A document or a video also gets a page of HTML beside the picture, with all pages or moments.

    Example: latentvlm explain clip.mp4 "What happens?" --evs-rate 0.75 -o seen.png
    """
    from ...errors import InputError
    from ...vlm.explaining import explain as look
    from ..explain.page_html import draw_html
    from ..explain.sheet import draw_sheet

    path = out or Path(f"{Path(file).stem}.explain.png")
    if path.suffix.lower() != ".png":
        raise InputError(f"{path} must end in .png; the page of HTML gets the same name.")
    arguments = {**media.arguments(), **frames.arguments(), **evs.arguments()}
    vlm = model.load()
    with waiting("reading"):
        found = look(vlm, question, [file], **arguments)
    try:
        with waiting("drawing"):
            path.parent.mkdir(parents=True, exist_ok=True)
            written = [path]
            with written_whole(path) as part:
                draw_sheet(found).save(part, "PNG", optimize=True)
            if found.videos or found.pages[0].page.number is not None:
                written.append(path.with_suffix(".html"))
                with written_whole(written[-1]) as part:
                    part.write_text(draw_html(found), encoding="utf-8")
    except OSError as error:
        raise InputError(f"{path} cannot be written: {error}.") from error
    if json:
        show_values(
            {
                "files": [str(each) for each in written],
                "pages": [
                    {"token_grid": each.token_grid, "visual_tokens": each.info.visual_tokens}
                    for each in found.pages
                ],
                "videos": len(found.videos),
                "answer": None if found.answer is None else as_values(found.answer),
            }
        )
        return
    if found.answer is not None:
        print(found.answer.text)
        for warning in found.answer.warnings:
            print(f"warning: {warning}", file=sys.stderr)
    for each in written:
        print(each)
