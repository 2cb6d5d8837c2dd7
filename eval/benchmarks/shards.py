"""Rows of WebDataset tar shards."""

import json
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..media import TarMember
from .row import BadRow

_PICTURES = ("png", "jpg", "jpeg", "webp", "gif", "bmp", "tif", "tiff", "pdf")
_VIDEOS = ("mp4", "mkv", "webm", "avi", "mov")


@dataclass
class _Shard:
    key: str = ""
    values: dict[str, Any] = field(default_factory=dict)
    problem: str = ""


def read_shards(path: Path) -> Iterator[tuple[int, dict[str, Any] | BadRow]]:
    """One row for each key: its JSON, its texts, and its media as `image`, `video` and `images`."""
    for number, shard in enumerate(_shards(path), start=1):
        where = f"{path.name} {shard.key}"
        if shard.problem:
            yield number, BadRow(where=where, reason=shard.problem)
        else:
            yield number, {"__key__": shard.key, **shard.values}


def _shards(path: Path) -> Iterator[_Shard]:
    shard = _Shard()
    try:
        with tarfile.open(path, "r:") as tar:
            for member in tar:
                if not member.isfile():
                    continue
                folder, _, name = member.name.rpartition("/")
                key, _, suffix = name.partition(".")
                key = f"{folder}/{key}" if folder else key
                if key != shard.key:
                    if shard.key:
                        yield shard
                    shard = _Shard(key=key)
                _add_member(shard, tar, member, suffix.lower(), path)
    except tarfile.TarError as error:
        shard.problem = f"the shard breaks off here: {error}"
    if shard.key or shard.problem:
        yield shard


def _add_member(
    shard: _Shard, tar: tarfile.TarFile, member: tarfile.TarInfo, suffix: str, path: Path
) -> None:
    last = suffix.rsplit(".", 1)[-1]
    stored = TarMember(
        path=str(path), offset=member.offset_data, size=member.size, member=member.name
    )
    if last in _PICTURES:
        shard.values.setdefault("image", stored)
        shard.values.setdefault("images", []).append(stored)
        shard.values[suffix] = stored
        return
    if last in _VIDEOS:
        shard.values["video"] = stored
        return
    content = tar.extractfile(member)
    data = content.read() if content else b""
    try:
        if last == "json":
            values = json.loads(data)
            media = {k: v for k, v in shard.values.items() if k in ("image", "images", "video")}
            shard.values.update({**values, **media} if isinstance(values, dict) else {})
            if not isinstance(values, dict):
                shard.problem = f"{member.name} is no JSON object"
        elif last in ("txt", "cls", "question", "answer"):
            shard.values[suffix] = data.decode("utf-8").strip()
    except ValueError as error:
        shard.problem = f"{member.name} cannot be read: {error}"
