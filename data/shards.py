"""WebDataset tar shards: writing them whole or not at all, and reading them record by record.

A record is two tar members that share a key: `KEY.png` (or any picture Pillow opens) and
`KEY.json` with what is known of the picture (lines, characters, questions, seed, ...). Of a video
there is a picture a frame, `KEY.000.png`, `KEY.001.png` and so on, and the JSON has `timestamps`,
the second of each. A document of several pages is `KEY.png`, `KEY.page2.png`, `KEY.page3.png` and
so on. Its `qas` are `[kind, question, answer]` or `{"question": ..., "answer": ..., "kind": ...}`.
The tar grouping is `webdataset`'s; decoding, naming of errors and counting of skips are here.
"""

from __future__ import annotations

import io
import json
import os
import re
import warnings
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
from PIL import Image
from webdataset.tariterators import group_by_keys, tar_file_iterator
from webdataset.writer import TarWriter

from ..errors import DataError

OnError = Literal["raise", "warn", "skip"]
PICTURES = ("png", "jpg", "jpeg", "webp")
_PAGE = re.compile(rf"page(\d+)\.(?:{'|'.join(PICTURES)})")
_FRAME = re.compile(rf"\d+\.({'|'.join(PICTURES)})")


@dataclass(frozen=True, kw_only=True)
class Record:
    """One picture or video and what is known of it.

    Attributes:
        key: name of the record, unique in its shard.
        image: uint8 `(height, width, 3)`; of a video its first frame, of a document its first page.
        more_pages: the other pages of a document, of any sizes.
        meta: the JSON beside the picture.
        frames: of a video, uint8 `(frames, height, width, 3)`.
        timestamps: of a video, the second of each frame.
    """

    key: str
    image: np.ndarray
    meta: dict[str, Any] = field(default_factory=dict)
    frames: np.ndarray | None = None
    timestamps: tuple[float, ...] = ()
    more_pages: tuple[np.ndarray, ...] = ()

    @property
    def pages(self) -> tuple[np.ndarray, ...]:
        """All pages in order."""
        return (self.image, *self.more_pages)

    def questions(self) -> list[tuple[str, str, str]]:
        """Kind, question and answer of each of its `qas`; a kind that is not said is "asked".

        Raises:
            DataError: one is not of that form; the message names the record.
        """
        found = []
        for qa in self.meta.get("qas") or ():
            values = qa
            if isinstance(qa, dict):
                values = [qa.get("kind", "asked"), qa.get("question"), qa.get("answer")]
            if not (
                isinstance(values, list | tuple)
                and len(values) == 3
                and all(isinstance(value, str) for value in values)
            ):
                raise DataError(
                    f"record {self.key!r} has the question {qa!r}; it must be [kind, question, "
                    "answer], or have the keys question and answer, as text"
                )
            found.append((values[0], values[1], values[2]))
        return found


def write_shard(path: str | Path, records: Iterable[Record]) -> int:
    """Write records to a tar file; the file appears under its name only once it is complete.

    The bytes are a function of the records alone (no times, no user names).

    Returns:
        The number of records written.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    count = 0
    try:
        with TarWriter(str(part), user="", group="", mtime=0, compress=False) as tar:
            for record in records:
                tar.write({"__key__": record.key, **_encode(record)})
                count += 1
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)
    return count


class ShardReader:
    """Reads shards one after the other and counts what it had to leave out.

    Args:
        on_error: what to do with a record that cannot be read: `raise` a `DataError`, `warn`
            and go on, or `skip` silently. A shard that breaks off mid-way loses its tail only.
    """

    def __init__(self, on_error: OnError = "raise"):
        self.on_error = on_error
        self.skipped = 0

    def read(self, path: str | Path, *, start: int = 0) -> Iterator[tuple[int, Record]]:
        """Yield `(offset, record)` from a shard, from record `start` on.

        Offsets count every record of the tar, also those left out, so that they name the same
        record whatever `on_error` is.

        Raises:
            DataError: the shard is missing, or a record is broken and `on_error` is `raise`;
                the message names the shard and the key.
        """
        path = Path(path)
        if not path.is_file():
            raise DataError(f"shard {path} does not exist; draw it again or correct the path")
        last_key = None
        with path.open("rb") as stream:
            samples = group_by_keys(_members(stream))
            offset = -1
            while True:
                try:
                    sample = next(samples)
                except StopIteration:
                    return
                except Exception as error:  # whatever a damaged tar makes tarfile raise
                    place = f"after record {last_key!r}" if last_key else "at its start"
                    self._left_out(f"shard {path} is damaged {place} ({error})", error)
                    return
                offset += 1
                last_key = sample["__key__"]
                if offset < start:
                    continue
                try:
                    record = _decode(sample)
                except Exception as error:
                    self._left_out(f"record {last_key!r} of shard {path}: {error}", error)
                    continue
                yield offset, record

    def _left_out(self, message: str, cause: Exception) -> None:
        if self.on_error == "raise":
            raise DataError(message) from cause
        self.skipped += 1
        if self.on_error == "warn":
            warnings.warn(f"left out: {message}", stacklevel=3)


def _members(stream: Any) -> Iterator[dict[str, Any]]:
    for member in tar_file_iterator(stream):
        yield {**member, "__url__": ""}


def _encode(record: Record) -> dict[str, bytes]:
    """Members of a record: what follows its key, and what they hold."""
    meta, pictures = record.meta, {"png": record.image}
    if record.frames is not None:
        meta = {**meta, "timestamps": list(record.timestamps)}
        pictures = {f"{idx:03d}.png": frame for idx, frame in enumerate(record.frames)}
    pictures |= {f"page{idx}.png": page for idx, page in enumerate(record.more_pages, start=2)}
    values = json.dumps(meta, separators=(",", ":")).encode()
    return {"json": values, **{name: _png(each) for name, each in pictures.items()}}


def _decode(sample: dict[str, Any]) -> Record:
    meta = json.loads(sample["json"]) if "json" in sample else {}
    if names := sorted((name for name in sample if _FRAME.fullmatch(name)), key=_frame_number):
        return _decode_video(sample, names, meta)
    name = next((suffix for suffix in PICTURES if suffix in sample), None)
    if name is None:
        raise DataError(f"it has no picture ({', '.join(PICTURES)})")
    return Record(
        key=sample["__key__"],
        image=_pixels(sample[name]),
        meta=meta,
        more_pages=tuple(_pixels(sample[page]) for page in _page_names(sample)),
    )


def _page_names(sample: dict[str, Any]) -> list[str]:
    """The members of the second page and those after it, none of them missing."""
    numbers = {int(found[1]): name for name in sample if (found := _PAGE.fullmatch(name))}
    if sorted(numbers) != list(range(2, len(numbers) + 2)):
        raise DataError(f"its pages are numbered 1 and {sorted(numbers)}; one is missing")
    return [numbers[number] for number in sorted(numbers)]


def _decode_video(sample: dict[str, Any], names: list[str], meta: dict[str, Any]) -> Record:
    frames = [_pixels(sample[name]) for name in names]
    times = meta.pop("timestamps", None)
    if not isinstance(times, list) or not all(isinstance(each, int | float) for each in times):
        raise DataError("its frames have no timestamps, a list of seconds in its JSON")
    if len(times) != len(frames) or any(a > b for a, b in zip(times, times[1:], strict=False)):
        raise DataError(
            f"it has {len(frames)} frames and {len(times)} timestamps; one each, that never fall"
        )
    if len({frame.shape for frame in frames}) > 1:
        raise DataError("its frames are not all of one size")
    return Record(
        key=sample["__key__"],
        image=frames[0],
        meta=meta,
        frames=np.stack(frames),
        timestamps=tuple(map(float, times)),
    )


def _frame_number(name: str) -> int:
    return int(name.split(".")[0])


def _pixels(data: bytes) -> np.ndarray:
    with Image.open(io.BytesIO(data)) as picture:
        return np.asarray(picture.convert("RGB"))


def _png(image: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    # Level 1: shards are read once and thrown away, so time matters more than bytes.
    Image.fromarray(image).save(buffer, format="PNG", compress_level=1)
    return buffer.getvalue()
