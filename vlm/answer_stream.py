"""An answer as it is written: pieces of text first, the `Answer` at the end."""

import time
from collections.abc import Callable, Iterator, Sequence

from ..data.media.clip import VideoReport
from ..data.video_transform import VideoInfo
from ..errors import InputError
from .answer import Answer, CitedPage, ReasoningFinish, Timing, Usage, VideoUsage, confidence_of
from .answer_parts import AnswerPiece
from .generate import Generation
from .limits import ModelLimits, confidence_warnings
from .reasoning import ThoughtSteer
from .text_stream import StopFinder


class AnswerStream(Iterator[str]):
    """Iterate it for pieces of text, which joined are `answer.text`; nothing runs ahead.

    `parts()` gives the pieces of the thought as well, which are `answer.reasoning`.

    Args:
        generation: not yet started.
        steer: what `generation` shows its tokens to.
        limits: what the model was trained for.
        warnings: what is already known to be doubtful.
        frames: which frames of each video are seen.
        cite: tells the page of a finished answer, given the first token after its thought.
        begin: when the question was asked, by `time.perf_counter`; now its inputs are ready.
    """

    def __init__(
        self,
        generation: Generation,
        *,
        steer: ThoughtSteer,
        limits: ModelLimits,
        warnings: Sequence[str],
        frames: Sequence[VideoReport] = (),
        cite: Callable[[Generation, int], tuple[CitedPage, ...]] = lambda generation, first: (),
        begin: float,
    ) -> None:
        self._generation = generation
        self._steer = steer
        self._limits = limits
        self._warnings = tuple(warnings)
        self._frames = tuple(frames)
        self._cite = cite
        self._media_s = time.perf_counter() - begin
        self._answer: Answer | None = None
        self._pieces = self._run()

    def __next__(self) -> str:
        for piece in self._pieces:
            if piece.kind == "text":
                return piece.text
        raise StopIteration

    def parts(self) -> Iterator[AnswerPiece]:
        """Pieces of the thought and of the answer, in the order in which they are written."""
        return self._pieces

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

    def _run(self) -> Iterator[AnswerPiece]:
        generation, reader = self._generation, self._steer.reader
        finder = StopFinder(generation.config.stop)
        shown: dict[str, list[str]] = {"reasoning": [], "text": []}

        def pieces() -> Iterator[AnswerPiece]:
            for piece in reader.take():
                text = finder.feed(piece.text) if piece.kind == "text" else piece.text
                if text:
                    shown[piece.kind].append(text)
                    yield AnswerPiece(piece.kind, text)

        for _ in generation:
            yield from pieces()
            if finder.is_found:
                generation.finish_reason = "stop"
                break
        else:
            reader.finish()
            yield from pieces()
            if finder.is_found:
                generation.finish_reason = "stop"
            if rest := finder.finish():
                shown["text"].append(rest)
                yield AnswerPiece("text", rest)
        self._answer = self._finished("".join(shown["text"]), "".join(shown["reasoning"]))

    def _finished(self, text: str, reasoning: str) -> Answer:
        generation, inputs = self._generation, self._generation.inputs
        reader = self._steer.reader
        logprobs = tuple(choice.logprob for choice in generation.choices)
        num_prompt, num_answer = inputs.input_ids.shape[0], len(logprobs)
        confidence = confidence_of(logprobs[reader.answer_begin :])
        first_s = self._media_s + generation.encode_s + generation.prefill_s
        decode_s = generation.decode_s
        return Answer(
            text=text,
            confidence=confidence,
            reasoning=reasoning,
            reasoning_finish=self._reasoning_finish(),
            tool_calls=tuple(reader.calls),
            warnings=(*self._warnings, *reader.warnings, *self._end_warnings(text, confidence)),
            frames=self._frames,
            pages=self._cite(generation, reader.answer_begin),
            usage=Usage(
                prompt_tokens=num_prompt,
                text_tokens=num_prompt - inputs.visual_tokens,
                visual_tokens=inputs.visual_tokens,
                visual_tokens_before=inputs.visual_tokens_before,
                videos=tuple(video_usage(info) for info in inputs.videos),
                answer_tokens=num_answer,
                reasoning_tokens=reader.num_thought_tokens,
                image_grids=tuple(info.grid for info in inputs.images),
                page_tokens=tuple(info.visual_tokens for info in inputs.images),
                page_tokens_before=tuple(info.visual_tokens_before for info in inputs.images),
            ),
            timing=Timing(
                media_s=self._media_s,
                encode_s=generation.encode_s,
                prefill_s=generation.prefill_s,
                decode_s=decode_s,
                time_to_first_token_s=first_s,
                tokens_per_s=(num_answer - 1) / decode_s if decode_s else 0.0,
                total_s=first_s + decode_s,
                evs_saved_s=generation.prefill_s * generation.num_dropped / num_prompt,
            ),
            finish_reason=generation.finish_reason or "stop",
            token_ids=tuple(choice.id for choice in generation.choices),
            logprobs=logprobs,
        )

    def _reasoning_finish(self) -> ReasoningFinish | None:
        if not self._steer.reader.has_thought:
            return None
        if self._steer.in_thought:
            return self._generation.finish_reason
        return self._steer.closed_by or "stop"

    def _end_warnings(self, text: str, confidence: float) -> list[str]:
        generation, steer = self._generation, self._steer
        what = "The answer was cut off" + (" inside its thought" if steer.in_thought else "")
        shorter = "a thinking_budget" if steer.in_thought else ""
        if generation.finish_reason == "length":
            way_out = f"raise max_tokens{' or give ' if shorter else ''}{shorter}"
            return [f"{what} after {generation.config.max_tokens} tokens; {way_out}."]
        if generation.finish_reason == "context":
            way_out = f"give {shorter}{' or ' if shorter else ''}fewer pages"
            return [
                f"{what} as the context of {generation.context_length} tokens is full; {way_out}."
            ]
        if generation.finish_reason == "cancelled":
            return []
        found = []
        if steer.closed_by == "turn":
            found.append(
                "The model ended its turn inside its thought, which was closed for it; check the "
                "answer."
            )
        if steer.is_wanted and not steer.reader.has_thought:
            found.append("The model did not think, although it was asked to; give thinking=True.")
        if steer.reader.has_thought and not text and not steer.reader.calls:
            found.append("The model thought but gave no answer; ask again, or without thinking.")
            return found
        return [*found, *confidence_warnings(self._limits, confidence)]


def video_usage(info: VideoInfo) -> VideoUsage:
    """What became of one video of a prompt that was read."""
    kept = info.kept_per_tubelet
    step = -(-info.num_frames // len(kept))
    encoded = info.encoded_patches
    return VideoUsage(
        visual_tokens_before=info.visual_tokens,
        visual_tokens=sum(kept),
        kept_per_tubelet=kept,
        timestamps=info.timestamps[::step],
        patches=info.num_patches,
        patches_encoded=info.num_patches if encoded is None else encoded,
    )
