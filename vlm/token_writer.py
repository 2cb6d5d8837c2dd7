"""The tokens of one answer: what follows from logits, and when it ends.

Whoever runs the model shows it the logits after each token, alone or in a batch; nothing here
depends on what else is in the batch.

Letters: V vocabulary.
"""

from collections.abc import Collection
from typing import Protocol

from torch import Tensor

from ..data.model_inputs import ModelInputs
from .answer import FinishReason
from .prompt import Model, language_model, room_for_answer, vocab_size
from .reasoning import ThoughtSteer
from .sampling import Choice, GenerationConfig, Sampler


class Constraint(Protocol):
    """Which tokens an answer may go on with."""

    def allowed(self) -> Tensor:
        """Bool `(V,)`, on the CPU; true somewhere, if only for an end token."""
        ...

    def accept(self, idx: int) -> None:
        """A token was written, the end token included."""
        ...


class TokenWriter:
    """Takes logits, gives tokens.

    Attributes:
        config, context_length: as given.
        room: tokens the answer may have.
        choices: every token chosen so far, the end token included.
        finish_reason: why it ended; None while it goes on.
    """

    def __init__(
        self,
        model: Model,
        inputs: ModelInputs,
        config: GenerationConfig,
        *,
        end_ids: Collection[int] = (),
        context_length: int | None = None,
        steer: ThoughtSteer | None = None,
        constraint: Constraint | None = None,
    ) -> None:
        """Check that there is room.

        Args:
            inputs: the prompt, checked.
            end_ids: tokens that end an answer, besides `config.stop_ids`.
            context_length: tokens that prompt and answer may have together.
            steer: shown every token that is given out; it may decide what comes next.
            constraint: of the answer; its first token is the first after the thought.

        Raises:
            PromptError: the prompt leaves no room for an answer.
        """
        self.config = config
        self.context_length = context_length
        self.room = room_for_answer(inputs, config, context_length)
        self._own_end_ids = frozenset(end_ids)
        self._end_ids = frozenset([*end_ids, *config.stop_ids])
        self._steer = steer
        self._constraint = constraint
        prompt_ids = inputs.input_ids.to(language_model(model).head_device)
        self._sampler = Sampler(config, prompt_ids, vocab_size(model))
        self.choices: list[Choice] = []
        self.finish_reason: FinishReason | None = None

    def next(self, logits_V: Tensor) -> Choice | None:
        """The token after float32 logits; None if it ends the answer and is not shown.

        The last token there is room for is given out, and then `finish_reason` is set.

        Raises:
            BackendError: the logits are not finite.
        """
        choice, is_end = self._choose(logits_V)
        self.choices.append(choice)
        if is_end:
            self.finish_reason = "stop"
            return None
        if self._steer is not None:
            self._steer.accept(choice.id)
        if len(self.choices) == self.room:
            self.finish_reason = "context" if self.room < self.config.max_tokens else "length"
        return choice

    def _choose(self, logits_V: Tensor) -> tuple[Choice, bool]:
        """The next token, and whether it ends the answer."""
        steer = self._steer
        forced = steer.forced() if steer is not None else None
        if forced is not None:
            return self._sampler.force(logits_V, forced), False
        if steer is None or not steer.in_thought:
            return self._choose_answer(logits_V)
        choice = self._sampler(logits_V)
        if choice.id in self._own_end_ids:
            steer.close("turn")
            forced = steer.forced()
            assert forced is not None
            choice = self._sampler.force(logits_V, forced)
        return choice, False

    def _choose_answer(self, logits_V: Tensor) -> tuple[Choice, bool]:
        """A token outside of a thought."""
        constraint = self._constraint
        if constraint is None:
            choice = self._sampler(logits_V)
        else:
            choice = self._sampler(logits_V, constraint.allowed())
            constraint.accept(choice.id)
        return choice, choice.id in self._end_ids
