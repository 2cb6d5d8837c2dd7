"""A folder whose model was never taught videos: its chat template has no place for them."""

import shutil
from pathlib import Path

from latentvlm.data.tokenizer import CHAT_TEMPLATE


def copy_without_videos(folder: Path, target: Path) -> Path:
    """A copy of a folder that has the chat template of this package, less its place for videos."""
    shutil.copytree(folder, target)
    lines = CHAT_TEMPLATE.splitlines(keepends=True)
    kept = "".join(line for line in lines if "video" not in line)
    (target / "chat_template.jinja").write_text(kept)
    return target
