"""A question whose media are open and whose ids are known: all that is left is to run the model."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from ..data.chat import Message
from ..data.media import Page
from ..data.media.clip import VideoReport
from ..data.model_inputs import ModelInputs
from ..token_reduction.evs import EVSConfig
from .answer import CitedPage
from .citations import Looked
from .limits import ModelLimits
from .reasoning import ThoughtSteer
from .sampling import GenerationConfig
from .token_writer import Constraint


@dataclass(frozen=True, kw_only=True)
class Prepared:
    """One prompt, on the CPU, and how it is answered.

    Attributes:
        inputs: the prompt.
        config: how the answer is written.
        new_steer: what leads one answer through its thought; each answer has its own.
        new_constraint: what one answer must look like; each answer has its own.
        end_ids, context_length, limits: of the model.
        warnings: what is already known to be doubtful.
        messages: the conversation, with pages and frames in it.
        evs: in force for videos that do not ask for their own.
        pages: what is shown, in order.
        frames: which frames of each video are seen.
        cite: tells the page of a finished answer, given the first token after its thought; None
            where there is nothing to tell.
        is_cancelled: asked before every token.
        media_s: seconds that it took to get here.
    """

    inputs: ModelInputs
    config: GenerationConfig
    new_steer: Callable[[], ThoughtSteer]
    new_constraint: Callable[[], Constraint | None]
    end_ids: tuple[int, ...]
    context_length: int | None
    limits: ModelLimits
    warnings: Sequence[str]
    messages: Sequence[Message] = field(repr=False)
    evs: EVSConfig | None = None
    pages: Sequence[Page] = field(repr=False)
    frames: Sequence[VideoReport] = field(repr=False)
    cite: Callable[[Looked, int], tuple[CitedPage, ...]] | None
    is_cancelled: Callable[[], bool]
    media_s: float
