"""An answer as it is written: pieces of text first, the `Answer` at the end."""

import time
from collections.abc import Callable, Iterator, Sequence

from ..errors import InputError
from .answer import Answer, Timing, Usage, confidence_of
from .generate import Generation
from .limits import ModelLimits, confidence_warnings
from .text_stream import StopFinder, TokenDecoder


class AnswerStream(Iterator[str]):
    """Iterate it for pieces of text, which joined are `answer.text`; nothing runs ahead.

    Args:
        generation: not yet started.
        decode: ids to text.
        limits: what the model was trained for.
        warnings: what is already known to be doubtful.
        begin: when the question was asked, by `time.perf_counter`; now its inputs are ready.
    """

    def __init__(
        self,
        generation: Generation,
        *,
        decode: Callable[[Sequence[int]], str],
        limits: ModelLimits,
        warnings: Sequence[str],
        begin: float,
    ) -> None:
        self._generation = generation
        self._decode = decode
        self._limits = limits
        self._warnings = tuple(warnings)
        self._media_s = time.perf_counter() - begin
        self._answer: Answer | None = None
        self._pieces = self._run()

    def __next__(self) -> str:
        return next(self._pieces)

    @property
    def answer(self) -> Answer:
        """The finished answer.

        Raises:
            InputError: the stream was not read to its end.
        """
        if self._answer is None:
            raise InputError("The answer is known once its stream was read to the end; read on.")
        return self._answer

    def read(self) -> Answer:
        """Read to the end."""
        for _ in self:
            pass
        return self.answer

    def _run(self) -> Iterator[str]:
        generation = self._generation
        decoder, finder = TokenDecoder(self._decode), StopFinder(generation.config.stop)
        shown: list[str] = []
        for choice in generation:
            piece = finder.feed(decoder.feed(choice.id))
            if finder.is_found:
                generation.finish_reason = "stop"
            if piece:
                shown.append(piece)
                yield piece
            if finder.is_found:
                break
        if not finder.is_found:
            piece = finder.feed(decoder.finish())
            piece += finder.finish()
            if piece:
                shown.append(piece)
                yield piece
        self._answer = self._finished("".join(shown))

    def _finished(self, text: str) -> Answer:
        generation, inputs = self._generation, self._generation.inputs
        logprobs = tuple(choice.logprob for choice in generation.choices)
        num_prompt, num_answer = inputs.input_ids.shape[0], len(logprobs)
        confidence = confidence_of(logprobs)
        first_s = self._media_s + generation.encode_s + generation.prefill_s
        decode_s = generation.decode_s
        return Answer(
            text=text,
            confidence=confidence,
            warnings=(*self._warnings, *self._end_warnings(confidence)),
            usage=Usage(
                prompt_tokens=num_prompt,
                text_tokens=num_prompt - inputs.visual_tokens,
                visual_tokens=inputs.visual_tokens,
                answer_tokens=num_answer,
                image_grids=tuple(info.grid for info in inputs.images),
            ),
            timing=Timing(
                media_s=self._media_s,
                encode_s=generation.encode_s,
                prefill_s=generation.prefill_s,
                decode_s=decode_s,
                time_to_first_token_s=first_s,
                tokens_per_s=(num_answer - 1) / decode_s if decode_s else 0.0,
                total_s=first_s + decode_s,
            ),
            finish_reason=generation.finish_reason or "stop",
            token_ids=tuple(choice.id for choice in generation.choices),
            logprobs=logprobs,
        )

    def _end_warnings(self, confidence: float) -> list[str]:
        generation = self._generation
        if generation.finish_reason == "length":
            most = generation.config.max_tokens
            return [f"The answer was cut off after {most} tokens; raise max_tokens."]
        if generation.finish_reason == "context":
            return [
                f"The answer was cut off as the context of {generation.context_length} tokens is "
                "full; give fewer pages."
            ]
        if generation.finish_reason == "cancelled":
            return []
        return confidence_warnings(self._limits, confidence)
