"""Every option of a question, declared once: `VLM.ask` and its sisters take them by keyword."""

import difflib
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypedDict

from ..data.frame_choice import FrameChoice
from ..data.media.clip import VideoLimits
from ..data.media.page_range import PageChoice
from ..data.media.types import MediaLimits
from ..token_reduction.evs import EVSConfig
from ..token_reduction.reuse import ReuseConfig
from .constraint import AnswerFormat
from .sampling import GenerationConfig


class AskOptions(TypedDict, total=False):
    """How a question is asked; each is given by keyword, and all may be left out.

    Example:
        ```python
        import latentvlm

        options: latentvlm.AskOptions = {"dpi": 72, "token_budget": 256}
        print(latentvlm.load().ask("What is the total?", "invoice.pdf", **options).usage)
        ```

    Attributes:
        pages: which pages of each document, such as "1-3,7" or [1, 2]; None is all.
        dpi: at which PDF pages are drawn; None is 96.
        media_limits: what opening one picture or document may cost, in bytes, pixels and pages;
            None is `MediaLimits()`.
        text_layer: also give the model the text that PDF pages carry, beside their pictures;
            unasked it is never read. `Answer.usage` says how much there was.
        generation: how the answer is written; None is greedy, at most 256 tokens.
        thinking: whether the model thinks aloud first; None is what it does unasked.
        thinking_budget: tokens after which its thought is closed, at the end of a sentence.
        low_effort: ask for a short thought, of a model that was taught to.
        tools: what it may call, each as `{"type": "function", "function": {"name": ...,
            "description": ..., "parameters": JSON schema}}`.
        tool_choice: "auto" leaves it to the model whether it calls one; "required" makes it call
            one, the name of a tool that one. A thought before the call is free.
        answer_format: a JSON schema that the answer follows, token by token, or "json" for any
            JSON object; a thought before it is free.
        evs: which visual tokens of videos are dropped (docs/evs.md); None is what the checkpoint's
            `video_pruning_rate` says, `EVSConfig()` none.
        evs_rate: the share that is dropped, short for `EVSConfig(rate=...)`.
        frames: which frames of videos are seen: a `FrameChoice`, how many, or "uniform", "steps"
            or "scene"; None is what the model's processor says.
        video_limits: what reading one video may cost, in bytes, seconds, pixels, frames, memory and
            time; None is `VideoLimits()`.
        token_budget: the most visual tokens of all pages and videos together; pages share it
            fairly, and none is dropped. Pages that would not fit the context are made smaller
            unasked. `Answer.usage` and a warning say what was reduced.
        reuse: when patches of a video that did not change are not encoded again; None encodes
            every frame anew.
        is_cancelled: asked before every token; `threading.Event().is_set`, for example.
    """

    pages: PageChoice
    dpi: float | None
    media_limits: MediaLimits | None
    text_layer: bool
    generation: GenerationConfig | None
    thinking: bool | None
    thinking_budget: int | None
    low_effort: bool
    tools: Sequence[Mapping[str, Any]]
    tool_choice: str
    answer_format: AnswerFormat | None
    evs: EVSConfig | None
    evs_rate: float | None
    frames: FrameChoice | int | str | None
    video_limits: VideoLimits | None
    token_budget: int | None
    reuse: ReuseConfig | None
    is_cancelled: Callable[[], bool]


_IN_TRANSFORMERS = {
    "max_new_tokens": "max_tokens",
    "stop_strings": "stop",
    "eos_token_id": "stop_ids",
}


def require_known(given: Mapping[str, Any]) -> None:
    """Refuse what is no option, as Python does a wrong keyword, with the nearest that is.

    What belongs into `GenerationConfig` is said to, by the names that transformers has for it too.

    Raises:
        TypeError: there is no such option.
    """
    for name in given.keys() - AskOptions.__optional_keys__:
        key = _IN_TRANSFORMERS.get(name, name)
        if key in GenerationConfig.__dataclass_fields__:
            raise TypeError(
                f"there is no option {name!r}; give "
                f"generation=latentvlm.GenerationConfig({key}={given[name]!r})"
            )
        near = difflib.get_close_matches(name, AskOptions.__optional_keys__, n=1)
        hint = f"; did you mean {near[0]!r}" if near else ""
        raise TypeError(f"there is no option {name!r}{hint}")
