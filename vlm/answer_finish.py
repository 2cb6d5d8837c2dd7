"""What is said of an answer once it has ended: counts, times, confidence, warnings."""

from typing import Protocol

from torch import Tensor

from ..data.model_inputs import ModelInputs
from ..data.video_transform import VideoInfo
from .answer import Answer, ReasoningFinish, Timing, Usage, VideoUsage, confidence_of
from .answer_text import AnswerText
from .limit_warnings import confidence_warnings
from .prepared import Prepared
from .reasoning import ThoughtSteer
from .token_writer import TokenWriter


class Run(Protocol):
    """What ran the model: for one answer alone, or for many.

    Attributes:
        inputs: the prompt as it was read, without what EVS dropped.
        writer: what chose the tokens.
        waiting_s, encode_s, prefill_s, decode_s: seconds.
        num_dropped: tokens that EVS dropped.
    """

    inputs: ModelInputs
    writer: TokenWriter
    waiting_s: float
    encode_s: float
    prefill_s: float
    decode_s: float
    num_dropped: int

    def look(self, first: int = 0) -> Tensor | None:
        """As `Generation.look`."""
        ...


def finish_answer(prepared: Prepared, run: Run, steer: ThoughtSteer, shown: AnswerText) -> Answer:
    """The answer that `run` wrote and `steer` read."""
    writer, inputs, reader, text = run.writer, run.inputs, steer.reader, shown.text
    logprobs = tuple(choice.logprob for choice in writer.choices)
    num_prompt, num_answer = inputs.input_ids.shape[0], len(logprobs)
    confidence = confidence_of(logprobs[reader.answer_begin :])
    first_s = prepared.media_s + run.waiting_s + run.encode_s + run.prefill_s
    # Who stops an answer wants its place free, not another pass over it.
    cite = None if writer.finish_reason == "cancelled" else prepared.cite
    return Answer(
        text=text,
        confidence=confidence,
        reasoning=shown.reasoning,
        reasoning_finish=_reasoning_finish(writer, steer),
        tool_calls=tuple(reader.calls),
        warnings=(
            *prepared.warnings,
            *reader.warnings,
            *_end_warnings(prepared, writer, steer, text, confidence),
        ),
        pages=() if cite is None else cite(run, reader.answer_begin),
        frames=tuple(prepared.frames),
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
            text_layer_characters=(
                tuple(len(page.text or "") for page in prepared.pages)
                if any(page.text is not None for page in prepared.pages)
                else ()
            ),
        ),
        timing=Timing(
            media_s=prepared.media_s,
            waiting_s=run.waiting_s,
            encode_s=run.encode_s,
            prefill_s=run.prefill_s,
            decode_s=run.decode_s,
            time_to_first_token_s=first_s,
            tokens_per_s=(num_answer - 1) / run.decode_s if run.decode_s else 0.0,
            total_s=first_s + run.decode_s,
            evs_saved_s=run.prefill_s * run.num_dropped / num_prompt,
        ),
        finish_reason=writer.finish_reason or "stop",
        token_ids=tuple(choice.id for choice in writer.choices),
        answer_begin=reader.answer_begin,
        logprobs=logprobs,
        top_logprobs=tuple(choice.top for choice in writer.choices if choice.top),
    )


def _reasoning_finish(writer: TokenWriter, steer: ThoughtSteer) -> ReasoningFinish | None:
    if not steer.reader.has_thought:
        return None
    if steer.in_thought:
        return writer.finish_reason
    return steer.closed_by or "stop"


def _end_warnings(
    prepared: Prepared, writer: TokenWriter, steer: ThoughtSteer, text: str, confidence: float
) -> list[str]:
    what = "The answer was cut off" + (" inside its thought" if steer.in_thought else "")
    shorter = "a thinking_budget" if steer.in_thought else ""
    if writer.finish_reason == "length":
        way_out = f"raise max_tokens{' or give ' if shorter else ''}{shorter}"
        return [f"{what} after {writer.config.max_tokens} tokens; {way_out}."]
    if writer.finish_reason == "context":
        way_out = f"give {shorter}{' or ' if shorter else ''}fewer pages"
        return [f"{what} as the context of {writer.context_length} tokens is full; {way_out}."]
    if writer.finish_reason == "cancelled":
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
    return [*found, *confidence_warnings(prepared.limits, confidence)]


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
