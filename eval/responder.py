"""Our own model as something that answers requests."""

import hashlib
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import LatentVLMError, MediaError
from ..vlm.conversation import question_message
from ..vlm.explaining import can_look
from ..vlm.sampling import GenerationConfig
from .attention import attention_record
from .concurrent import answered
from .samples import Request, Response

if TYPE_CHECKING:
    from ..vlm.answer import Answer
    from ..vlm.engine import Engine
    from ..vlm.explaining import Watch
    from ..vlm.vlm import VLM


class VLMResponder:
    """Answers greedily.

    Args:
        vlm: the model.
        name: what reports call it; with `fingerprint` it also tells its answers from another's.
        arguments: further keyword arguments of `VLM.ask`: dpi, frames, evs, token_budget, ...
        max_tokens: in place of what a request says.
        stops_on_error: whether anything that the model raises ends the run.
        batch: how many requests are read and written together, by the engine.
        looks: whether it is kept where each answer looked, if the model can tell; that takes a
            second pass over the answer's tokens, which is not counted in its seconds.
        engine: which engine, if several responders share one and what it has encoded.
    """

    def __init__(
        self,
        vlm: "VLM",
        *,
        name: str,
        arguments: Mapping[str, Any] | None = None,
        max_tokens: int | None = None,
        stops_on_error: bool = False,
        batch: int = 1,
        looks: bool = False,
        engine: "Engine | None" = None,
    ):
        self.vlm = vlm
        self.name = name
        self.arguments = dict(arguments or {})
        self.max_tokens = max_tokens
        self.stops_on_error = stops_on_error
        self.batch = batch
        self.looks = looks and can_look(vlm.model)
        self.engine = engine

    def generate(self, requests: Iterable[Request]) -> Iterator[Response]:
        """Answers each request; one that cannot be answered becomes a response with its error."""
        if (shared := self.engine) is not None:
            yield from answered(requests, lambda each: self._answer(each, shared), self.batch)
            return
        if self.batch == 1:
            for request in requests:
                yield self._answer(request, self.vlm)
            return
        from ..vlm.engine import Engine
        from ..vlm.engine_config import EngineConfig

        with Engine(self.vlm, EngineConfig(max_batch=self.batch)) as engine:
            yield from answered(requests, lambda each: self._answer(each, engine), self.batch)

    def _answer(self, request: Request, asked: "VLM | Engine") -> Response:
        begin = time.perf_counter()
        config = GenerationConfig(max_tokens=self.max_tokens or request.max_tokens)
        try:
            media = [sources(each) for each in request.media]
            answer, watch = self._ask(asked, request.question, media, config)
        except Exception as error:  # a model of one's own may raise anything
            if self.stops_on_error:
                raise
            return failed(request, error, begin)
        return Response(
            id=request.id,
            text=answer.text,
            confidence=answer.confidence,
            finish_reason=answer.finish_reason,
            answer_tokens=answer.usage.answer_tokens,
            seconds=time.perf_counter() - begin - (watch.seconds if watch else 0.0),
            details=_details(answer) | _attention(watch),
        )

    def _ask(
        self, asked: "VLM | Engine", question: str, media: Sequence[Any], config: GenerationConfig
    ) -> "tuple[Answer, Watch | None]":
        if not (self.looks and media):
            return asked.ask(question, *media, generation=config, **self.arguments), None
        from ..vlm.answer_stream import AnswerStream
        from ..vlm.asking import make_request
        from ..vlm.engine import Engine
        from ..vlm.explaining import Watch

        messages = [question_message(question, media)]
        request = make_request(messages, generation=config, **self.arguments)
        watch = Watch(self.vlm, self.vlm.prepare(request))
        if isinstance(asked, Engine):
            (stream,) = asked.submit(watch.prepared, wait=True)
        else:
            stream = AnswerStream(self.vlm.model, watch.prepared)
        return stream.read(), watch


def sources(medium: Any) -> Any:
    """A medium as `VLM.ask` takes it; a stored one is read."""
    return medium.source() if hasattr(medium, "source") else medium


def failed(request: Request, error: BaseException, begin: float) -> Response:
    """The response to a request that could not be answered."""
    text = str(error) if isinstance(error, LatentVLMError) else f"{type(error).__name__}: {error}"
    seconds = time.perf_counter() - begin
    return Response(
        id=request.id,
        text="",
        finish_reason="error",
        error=text,
        seconds=seconds,
        details={"is_bad_media": True} if isinstance(error, MediaError) else {},
    )


def _details(answer: "Answer") -> dict[str, Any]:
    """What it took and what was seen, for the record."""
    usage, timing = answer.usage, answer.timing
    details: dict[str, Any] = {
        "prompt_tokens": usage.prompt_tokens,
        "visual_tokens": usage.visual_tokens,
        "visual_tokens_before": usage.visual_tokens_before,
        "time_to_first_token_s": round(timing.time_to_first_token_s, 4),
        "encode_s": round(timing.encode_s, 4),
        "prefill_s": round(timing.prefill_s, 4),
        "decode_s": round(timing.decode_s, 4),
        "image_grids": usage.image_grids,
    }
    if answer.reasoning:
        details["reasoning"] = answer.reasoning
    if answer.warnings:
        details["warnings"] = answer.warnings
    if answer.pages:
        details["looked_at"] = [
            {"index": each.index, "number": each.number, "confidence": round(each.confidence, 4)}
            for each in answer.pages
        ]
    if usage.videos:
        details["videos"] = [asdict(each) for each in usage.videos]
    if answer.frames:
        details["frames"] = [
            {
                "indices": each.indices,
                "timestamps": [round(float(t), 3) for t in each.timestamps],
                "way": each.way,
                "backend": each.backend,
            }
            for each in answer.frames
        ]
    return details


def _attention(watch: "Watch | None") -> dict[str, Any]:
    seen = [] if watch is None else attention_record(watch.explanation())
    return {"attention": seen} if seen else {}


def fingerprint(folder: str | Path) -> str:
    """A checksum of a model's weights and configuration, the tokenizer's included."""
    digest = hashlib.sha256()
    for path in sorted(Path(folder).iterdir()):
        if path.suffix in (".safetensors", ".json", ".jinja"):
            digest.update(path.name.encode("utf-8"))
            with path.open("rb") as file:
                digest.update(hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest()[:12]
