"""From a question to the stream that answers it: what `VLM` does behind each of its verbs."""

import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Unpack

from ..data.chat import Message
from ..data.chat_style import ChatStyle
from ..data.frame_choice import FrameChoice
from ..data.media.clip import DEFAULT_VIDEO_LIMITS, VideoLimits
from ..data.media.page_range import PageChoice
from ..data.media.types import DEFAULT_LIMITS, MediaLimits
from ..data.model_inputs import ModelInputs
from ..data.processor import Processor
from ..data.video import read_evs
from ..errors import ConfigError, InputError, PromptError
from ..token_reduction.evs import EVSConfig
from ..token_reduction.reuse import ReuseConfig
from .answer_parts import AnswerReader
from .ask_options import AskOptions, require_known
from .citations import cite
from .constraint import AnswerFormat, new_constraint
from .conversation import OpenedConversation, open_conversation
from .generate import never
from .language_model import LanguageModel
from .limit_warnings import (
    budget_warnings,
    page_warnings,
    question_warnings,
    text_layer_warnings,
)
from .limits import ModelLimits
from .markup import Markup
from .prepared import Prepared
from .prompt import Model
from .reasoning import Thinking, ThoughtSteer
from .sampling import GenerationConfig
from .tool_grammar import Grammar, call_grammar
from .video_parts import VideoOpener, video_warnings

_ROOM = 4  # pages leave this part of the context to the answer, or less if it may be no longer


@dataclass(frozen=True, kw_only=True)
class Request:
    """What is asked, and how; `begin` is when, by `time.perf_counter`."""

    messages: Sequence[Message]
    pages: PageChoice = None
    dpi: float | None = None
    text_layer: bool = False
    generation: GenerationConfig | None = None
    thinking: Thinking = Thinking()
    tools: Sequence[Mapping[str, Any]] = ()
    tool_choice: str = "auto"
    answer_format: AnswerFormat | Grammar | None = None
    is_cancelled: Callable[[], bool] = never
    evs: EVSConfig | None = None
    frames: FrameChoice = FrameChoice()
    video_limits: VideoLimits | None = None
    media_limits: MediaLimits | None = None
    token_budget: int | None = None
    reuse: ReuseConfig | None = None
    begin: float = field(default_factory=time.perf_counter)


def make_request(messages: Sequence[Message], **options: Unpack[AskOptions]) -> Request:
    """A request from the arguments of `VLM.chat`, which says what they mean.

    Raises:
        ConfigError: an option has no such value.
        TypeError: there is no such option.
    """
    require_known(options)
    rest: dict[str, Any] = dict(options)
    return Request(
        messages=messages,
        thinking=Thinking(
            is_on=rest.pop("thinking", None),
            budget=rest.pop("thinking_budget", None),
            low_effort=rest.pop("low_effort", False),
        ),
        evs=read_evs(rest.pop("evs", None), rest.pop("evs_rate", None)),
        frames=FrameChoice.of(rest.pop("frames", None)),
        **rest,
    )


def open_pages(
    model: Model,
    processor: Processor,
    messages: Sequence[Message],
    *,
    pages: PageChoice,
    dpi: float | None,
    frames: FrameChoice,
    text_layer: bool = False,
    video_limits: VideoLimits | None = None,
    media_limits: MediaLimits | None = None,
) -> OpenedConversation:
    """The messages with their pages and frames, for a model that can see them.

    Raises:
        PromptError, MediaError: as `open_conversation`.
        InputError: a picture or a video comes to a model of text.
        ConfigError: `video_limits` or `media_limits` are none.
    """
    if isinstance(model, LanguageModel) and any(map(_shows, messages)):
        raise InputError("This checkpoint reads text only; it has no part that sees pictures.")
    for name, given, kind in (
        ("video_limits", video_limits, VideoLimits),
        ("media_limits", media_limits, MediaLimits),
    ):
        if given is not None and not isinstance(given, kind):
            raise ConfigError(
                f"{name} is a {type(given).__name__}; give latentvlm.{kind.__name__}(...)."
            )
    videos = VideoOpener(
        processor=processor, choice=frames, limits=video_limits or DEFAULT_VIDEO_LIMITS
    )
    return open_conversation(
        messages,
        videos=videos,
        pages=pages,
        dpi=dpi,
        text_layer=text_layer,
        limits=media_limits or DEFAULT_LIMITS,
    )


def _shows(message: Any) -> bool:
    """Whether a message holds anything to see."""
    content = message.get("content") if isinstance(message, Mapping) else None
    parts = content if isinstance(content, Sequence) and not isinstance(content, str) else ()
    kinds = [part.get("type") for part in parts if isinstance(part, Mapping)]
    return any(kind in ("image", "media", "video") for kind in kinds)


def prepare_answer(
    model: Model,
    processor: Processor,
    request: Request,
    *,
    limits: ModelLimits,
    end_ids: Collection[int],
    context_length: int | None,
) -> Prepared:
    """A question whose media are open, ready to be answered alone or among others.

    Raises:
        PromptError, MediaError, ConfigError: something in the request cannot be.
    """
    config, thinking = request.generation or GenerationConfig(), request.thinking
    if not isinstance(config, GenerationConfig):
        raise ConfigError(
            f"generation is a {type(config).__name__}; give latentvlm.GenerationConfig(...)."
        )
    style = processor.style
    opened = open_pages(
        model,
        processor,
        request.messages,
        pages=request.pages,
        dpi=request.dpi,
        frames=request.frames,
        text_layer=request.text_layer,
        video_limits=request.video_limits,
        media_limits=request.media_limits,
    )
    evs = request.evs or own_evs(model)
    inputs = processor(
        opened.messages,
        thinking=thinking.is_on,
        low_effort=thinking.low_effort,
        tools=request.tools,
        evs=evs,
        token_budget=request.token_budget,
        answer_room=min(config.max_tokens, (context_length or 0) // _ROOM),
        reuse=request.reuse,
    )
    last = opened.messages[-1]["role"]
    if last in ("assistant", "system"):
        raise PromptError(f"The last message is of the {last}; end with the user's question.")
    if thinking.budget is not None:
        style.check_thinks()
    warnings = [
        *budget_warnings(opened.pages, inputs.images),
        *page_warnings(limits, opened.pages, inputs.images, dpi=request.dpi),
        *question_warnings(limits, opened.question),
        *video_warnings(opened.videos),
        *text_layer_warnings(limits, opened.pages),
    ]
    if request.tools and not style.calls:
        warnings.append(
            "The chat template does not say how tools are called, so calls stay in the text."
        )
    forced_call = call_grammar(processor, request.tools, request.tool_choice)
    if forced_call is not None and request.answer_format is not None:
        raise ConfigError("tool_choice forces a call and answer_format JSON; ask for one of them.")
    citing = None
    if limits.citations is not None and len(opened.pages) > 1:
        image_id, how = processor.image_token_id, limits.citations
        citing = partial(cite, pages=opened.pages, image_id=image_id, how=how)
    return Prepared(
        inputs=inputs,
        config=config,
        new_steer=lambda: make_steer(processor, inputs, thinking, config, tools=request.tools),
        new_constraint=new_constraint(
            processor, forced_call or request.answer_format, end_ids, model
        ),
        end_ids=tuple(end_ids),
        context_length=context_length,
        limits=limits,
        warnings=warnings,
        messages=opened.messages,
        evs=evs,
        pages=opened.pages,
        frames=opened.videos,
        cite=citing,
        is_cancelled=request.is_cancelled,
        media_s=time.perf_counter() - request.begin,
    )


def make_steer(
    processor: Processor,
    inputs: ModelInputs,
    thinking: Thinking,
    config: GenerationConfig,
    *,
    tools: Sequence[Mapping[str, Any]] = (),
) -> ThoughtSteer:
    """What keeps the thought of one answer within its budget; for one prompt, used once.

    Raises:
        ConfigError: there is a budget, but the chat template has no thought.
    """
    style = processor.style
    if thinking.budget is not None:
        style.check_thinks()
    markup = find_markup(processor, style, tools)
    return ThoughtSteer(
        AnswerReader(processor.decode, markup, opens_thought=inputs.opens_thought),
        encode=processor.encode,
        tags=style.thought,
        close_id=processor.tag_id(style.thought.close) if style.thought else None,
        budget=thinking.budget,
        grace=thinking.grace(config),
        is_wanted=thinking.is_wanted,
    )


def own_evs(model: Model) -> EVSConfig | None:
    """How a checkpoint's own configuration has videos pruned when nobody says."""
    if isinstance(model, LanguageModel) or not model.config.video_pruning_rate:
        return None
    return EVSConfig(rate=model.config.video_pruning_rate)


def find_markup(
    processor: Processor, style: ChatStyle, tools: Sequence[Mapping[str, Any]]
) -> Markup:
    """The tags of one answer: around a thought if there can be one, around calls if tools are."""
    calls = style.calls if tools else ()
    tags = Markup(thought=style.thought, calls=calls).tags
    ids = {idx: tag for tag in tags if (idx := processor.tag_id(tag)) is not None}
    return Markup(thought=style.thought, calls=calls, tag_ids=ids, tools=tools)
