"""The report of one run."""

import json
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..media import shown_media
from ..whole_file import write_whole
from .markdown import run_markdown
from .page import bar, definitions, figures, heat_key, page, percent, stack, table, tools
from .shown import shown_pictures

if TYPE_CHECKING:
    from ..scoring import Graded

HTML_FILE, MARKDOWN_FILE = "report.html", "report.md"
_EXAMPLES = 12
_ROWS = 2000
_LABELS = {
    "empty": "empty",
    "unparsed": "unparsed",
    "cut_off": "cut off",
    "failed": "model failed",
    "bad_media": "picture unreadable",
}


def write_report(
    folder: str | Path,
    manifest: Mapping[str, Any],
    result: Mapping[str, Any],
    graded: Sequence["Graded"],
) -> None:
    """Writes `report.html` and `report.md` into a run's folder.

    Raises:
        DataError: they cannot be written.
    """
    folder = Path(folder)
    write_whole(folder / HTML_FILE, run_html(folder, manifest, result, graded))
    write_whole(folder / MARKDOWN_FILE, run_markdown(manifest, result))


def run_html(
    folder: Path,
    manifest: Mapping[str, Any],
    result: Mapping[str, Any],
    graded: Sequence["Graded"],
) -> str:
    """The report as one HTML file."""
    title = f"{manifest['benchmark']['title']}: {result['model']}"
    return page(
        title,
        [
            _head(manifest, result),
            _summary(result, graded),
            _kinds(result),
            _examples(folder, graded),
            _cost(result),
            _problems(result),
            _every_answer(graded),
            _papers(manifest),
        ],
    )


def _head(manifest: Mapping[str, Any], result: Mapping[str, Any]) -> str:
    benchmark = manifest["benchmark"]
    return (
        f"<h1>{escape(benchmark['title'])} <span class=soft>({escape(benchmark['split'])})</span>"
        f"</h1><p class=soft>{escape(result['model'])}, {result['n']:,} questions, metric "
        f"{escape(result['metric'])} by the rules of <b>{escape(result['profile'])}</b>, "
        f"manifest {escape(result['manifest'])}</p>"
    )


def _summary(result: Mapping[str, Any], graded: Sequence["Graded"]) -> str:
    counts = result["counts"]
    usual = [each for each in graded if each.outcome == "graded"]
    right = sum(each.grade.score == 1 for each in usual)
    wrong = sum(each.grade.score == 0 for each in usual)
    parts = [
        ("right", "right", right),
        ("partly right", "part", len(usual) - right - wrong),
        ("wrong", "wrong", wrong),
        *((label, "other", counts[name]) for name, label in _LABELS.items()),
    ]
    further = "".join(
        f"<p>{escape(name)}: <b>{percent(value['score'])}</b></p>"
        for name, value in result["further"].items()
    )
    chance = result["chance"]
    guess = (
        f"<p class='small soft'>The kit would guess where nothing can be read: "
        f"{percent(chance)} on average, not counted here.</p>"
        if chance
        else ""
    )
    return (
        '<div class="top"><div class="card">'
        f'<div class="score">{100 * result["score"]:.1f}<small>%</small></div>'
        f"<p class=soft>95% interval {percent(result['low'])} to {percent(result['high'])}</p>"
        f"{bar(result['score'], result['low'], result['high'])}{further}{guess}</div>"
        f'<div class="card"><p style="margin-top:0"><b>What became of the answers</b></p>'
        f"{stack(parts)}<p class='small soft'>Empty, unparsed, cut-off and failed answers are "
        "wrong under the strict rules, and none is left out.</p></div></div>"
    )


def _kinds(result: Mapping[str, Any]) -> str:
    kinds = result["kinds"]
    if len(kinds) < 2:
        return ""
    rows = [
        (
            escape(kind or "(none)"),
            bar(cell["score"], cell["low"], cell["high"]),
            percent(cell["score"]),
            f"{percent(cell['low'], 0)} to {percent(cell['high'], 0)}",
            str(cell["n"]),
        )
        for kind, cell in sorted(kinds.items(), key=lambda item: -item[1]["score"])
    ]
    inner = table(("kind", "", "score", "interval", "questions"), rows, (2, 3, 4), 1)
    return f'<h2>By kind</h2><div class="card">{inner}</div>'


def choose_examples(graded: Sequence["Graded"], most: int = _EXAMPLES) -> list["Graded"]:
    """Wrong and right answers, as many of each kind as there is room for."""
    chosen: list[Graded] = []
    for is_right in (False, True):
        pool = [each for each in graded if each.is_right == is_right]
        kinds: dict[str, list[Graded]] = {}
        for each in pool:
            kinds.setdefault(each.line.get("kind", ""), []).append(each)
        taken: list[Graded] = []
        while len(taken) < most and any(kinds.values()):
            for waiting in kinds.values():
                if waiting and len(taken) < most:
                    taken.append(waiting.pop(0))
        chosen += taken
    return chosen


def _examples(folder: Path, graded: Sequence["Graded"]) -> str:
    chosen = choose_examples(graded)
    cards = [_card(folder, each) for each in chosen]
    right = sum(each.is_right for each in chosen)
    labels = {
        "": ("all", len(chosen)),
        "wrong": ("wrong", len(chosen) - right),
        "right": ("right", right),
    }
    kinds = sorted({each.line.get("kind", "") for each in chosen})
    key = heat_key() if any('class="heat"' in card for card in cards) else ""
    return (
        f"<h2>Examples</h2>{tools(labels, kinds)}{key}"
        f'<div class="examples">{"".join(cards)}</div>'
        '<p id="none" class="soft" hidden>No example of this sort was kept.</p>'
    )


def _card(folder: Path, each: "Graded") -> str:
    line, response = each.line, each.response
    pictures, note = shown_pictures(shown_media(line, folder), response.details)
    state = "right" if each.grade.score == 1 else "part" if each.grade.score > 0 else "wrong"
    label = _LABELS.get(each.outcome) or {"part": f"{percent(each.grade.score, 0)} right"}.get(
        state, state
    )
    seen = [frame["timestamps"] for frame in response.details.get("frames", ()) or ()]
    facts = definitions(
        (
            ("answer", response.text or response.error or "(nothing)"),
            ("right", " | ".join(str(answer) for answer in each.gold.answers)),
            ("read as", each.grade.taken if each.grade.taken != response.text else ""),
            ("read from", read_from(response.details)),
            ("frames at", "; ".join(", ".join(f"{t:.1f}" for t in times) for times in seen)),
        )
    )
    kind = line.get("kind", "")
    kind_tag = f'<span class="tag kind">{escape(kind)}</span>' if kind else ""
    sure = "" if response.confidence is None else f", confidence {response.confidence:.2f}"
    tokens = response.details.get("visual_tokens")
    took = f"{response.seconds:.2f} s" + (f", {tokens} visual tokens" if tokens else "") + sure
    return (
        f'<article class="card example" data-is="{"right" if each.is_right else "wrong"}" '
        f'data-kind="{escape(kind)}">{figures(pictures)}<div class="body">'
        f'<span class="tag {state}">{escape(label)}</span>{kind_tag}'
        f'<div class="q">{escape(line["question"])}</div>{facts}'
        f'<p class="small soft">{escape(each.id)}: {took}. {escape(note)}</p></div></article>'
    )


def read_from(details: Mapping[str, Any]) -> str:
    """The pages that the model says it read the answer from."""
    pages = details.get("looked_at") or ()
    return ", ".join(
        f"page {page['number'] or page['index'] + 1} ({percent(page['confidence'], 0)})"
        for page in pages
    )


def _cost(result: Mapping[str, Any]) -> str:
    cost = result["cost"]
    names = {
        "seconds": ("seconds an answer", "{:.2f}"),
        "time_to_first_token_s": ("seconds to the first token", "{:.2f}"),
        "prompt_tokens": ("tokens of the prompt", "{:.0f}"),
        "visual_tokens": ("of them visual", "{:.0f}"),
        "visual_tokens_before": ("visual, had nothing been reduced", "{:.0f}"),
        "answer_tokens": ("tokens of the answer", "{:.1f}"),
        "seconds_total": ("seconds of all answers together", "{:.1f}"),
    }
    rows = [
        (label, form.format(cost[name]))
        for name, (label, form) in names.items()
        if cost.get(name) is not None
    ]
    return f'<h2>Cost</h2><div class="card">{table(("on average", ""), rows, (1,))}</div>'


def _problems(result: Mapping[str, Any]) -> str:
    bad = [(escape(row["where"]), escape(row["reason"])) for row in result["bad_rows"]]
    bad += [(escape(row["id"]), escape(row["error"])) for row in result["failures"]]
    if not bad:
        return ""
    more = f"<p class=soft>and {len(bad) - 100} more</p>" if len(bad) > 100 else ""
    return (
        f"<h2>What went wrong ({len(bad)})</h2>"
        f'<div class="card scroll">{table(("where", "why"), bad[:100])}{more}</div>'
    )


def _every_answer(graded: Sequence["Graded"]) -> str:
    rows = [
        (
            escape(each.id),
            escape(each.line["question"][:300]),
            escape(each.response.text[:300] or each.response.error),
            escape(" | ".join(str(answer)[:200] for answer in each.gold.answers[:4])),
            f"{each.grade.score:.2f}",
            escape(_LABELS.get(each.outcome, "")),
        )
        for each in graded[:_ROWS]
    ]
    head = ("id", "question", "answer", "right", "score", "")
    inner = table(head, rows, (4,))
    left = len(graded) - len(rows)
    note = f"<p class=soft>{left:,} more are in responses-model.jsonl.</p>" if left else ""
    return (
        f"<h2>Every answer</h2><details><summary>Show {len(rows):,}</summary>"
        f'<div class="card scroll">{inner}</div>{note}</details>'
    )


def _papers(manifest: Mapping[str, Any]) -> str:
    kept = json.loads(json.dumps(manifest))
    ids = kept["benchmark"]["sample_ids"]
    kept["benchmark"]["sample_ids"] = ids[:5] + ([f"... {len(ids)} in all"] if len(ids) > 5 else [])
    text = json.dumps(kept, indent=2, ensure_ascii=False)
    return (
        "<h2>How to get this score again</h2><p>Everything that decided it stands in "
        f"manifest.json.</p><details><summary>Show</summary><pre>{escape(text)}</pre></details>"
    )
