"""`latentvlm data`: shards of drawn documents or of one's own pages; look into them, check them."""

from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..output import show_values
from ..progress import show_progress
from ..units import read_range

if TYPE_CHECKING:
    from ...data.shards import Record

app = typer.Typer(
    help="Shards of pages with questions: write, look into, check.", no_args_is_help=True
)

Shards = Annotated[
    list[Path], typer.Argument(metavar="SHARD...", help=".tar files, or folders that hold them.")
]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]


@app.command()
def write(
    folder: Annotated[Path, typer.Argument(help="Where the shards go.")],
    documents: Annotated[int, typer.Option(min=1, help="How many documents.")] = 256,
    per_shard: Annotated[int, typer.Option(min=1, help="Documents of one shard.")] = 256,
    level: Annotated[
        str, typer.Option(help="line, lines, small, page, glyphs or video.")
    ] = "small",
    split: Annotated[str, typer.Option(help="train or heldout.")] = "train",
    noise: Annotated[float, typer.Option(help="0 crisp, 1 the worst scans.")] = 0.0,
    pages: Annotated[
        str | None,
        typer.Option(metavar="2-5", help="Pages of a document of lines, small or page (1)."),
    ] = None,
    frames: Annotated[
        str | None, typer.Option(metavar="8-32", help="Frames of a video (8-32).")
    ] = None,
    frame_patches: Annotated[
        int | None, typer.Option(help="Patches that the model resizes a frame to (512).")
    ] = None,
    widths: Annotated[
        str | None, typer.Option(metavar="208-288", help="Widths in pixels (as the level has).")
    ] = None,
    font_sizes: Annotated[
        str | None, typer.Option(metavar="13-16", help="Sizes of type in pixels (12-20).")
    ] = None,
    seed: Annotated[int, typer.Option(help="The same seed draws the same documents.")] = 0,
    json: Json = False,
) -> None:
    """Draw documents, documents of several pages or videos with questions into WebDataset shards.

    Example: latentvlm data write shards --documents 1000 --level small --pages 2-5
    """
    from itertools import islice

    from ...data.producer import shard_path
    from ...data.shards import write_shard
    from ...data.synthetic import GeneratorConfig
    from ...errors import ConfigError
    from ...vlm.train.plan import SyntheticPlan
    from ...vlm.train.stage import MixtureEntry

    given: dict[str, Any] = {
        name: read_range(text, option="--" + name.replace("_", "-"))
        for name, text in (("frames", frames), ("widths", widths), ("font_sizes", font_sizes))
        if text is not None
    }
    if frame_patches is not None:
        given["frame_patches"] = frame_patches
    if level != "video" and (unused := given.keys() & {"frames", "frame_patches"}):
        name = min(unused).replace("_", "-")
        raise ConfigError(f"--{name} is of videos; give --level video too.")
    config = GeneratorConfig(level=level, split=split, noise=noise, **given)
    count = (1, 1) if pages is None else read_range(pages, option="--pages")
    entry = MixtureEntry(config=config, pages=count)
    plan = SyntheticPlan(seed=seed, stage="shards", mixture=(entry,), documents_per_shard=per_shard)
    whole, rest = divmod(documents, per_shard)
    sizes = [per_shard] * whole + [rest] * bool(rest)
    paths = []
    for number, size in enumerate(sizes):
        path = shard_path(folder, number)
        drawn = enumerate(islice(plan.records(number), size), start=per_shard * number + 1)
        write_shard(path, _counted(drawn, "documents", documents))
        paths.append(str(path))
    _warn_of_others(folder, paths)
    if json:
        show_values({"documents": documents, "shards": paths})
    else:
        print(f"{documents} documents in {len(paths)} shards in {folder}.")


@app.command()
def pack(
    questions: Annotated[
        Path,
        typer.Argument(help=".jsonl or .csv with file, question, answer, and maybe page, kind."),
    ],
    folder: Annotated[Path, typer.Argument(help="Where the shards go.")],
    per_shard: Annotated[int, typer.Option(min=1, help="Pages of one shard.")] = 256,
    dpi: Annotated[float | None, typer.Option(help="At which PDF pages are drawn.")] = None,
    json: Json = False,
) -> None:
    """Make shards of pages of your own and the questions about them, to train on.

    Example: latentvlm data pack pages/questions.csv shards
    """
    from functools import partial
    from itertools import islice

    from ...data.own_pages import own_records
    from ...data.producer import shard_path
    from ...data.shards import write_shard

    records = own_records(questions, dpi=dpi, notify=partial(show_progress, "pages"))
    paths, pages = [], 0
    while batch := list(islice(records, per_shard)):
        path = shard_path(folder, len(paths))
        pages += write_shard(path, batch)
        paths.append(str(path))
    _warn_of_others(folder, paths)
    if json:
        show_values({"pages": pages, "shards": paths})
    else:
        print(f"{pages} pages in {len(paths)} shards in {folder}.")


@app.command()
def inspect(
    shards: Shards,
    show: Annotated[int, typer.Option(min=0, help="Records to show in full.")] = 2,
    json: Json = False,
) -> None:
    """Say what shards hold: records, sizes of pictures, questions by kind.

    Example: latentvlm data inspect shards --show 3
    """
    from ...data.shards import ShardReader

    reader = ShardReader("warn")
    widths, heights, pages, frames = [], [], [], []
    kinds: Counter[str] = Counter()
    shown: list[dict[str, Any]] = []
    records = 0
    paths = _paths(shards)
    for number, path in enumerate(paths, start=1):
        for _, record in reader.read(path):
            records += 1
            heights.append(record.image.shape[0])
            widths.append(record.image.shape[1])
            if record.frames is None:
                pages.append(len(record.pages))
            else:
                frames.append(len(record.frames))
            asked = [list(qa) for qa in record.meta.get("qas", ())]
            kinds.update(str(qa[0]) for qa in asked)
            if len(shown) < show:
                size = [record.image.shape[1], record.image.shape[0]]
                lines = record.meta.get("lines", [])
                shown.append({"key": record.key, "size": size, "lines": lines, "questions": asked})
        show_progress("shards", number, len(paths))
    values = {
        "shards": len(paths),
        "records": records,
        "left_out": reader.skipped,
        "width": [min(widths), max(widths)] if widths else None,
        "height": [min(heights), max(heights)] if heights else None,
        "pages": [min(pages), max(pages)] if pages else None,
        "frames": [min(frames), max(frames)] if frames else None,
        "questions": dict(sorted(kinds.items())),
        "examples": shown,
    }
    if json:
        show_values(values)
        return
    print(f"{records} records in {values['shards']} shards, {reader.skipped} left out")
    if widths:
        print(
            f"pictures {min(widths)} to {max(widths)} wide, {min(heights)} to {max(heights)} high"
        )
    for several, what in (
        (pages, "documents of {} to {} pages"),
        (frames, "videos of {} to {} frames"),
    ):
        if several and (several is frames or max(several) > 1):
            print(f"{len(several)} {what.format(min(several), max(several))}")
    print("questions: " + (", ".join(f"{n} {kind}" for kind, n in sorted(kinds.items())) or "none"))
    for each in shown:
        print(f"\n{each['key']}  {each['size'][0]} x {each['size'][1]}")
        for line in each["lines"]:
            print(f"    {line}")
        for kind, question, answer in each["questions"]:
            print(f"  {kind}: {question}\n      {answer}")


@app.command()
def check(shards: Shards, json: Json = False) -> None:
    """Read every record of shards; exit code 2 if any is broken, each named.

    Example: latentvlm data check shards
    """
    import warnings

    from ...data.shards import ShardReader

    reader, whole, broken = ShardReader("warn"), 0, []
    paths = _paths(shards)
    for number, path in enumerate(paths, start=1):
        keys: Counter[str] = Counter()
        with warnings.catch_warnings(record=True) as told:
            warnings.simplefilter("always")
            for _, record in reader.read(path):
                whole += 1
                keys[record.key] += 1
        broken += [str(each.message).removeprefix("left out: ") for each in told]
        twice = sorted(key for key, times in keys.items() if times > 1)
        broken += [f"record {key!r} stands twice in shard {path}" for key in twice]
        show_progress("shards", number, len(paths))
    if json:
        show_values({"shards": len(paths), "records": whole, "broken": broken})
    else:
        for line in broken:
            print(line)
        print(f"{whole} records of {len(paths)} shards are whole, {len(broken)} faults.")
    if broken:
        raise typer.Exit(2)


def _paths(shards: list[Path]) -> list[Path]:
    from ...errors import DataError

    paths: list[Path] = []
    for shard in shards:
        found = sorted(shard.glob("*.tar")) if shard.is_dir() else [shard]
        if not found:
            raise DataError(f"folder {shard} holds no .tar shard; correct the path")
        paths += found
    return paths


def _warn_of_others(folder: Path, written: list[str]) -> None:
    """Whoever trains on a folder reads all its shards, those of an earlier call too."""
    others = sorted({str(path) for path in folder.glob("*.tar")} - set(written))
    if others:
        text = f"{folder} also holds {len(others)} older shards, {Path(others[0]).name} first"
        typer.echo(f"{text}; delete them if they are not meant.", err=True)


def _counted(numbered: Iterable[tuple[int, "Record"]], what: str, total: int) -> Iterator["Record"]:
    for number, record in numbered:
        yield record
        show_progress(what, number, total)
