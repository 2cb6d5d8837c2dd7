"""What comes back from a question: values, with reprs that fit on a line."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from ..data.media.clip import VideoReport
from .tool_calls import ToolCall

FinishReason = Literal["stop", "length", "context", "cancelled"]
ReasoningFinish = Literal["stop", "budget", "turn", "length", "context", "cancelled"]


@dataclass(frozen=True, kw_only=True)
class VideoUsage:
    """What one video took.

    Example:
        ```python
        import latentvlm

        vlm = latentvlm.load("my-model")
        usage = vlm.ask("What happens?", "clip.mp4", evs_rate=0.75).usage.videos[0]
        print(usage.visual_tokens_before, "->", usage.visual_tokens, usage.kept_per_tubelet)
        ```

    Attributes:
        visual_tokens_before: without EVS.
        visual_tokens: in the prompt.
        kept_per_tubelet: of each tubelet, in order.
        timestamps: the second at which each tubelet begins.
        patches, patches_encoded: how many patches its tubelets have, and how many of them the
            tower ran on: all of them without reuse.
    """

    visual_tokens_before: int
    visual_tokens: int
    kept_per_tubelet: tuple[int, ...]
    timestamps: tuple[float, ...]
    patches: int
    patches_encoded: int


@dataclass(frozen=True, kw_only=True)
class Usage:
    """What an answer took, in tokens.

    Example:
        ```python
        import latentvlm

        usage = latentvlm.load().ask("What is the total?", "invoice.png").usage
        print(usage.text_tokens, "of text,", usage.visual_tokens, "of pictures")
        ```

    Attributes:
        prompt_tokens: all tokens read; `text_tokens` and `visual_tokens` add up to it.
        visual_tokens_before: what `visual_tokens` would be had nothing been reduced.
        videos: one for each video, in order.
        answer_tokens: all tokens written, the thought and the end token included.
        reasoning_tokens: those of the thought, with the tag that closes it.
        image_grids: of each page the grid it was cut into, in patches (rows, columns).
        page_tokens: of each page its visual tokens.
        page_tokens_before: what they would be without a budget, or with room in the context.
        text_layer_characters: of each page how much text of its file was given beside its
            picture; empty unless a text layer was asked for.
    """

    prompt_tokens: int
    text_tokens: int
    visual_tokens: int
    answer_tokens: int
    visual_tokens_before: int = 0
    videos: tuple[VideoUsage, ...] = ()
    reasoning_tokens: int = 0
    image_grids: tuple[tuple[int, int], ...] = ()
    page_tokens: tuple[int, ...] = ()
    page_tokens_before: tuple[int, ...] = ()
    text_layer_characters: tuple[int, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Timing:
    """Where the time went, in seconds.

    Example:
        ```python
        import latentvlm

        timing = latentvlm.load().ask("What is the total?", "invoice.png").timing
        print(f"first token after {timing.time_to_first_token_s:.2f} s")
        ```

    Attributes:
        media_s: opening pages, preparing pixels and ids.
        waiting_s: for a place among the answers that an engine writes at once.
        encode_s: vision tower and projector.
        prefill_s: reading the prompt, up to the first token.
        decode_s: writing the tokens after the first.
        time_to_first_token_s: the first four together.
        tokens_per_s: tokens after the first per second of `decode_s`; 0 if there are none.
        total_s: all of them; not what the reader of a stream did between two pieces.
        evs_saved_s: an estimate: `prefill_s` for each token of the prompt, times the tokens that
            EVS dropped. That attention costs more the longer a prompt is, and what decoding
            saves, is not counted in; nothing is saved before the language model.
    """

    media_s: float
    encode_s: float
    prefill_s: float
    decode_s: float
    time_to_first_token_s: float
    tokens_per_s: float
    total_s: float
    waiting_s: float = 0.0
    evs_saved_s: float = 0.0


@dataclass(frozen=True, kw_only=True)
class CitedPage:
    """A page that an answer was read from.

    Example:
        ```python
        import latentvlm

        vlm = latentvlm.load()
        answer = vlm.ask("What is the total?", "invoice.png", "invoice.pdf", token_budget=512)
        for page in answer.pages:
            print(page.source, page.number, page.confidence)
        ```

    Attributes:
        index: its place among the pages of the prompt, from 0.
        source: the file, or "bytes", "array" and the like.
        number: of the page in a PDF or TIFF, from 1; None for a single picture.
        confidence: the page's share of what the model looked at, in [0, 1].
    """

    index: int
    source: str
    number: int | None
    confidence: float


@dataclass(frozen=True, kw_only=True)
class Answer:
    """An answer, how sure the model is of it, and what it took.

    Example:
        ```python
        import latentvlm

        answer = latentvlm.load().ask("What is the total?", "invoice.png")
        print(answer.text, answer.confidence, answer.finish_reason)
        for sentence in answer.warnings:
            print(sentence)
        ```

    Attributes:
        text: the answer; without its end token, and without a stop text and what follows.
        reasoning: what the model thought before it, if it thinks aloud.
        reasoning_finish: why the thought ended: "stop" (the model ended it), "budget" (its
            tokens were used), "turn" (the model ended its turn inside it, so it was closed), or
            the `finish_reason` of an answer that never got out of it; None without a thought.
        tool_calls: the tools the model asks to be called, which `text` does not show.
        confidence: the geometric mean, in [0, 1], of the probabilities that the model itself
            (temperature 1, no filter, no penalty) gave to the tokens it chose after its thought,
            its end token included; 0 if it chose none. It is not calibrated: compare answers by
            it.
        warnings: a sentence for each thing that makes the answer doubtful, with what to do.
        frames: of each video which frames were seen, when they are shown, and how they were got.
        pages: the page the answer was read from, where there were several and it is clear from
            where the model looked (docs/documents.md); else empty.
        finish_reason: "stop" (the model ended, or a stop text or id came), "length"
            (max_tokens), "context" (the model's context is full) or "cancelled".
        token_ids: what was written, the end token included.
        answer_begin: how many of these come before the answer: its thought and the tags around it.
        logprobs: the log-probability of each of them at temperature 1.
        top_logprobs: for each of them the likeliest tokens in its place, with their
            log-probabilities; as many as `GenerationConfig.top_logprobs` says.
    """

    text: str
    confidence: float
    warnings: tuple[str, ...] = ()
    frames: tuple[VideoReport, ...] = field(default=(), repr=False)
    usage: Usage = field(repr=False)
    timing: Timing = field(repr=False)
    pages: tuple[CitedPage, ...] = ()
    finish_reason: FinishReason = "stop"
    reasoning: str = field(default="", repr=False)
    reasoning_finish: ReasoningFinish | None = field(default=None, repr=False)
    tool_calls: tuple[ToolCall, ...] = ()
    token_ids: tuple[int, ...] = field(default=(), repr=False)
    answer_begin: int = field(default=0, repr=False)
    logprobs: tuple[float, ...] = field(default=(), repr=False)
    top_logprobs: tuple[tuple[tuple[int, float], ...], ...] = field(default=(), repr=False)

    def __str__(self) -> str:
        return self.text

    def as_message(self) -> dict[str, Any]:
        """The turn of the assistant, for a conversation that goes on."""
        message: dict[str, Any] = {"role": "assistant", "content": self.text}
        if self.reasoning:
            message["reasoning_content"] = self.reasoning
        if self.tool_calls:
            message["tool_calls"] = [call.as_message() for call in self.tool_calls]
        return message


@dataclass(frozen=True, kw_only=True)
class Score:
    """Log-probabilities (natural, temperature 1) of a given answer to a prompt.

    Example:
        ```python
        import latentvlm

        vlm = latentvlm.load()
        names = ["Ford", "Smith & Sons"]
        scores = [vlm.score("Who is it from?", name, "invoice.png") for name in names]
        print(max(scores, key=lambda score: score.total + score.end_logprob).confidence)
        ```

    Attributes:
        total: the sum of `logprobs`.
        logprobs: one for each token of the answer.
        end_logprob: of ending there; `total + end_logprob` compares answers of different length.
        token_ids: the tokens of the answer.
    """

    total: float
    logprobs: tuple[float, ...] = field(repr=False)
    end_logprob: float
    token_ids: tuple[int, ...] = field(repr=False)

    @property
    def confidence(self) -> float:
        """What `Answer.confidence` would be, had the model chosen these tokens and ended."""
        return confidence_of([*self.logprobs, self.end_logprob])


def confidence_of(logprobs: Sequence[float]) -> float:
    """The geometric mean of probabilities given by their logarithms; 0 for none."""
    return math.exp(math.fsum(logprobs) / len(logprobs)) if logprobs else 0.0
