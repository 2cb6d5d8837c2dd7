"""The report of one run in Markdown."""

from collections.abc import Mapping
from typing import Any

from .page import percent


def run_markdown(manifest: Mapping[str, Any], result: Mapping[str, Any]) -> str:
    """Score, counts, kinds, cost and what went wrong."""
    benchmark, counts = manifest["benchmark"], result["counts"]
    lines = [
        f"# {benchmark['title']} ({benchmark['split']}): {result['model']}",
        "",
        f"**{percent(result['score'])}** (95% interval {percent(result['low'])} to "
        f"{percent(result['high'])}) of {result['n']:,} questions; metric {result['metric']}, "
        f"profile {result['profile']}, manifest {result['manifest']}.",
        "",
        f"Of the answers {counts['empty']} were empty, {counts['unparsed']} unparsed, "
        f"{counts['cut_off']} cut off, {counts['failed']} failed; {counts['bad_media']} questions "
        f"had a picture that cannot be opened, {len(result['bad_rows'])} rows could not be asked.",
        "",
    ]
    for name, value in result["further"].items():
        lines += [f"{name}: {percent(value['score'])}", ""]
    if len(result["kinds"]) > 1:
        lines += ["| kind | score | interval | questions |", "| --- | --- | --- | --- |"]
        for kind, cell in result["kinds"].items():
            interval = f"{percent(cell['low'])} to {percent(cell['high'])}"
            lines.append(
                f"| {_cell(kind) or '-'} | {percent(cell['score'])} | {interval} | {cell['n']} |"
            )
        lines.append("")
    lines += ["| cost | on average |", "| --- | --- |"]
    lines += [
        f"| {name.replace('_', ' ')} | {value} |"
        for name, value in result["cost"].items()
        if value is not None
    ]
    problems = [(row["where"], row["reason"]) for row in result["bad_rows"]]
    problems += [(row["id"], row["error"]) for row in result["failures"]]
    if problems:
        lines += ["", "| what went wrong | why |", "| --- | --- |"]
        lines += [f"| {_cell(where)} | {_cell(why)} |" for where, why in problems[:100]]
    return "\n".join(lines) + "\n"


def _cell(text: str) -> str:
    return " ".join(str(text).split()).replace("|", "\\|")
