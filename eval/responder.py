"""Our own model as something that answers requests."""

import hashlib
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import LatentVLMError
from ..vlm.sampling import GenerationConfig
from .samples import Request, Response

if TYPE_CHECKING:
    from ..vlm.api import VLM


class VLMResponder:
    """Answers greedily, one request at a time.

    Args:
        vlm: the model.
        name: what reports call it; with `fingerprint` it also tells its answers from another's.
    """

    def __init__(self, vlm: "VLM", *, name: str):
        self.vlm = vlm
        self.name = name

    def generate(self, requests: Iterable[Request]) -> Iterator[Response]:
        """Answers each request; one that cannot be answered becomes a response with its error."""
        for request in requests:
            begin = time.perf_counter()
            config = GenerationConfig(max_tokens=request.max_tokens)
            try:
                answer = self.vlm.ask(request.question, request.image, generation=config)
            except LatentVLMError as error:
                seconds = time.perf_counter() - begin
                yield Response(
                    id=request.id, text="", finish_reason="error", error=str(error), seconds=seconds
                )
                continue
            yield Response(
                id=request.id,
                text=answer.text,
                confidence=answer.confidence,
                finish_reason=answer.finish_reason,
                answer_tokens=answer.usage.answer_tokens,
                seconds=time.perf_counter() - begin,
            )


def fingerprint(folder: str | Path) -> str:
    """A checksum of a model's weights and configuration, the tokenizer's included."""
    digest = hashlib.sha256()
    for path in sorted(Path(folder).iterdir()):
        if path.suffix in (".safetensors", ".json", ".jinja"):
            digest.update(path.name.encode("utf-8"))
            with path.open("rb") as file:
                digest.update(hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest()[:12]
