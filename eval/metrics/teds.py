"""Tree-edit-distance similarity of tables, charts and page structure.

X. Zhong, E. ShafieiBavani and A. Jimeno Yepes, "Image-based table recognition", ECCV 2020, section
5, as OCRBench v2 uses it: for HTML and Markdown tables, for charts as a table of key and value, and
with another cost for the outline of a page.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ...errors import MissingDependencyError
from .edits import edit_distance
from .literal import read_literal
from .tree_distance import Node, tree_distance


@dataclass(frozen=True)
class _Cell:
    """A node of a table: its tag and, for `td`, what it spans and holds character by character."""

    tag: str
    columns: int = 0
    rows: int = 0
    content: tuple[str, ...] = ()


def _change(a: _Cell, b: _Cell) -> float:
    if (a.tag, a.columns, a.rows) != (b.tag, b.columns, b.rows):
        return 1.0
    longest = max(len(a.content), len(b.content))
    return edit_distance(a.content, b.content) / longest if longest else 0.0


def _parse(table: str) -> Any:
    """The first table of a page of HTML, or None; raises ValueError if it is no HTML."""
    try:
        from lxml import html
        from lxml.etree import LxmlError
    except ImportError:
        raise MissingDependencyError(
            'Tables are compared with lxml, which is not installed: pip install "latentvlm[eval]".'
        ) from None
    parser = html.HTMLParser(remove_comments=True, encoding="utf-8")
    try:
        found = html.fromstring(table, parser=parser).xpath("body/table")
    except LxmlError as error:
        raise ValueError(str(error)) from error
    return found[0] if found else None


def _tokens(element: Any) -> list[str]:
    tokens = [f"<{element.tag}>", *(element.text or "")]
    for child in element:
        tokens += _tokens(child)
    tokens.append(f"</{element.tag}>")
    return tokens if element.tag == "td" else [*tokens, *(element.tail or "")]


def _tree(element: Any) -> Node:
    if element.tag != "td":
        return Node(_Cell(element.tag), [_tree(child) for child in element])
    span = (int(element.get("colspan", "1")), int(element.get("rowspan", "1")))
    return Node(_Cell("td", *span, tuple(_tokens(element)[1:-1])))


def teds(prediction: str, gold: str) -> float:
    """Similarity of two HTML pages' first tables: 1 for the same table, 0 if either has none.

    May be below 0 for tables that share nothing.

    Raises:
        ValueError: one of them is no HTML, or spans no whole number of cells, or both are empty.
        MissingDependencyError: lxml is not installed.
    """
    if not prediction or not gold:
        return 0.0
    trees = [_parse(prediction), _parse(gold)]
    if any(tree is None for tree in trees):
        return 0.0
    nodes = max(len(tree.xpath(".//*")) for tree in trees)
    if not nodes:
        raise ValueError("both tables are empty")
    return 1.0 - tree_distance(_tree(trees[0]), _tree(trees[1]), _change) / nodes


def html_teds(prediction: str, gold: str) -> float:
    """TEDS of a reply that has a table in HTML somewhere; 0 if it has none or it cannot be read."""
    reply = prediction.replace("\n", "")
    start = reply.find("<body") if "<body" in reply else reply.find("<table")
    if start < 0:
        return 0.0
    return _teds_or_zero(_whole_page(reply[start:]), _whole_page(gold))


def _whole_page(table: str) -> str:
    """The table with the tags around it that are missing."""
    table = table.replace("\n", "")
    opens, closes = "<table" in table, "</table>" in table
    table = ("" if opens else "<table>") + table + ("" if closes else "</table>")
    for tag in ("body", "html"):
        if f"<{tag}>" not in table:
            table = f"<{tag}>{table}</{tag}>"
    return table


def _page_of_rows(rows: str) -> str:
    return f"<html><body><table>{rows}</table></body></html>"


def markdown_teds(prediction: str, gold: str) -> float:
    """TEDS of two tables in Markdown; the second line, under the head, is left out unread."""
    return _teds_or_zero(_markdown_page(prediction), _markdown_page(gold))


def _teds_or_zero(prediction: str, gold: str) -> float:
    try:
        return teds(prediction, gold)
    except ValueError:
        return 0.0


def _markdown_page(table: str) -> str:
    # A set of characters goes at both ends, as the authors wrote it, not the words.
    lines = table.strip("`markdown").strip("`").strip().split("\n")
    rows = [line.strip().split("|")[1:-1] for line in [lines[0], *lines[2:]]]
    cells = (
        "".join(f"<td>{' ' if set(cell) == {' '} else cell.strip()}</td>" for cell in row)
        for row in rows
    )
    return _page_of_rows("".join(f"<tr>{row}</tr>" for row in cells)).replace("\n", "")


def chart_teds(prediction: str, gold: Mapping[Any, Any]) -> float:
    """TEDS of a chart's values as a Python mapping that the reply holds; 0 if there is none."""
    values = _mapping(prediction)
    return _teds_or_zero(_chart_page(values), _chart_page(gold)) if values else 0.0


def _mapping(reply: str) -> dict[Any, Any]:
    fenced = re.findall(r"```(?:python|json)?\n(.*?)\n```", reply, re.DOTALL | re.IGNORECASE)
    text = max(fenced, key=len) if fenced else reply.strip()
    text = re.sub(r"#.*", "", re.sub(r"^\s*\w+\s*=\s*", "", text.strip(), count=1))
    text = text[: text.rfind("}") + 1] or text
    try:
        value = read_literal(text)
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}


def _chart_page(values: Mapping[Any, Any]) -> str:
    # A blank after every character of the value, as the authors wrote it.
    rows = (
        f"  <tr><td>{key}</td><td>{' '.join(str(value))}</td></tr>" for key, value in values.items()
    )
    return "<html><body><table>\n" + "".join(f"{row}\n" for row in rows) + "</table></body></html>"


_CLEANED = (
    (r"<bos>|<eos>|<pad>|<unk>", ""),
    (r"\s##(\S)", r"\1"),
    (r"\\\s", r"\\"),
    (r"\s\*\s\*\s", "**"),
    (r"{\s", "{"),
    (r"\s}", "}"),
    (r"\s}", "}"),
    (r"\\(begin|end)\s", r"\\\1"),
    (r"\\end{table}", r"\\end{table}   "),
    (r"[\n*_]", " "),
)


def outline_similarity(prediction: str, gold: str) -> float:
    """How far two pages of Markdown have the same headings and lines, whatever these say.

    Each line is a node under the heading above it. A line is as good as any other, and only a blank
    line differs, also from another blank line.
    """
    ours, theirs = _outline(prediction), _outline(gold)
    distance = tree_distance(ours, theirs, lambda a, b: float(not a.split() or not b.split()))
    return 1 - distance / max(len(ours), len(theirs))


def _outline(page: str) -> Node:
    root = Node("ROOT", [Node("TITLE")])
    heading = ""
    for line in page.split("\n"):
        for pattern, replacement in _CLEANED:
            line = re.sub(pattern, replacement, line)
        if line.startswith("#"):
            heading = line.replace("#", "")
            root.children.append(Node(heading))
        else:
            under = _found(root, heading or "TITLE") or root
            under.children.append(Node(line))
    return root


def _found(node: Node, label: str) -> Node | None:
    """The first node so labelled: of two headings that are alike, all lines go to the first."""
    if node.label == label:
        return node
    return next((found for child in node.children if (found := _found(child, label))), None)
