"""A checksum of all that a model is shown, which tells one request from another."""

import hashlib
import json
from collections.abc import Mapping
from typing import Any

import numpy as np

from .samples import Request


def request_hash(request: Request) -> str:
    """The same for the same question about the same media.

    A stored medium counts by its reference, not its bytes: nothing is read for it. The bytes that
    were really shown are named by `details["media"]` of each response.
    """
    digest = hashlib.sha256()
    pictures = [each for each in request.media if isinstance(each, np.ndarray)]
    shapes = pictures[0].shape if len(request.media) == len(pictures) == 1 else "media"
    head = f"{request.id}\n{request.question}\n{request.max_tokens}\n{shapes}\n"
    digest.update(head.encode("utf-8"))
    for medium in request.media:
        _add(digest, medium)
    return digest.hexdigest()[:16]


def _add(digest: Any, medium: Any) -> None:
    if isinstance(medium, np.ndarray):
        digest.update(medium.tobytes())
    elif isinstance(medium, Mapping):
        rest = {key: value for key, value in medium.items() if key != "frames"}
        digest.update(json.dumps(rest, default=str, sort_keys=True).encode("utf-8"))
        for frame in medium.get("frames", ()):
            _add(digest, frame)
    else:
        digest.update(json.dumps(medium.ref(), sort_keys=True).encode("utf-8") + b"\0")
