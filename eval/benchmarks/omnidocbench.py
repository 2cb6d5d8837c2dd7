"""OmniDocBench, its text: pages to be written out. L. Ouyang et al., CVPR 2025.

The gold is the text of the page's blocks in reading order, and the score one minus the edits over
the longer text, for the whole page. The authors match block with block first; tables and formulas
are not graded here. So this is no OmniDocBench score but its text part, on the page.
"""

from collections.abc import Mapping
from typing import Any

from ...errors import DataError
from ..metrics import Gold
from .benchmark import Benchmark, Draft
from .row import Row

_TEXT = ("title", "text_block", "code_txt", "reference", "list")


def _read(row: Row) -> Draft:
    info = row.get("page_info")
    if not isinstance(info, Mapping) or not info.get("image_path"):
        raise DataError("it has no page_info.image_path")
    about = info.get("page_attribute") or {}
    text = page_text(row.get("layout_dets", default=[]), row.get("extra", default={}))
    if not text:
        raise DataError("its page has no text")
    return Draft(
        id=f"omnidocbench/{info['image_path']}",
        values={"question": ""},
        media=(row.file(str(info["image_path"]), folders=("images",)),),
        gold=Gold(answers=(text,)),
        kind=str(about.get("data_source", about.get("language", ""))),
    )


def page_text(blocks: Any, extra: Any) -> str:
    """The text blocks in reading order; one cut in two by a page or column is joined."""
    joined: dict[Any, Any] = {}
    for relation in (extra or {}).get("relation", ()) if isinstance(extra, Mapping) else ():
        if relation.get("relation_type") == "truncated":
            joined[relation.get("target_anno_id")] = relation.get("source_anno_id")
    found = [
        block
        for block in blocks
        if block.get("category_type") in _TEXT and not block.get("ignore") and block.get("text")
    ]
    found.sort(key=lambda block: (block.get("order") is None, block.get("order") or 0))
    lines: dict[Any, str] = {}
    for idx, block in enumerate(found):
        head = block.get("anno_id", f"block {idx}")
        while head in joined and joined[head] in lines:
            head = joined[head]
        lines[head] = f"{lines[head]} {block['text']}" if head in lines else str(block["text"])
    return "\n".join(lines.values()).strip()


OMNIDOCBENCH = Benchmark(
    name="omnidocbench",
    title="OmniDocBench text",
    splits={"test": ("OmniDocBench.json", "**/OmniDocBench.json")},
    put="OmniDocBench.json and images/ of huggingface.co/datasets/opendatalab/OmniDocBench.",
    read=_read,
    prompts={
        "": "Write out all text of this page in reading order, as it stands. Leave out figures. "
        "Write nothing else.{question}"
    },
    metric="edit_similarity",
    max_tokens=4096,
)
