"""`latentvlm extract`: fields of many documents into one table."""

import csv
import json as jsonlib
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ...errors import InputError, LatentVLMError
from ..options import MediaOptions, ModelOptions, expand_options
from ..output import written_whole
from ..progress import show_progress

if TYPE_CHECKING:
    from ...vlm.extract import Extracted

SUFFIXES = {".png", ".jpg", ".jpeg", ".webp", ".tif", ".tiff", ".bmp", ".gif", ".pdf"}
TABLES = (".csv", ".jsonl", ".parquet")


@expand_options
def extract(
    sources: Annotated[
        list[Path], typer.Argument(metavar="FILE|FOLDER...", help="Documents, or folders of them.")
    ],
    media: MediaOptions,
    model: ModelOptions,
    fields: Annotated[
        str | None, typer.Option(help="Names, such as number,date:date,total:number.")
    ] = None,
    schema: Annotated[
        Path | None, typer.Option(help="JSON schema of an object, instead of --fields.")
    ] = None,
    out: Annotated[
        Path, typer.Option("--out", "-o", help="A .csv, .jsonl or .parquet file; goes on there.")
    ] = Path("extracted.csv"),
    json: Annotated[bool, typer.Option("--json", help="Print counts as one JSON object.")] = False,
) -> None:
    """Ask every document for the same fields and write a row for each.

    Documents that stand in the table already are not asked again. A file that cannot be read is
    named, counted and left out; the exit code is 3 then.

    Example: latentvlm extract invoices --fields number,date:date,total:number -o invoices.csv
    """
    from ...vlm.extract import read_fields

    if out.suffix not in TABLES:
        raise InputError(f"{out} must end in {', '.join(TABLES)}.")
    specs = read_fields(_schema(schema) if schema else fields or "")
    paths = _documents(sources)
    # Rows are kept as lines while they are made, so that a stop loses none.
    lines = out if out.suffix == ".jsonl" else out.with_name(out.name + ".part.jsonl")
    rows = _read_rows(lines)
    if not rows and lines != out and out.is_file():
        rows = _read_table(out)
        lines.write_text("".join(jsonlib.dumps(row) + "\n" for row in rows), encoding="utf-8")
    require_columns(rows, [spec.name for spec in specs], out)
    done = {row["file"] for row in rows}
    waiting = [path for path in paths if str(path) not in done]
    vlm = model.load() if waiting else None
    failed = 0
    with lines.open("a", encoding="utf-8") as file:
        for number, path in enumerate(waiting, start=1):
            assert vlm is not None
            try:
                found = vlm.extract(specs, path, **media.arguments())
            except LatentVLMError as error:
                failed += 1
                print(f"left out: {error}", file=sys.stderr)
                continue
            row = as_row(path, found)
            rows.append(row)
            file.write(jsonlib.dumps(row, ensure_ascii=False) + "\n")
            file.flush()
            show_progress("documents", number, len(waiting))
    if lines != out:
        write_table(out, rows)
        lines.unlink()
    counts = {"documents": len(rows), "new": len(waiting) - failed, "failed": failed}
    if json:
        print(jsonlib.dumps({**counts, "out": str(out)}))
    else:
        print(f"{len(rows)} documents in {out}, {counts['new']} of them new; {failed} left out.")
    if failed:
        raise typer.Exit(3)


def as_row(path: str | Path, found: "dict[str, Extracted]") -> dict[str, Any]:
    """One document as one line: of each field its value, confidence and page."""
    row: dict[str, Any] = {"file": str(path)}
    for name, each in found.items():
        row[name] = each.value
        row[f"{name}_confidence"] = round(each.confidence, 4)
        row[f"{name}_page"] = each.page
    return row


def require_columns(rows: list[dict[str, Any]], names: list[str], out: Path) -> None:
    """Raises InputError where a table that is to go on has other fields."""
    columns = {key for row in rows for key in row}
    known = {key for key in columns if f"{key}_confidence" in columns}
    if rows and known != set(names):
        raise InputError(
            f"{out} holds the fields {', '.join(sorted(known)) or 'of something else'}; give the "
            "same ones to go on there, or another --out."
        )


def _schema(path: Path) -> dict[str, Any]:
    try:
        values = jsonlib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"{path} cannot be read as JSON: {error}.") from error
    if not isinstance(values, dict):
        raise InputError(f"{path} holds no JSON object.")
    return values


def _documents(sources: list[Path]) -> list[Path]:
    found: list[Path] = []
    for source in sources:
        if source.is_dir():
            found += sorted(p for p in source.rglob("*") if p.suffix.lower() in SUFFIXES)
        elif source.is_file():
            found.append(source)
        else:
            raise InputError(f"{source} does not exist.")
    if not found:
        raise InputError(f"No document in {', '.join(map(str, sources))}.")
    return list(dict.fromkeys(found))


def _read_rows(path: Path) -> list[dict[str, Any]]:
    """Rows of an earlier run; a last line that was cut off is dropped from the file."""
    if not path.is_file():
        return []
    rows, kept = [], 0
    for line in path.read_bytes().splitlines(keepends=True):
        try:
            rows.append(jsonlib.loads(line))
        except ValueError:
            break
        kept += len(line)
    with path.open("r+b") as file:
        file.truncate(kept)
    return rows


def _read_table(path: Path) -> list[dict[str, Any]]:
    """Rows of a table that was finished before."""
    if path.suffix == ".parquet":
        return _parquet().read_table(path).to_pylist()
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    if rows and "file" not in rows[0]:
        raise InputError(f"{path} is no table of this command: it has no column 'file'.")
    return rows


def _parquet() -> Any:
    try:
        import pyarrow.parquet
    except ImportError as error:
        raise InputError(
            "Parquet needs pyarrow: pip install latentvlm[eval]; or write .csv."
        ) from error
    return pyarrow.parquet


def write_table(out: Path, rows: list[dict[str, Any]]) -> None:
    """Rows as a .csv or .parquet file; a reader never gets half of one."""
    columns = list(dict.fromkeys(name for row in rows for name in row)) or ["file"]
    with written_whole(out) as part:
        if out.suffix == ".parquet":
            parquet = _parquet()
            from pyarrow import Table

            parquet.write_table(Table.from_pylist(rows), part)
        else:
            with part.open("w", encoding="utf-8", newline="") as file:
                writer = csv.DictWriter(file, columns)
                writer.writeheader()
                writer.writerows(rows)
