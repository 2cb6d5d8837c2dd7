"""One answer, token by token: the prompt is read in blocks into a cache, then one token a step.

Letters: T tokens, D hidden, V vocabulary.
"""

import time
from collections.abc import Callable, Collection, Iterator, Sequence

import torch
from torch import Tensor

from ..data.processor import ModelInputs
from ..errors import InputError
from .answer import FinishReason
from .cache import Cache, Snapshot
from .prompt import (
    Model,
    embed_prompt,
    inputs_on_device,
    language_model,
    room_for_answer,
    vocab_size,
)
from .reasoning import ThoughtSteer
from .sampling import Choice, GenerationConfig, Sampler

# Long enough for large products, short enough that a block's activations stay small.
PREFILL_BLOCK = 512


def never() -> bool:
    """The answer to "was this cancelled?" where nobody can."""
    return False


class Generation:
    """The writing of one answer; iterate it once for its tokens.

    The end token is not given out, but is the last of `choices`. Nothing runs between two
    tokens, so whoever stops iterating has stopped the generation.

    Attributes:
        inputs, config, context_length: as given, the inputs where the model is; once the prompt
            was read, without the tokens that EVS dropped.
        choices: every token chosen so far, the end token included.
        finish_reason: why it ended; None while it runs.
        encode_s, prefill_s, decode_s: seconds spent.
        num_dropped: tokens of the prompt that EVS dropped.
    """

    def __init__(
        self,
        model: Model,
        inputs: ModelInputs,
        config: GenerationConfig,
        *,
        end_ids: Collection[int] = (),
        context_length: int | None = None,
        is_cancelled: Callable[[], bool] = never,
        steer: ThoughtSteer | None = None,
        can_look: bool = False,
    ) -> None:
        """Check the prompt; nothing runs before the first token is asked for.

        Args:
            inputs: one prompt.
            end_ids: tokens that end an answer, besides `config.stop_ids`.
            context_length: tokens that prompt and answer may have together.
            is_cancelled: asked before every block of the prompt and before every token.
            steer: shown every token that is given out; it may decide what comes next.
            can_look: keep what `look` needs.

        Raises:
            PromptError: the prompt is empty or leaves no room for an answer.
            InputError: an id is outside the vocabulary, or a picture comes to a text model.
        """
        self._model = model
        self.config = config
        self.context_length = context_length
        self._own_end_ids = frozenset(end_ids)
        self._end_ids = frozenset([*end_ids, *config.stop_ids])
        self._steer = steer
        self._can_look = can_look
        self._before_last: tuple[Tensor, Snapshot] | None = None
        self._is_cancelled = is_cancelled
        self.inputs = inputs_on_device(model, inputs)
        self._room = room_for_answer(inputs, config, context_length)
        prompt_ids = self.inputs.input_ids.to(language_model(model).head_device)
        self._sampler = Sampler(config, prompt_ids, vocab_size(model))
        self._cache: Cache | None = None
        self.choices: list[Choice] = []
        self.finish_reason: FinishReason | None = None
        self.encode_s = self.prefill_s = self.decode_s = 0.0
        self.num_dropped = 0

    def __iter__(self) -> Iterator[Choice]:
        begin = time.perf_counter()
        logits_V = self._read_prompt()
        for step in range(self._room):
            if logits_V is None or self._is_cancelled():
                self.finish_reason = "cancelled"
                return
            choice, is_end = _choose(
                self._sampler, logits_V, self._steer, self._own_end_ids, self._end_ids
            )
            self.choices.append(choice)
            now = time.perf_counter()
            if step == 0:
                self.prefill_s = now - begin - self.encode_s
            else:
                self.decode_s += now - begin
            if is_end:
                self.finish_reason = "stop"
                return
            if self._steer is not None:
                self._steer.accept(choice.id)
            if step == self._room - 1:
                is_short = self._room < self.config.max_tokens
                self.finish_reason = "context" if is_short else "length"
            yield choice
            if self.finish_reason is not None:
                return
            # What the caller did with the token is not counted as decoding.
            begin = time.perf_counter()
            logits_V = self._step(choice.id)

    @torch.inference_mode()
    def _read_prompt(self) -> Tensor | None:
        """The prompt into a new cache; logits `(V,)` after it, or None if cancelled."""
        begin = time.perf_counter()
        given = self.inputs
        embeds_TD, self.inputs = embed_prompt(self._model, given)
        self.num_dropped = given.input_ids.shape[0] - self.inputs.input_ids.shape[0]
        if embeds_TD.device.type == "cuda":
            torch.cuda.synchronize(embeds_TD.device)
        self.encode_s = time.perf_counter() - begin
        trunk = language_model(self._model)
        self._cache = trunk.allocate_cache(capacity=embeds_TD.shape[0] + self._room)
        hidden_TD = embeds_TD
        blocks = [*embeds_TD.split(PREFILL_BLOCK)]
        if self._can_look and len(embeds_TD) > 1:
            blocks = [*embeds_TD[:-1].split(PREFILL_BLOCK), embeds_TD[-1:]]
        for number, block_TD in enumerate(blocks, start=1):
            if self._is_cancelled():
                return None
            if self._can_look and number == len(blocks):
                self._before_last = (block_TD, self._cache.snapshot())
            hidden_TD = trunk(block_TD, cache=self._cache)
        return trunk.logits(hidden_TD[-1:])[0]

    @torch.inference_mode()
    def look(self, first: int = 0) -> Tensor | None:
        """What the answer attended to as each of its tokens was chosen, once it is written.

        A second pass over the end of the prompt and the answer's tokens, from the state before.

        Args:
            first: the first token of the answer that counts; those of a thought come before.

        Returns:
            Float32 `(attention layers, heads, tokens chosen, tokens of prompt and answer)`; None
            if nothing was chosen, or nothing was kept for it.
        """
        if self._before_last is None or self._cache is None or len(self.choices) <= first:
            return None
        trunk = language_model(self._model)
        last_TD, snapshot = self._before_last
        self._cache.restore(snapshot)
        ids = [choice.id for choice in self.choices[:-1]]
        embeds_TD = last_TD
        if ids:
            answer = trunk.embed(torch.tensor(ids, device=self.inputs.input_ids.device))
            embeds_TD = torch.cat([last_TD, answer])
        return trunk.look(embeds_TD, self._cache)[:, :, first:]

    @torch.inference_mode()
    def _step(self, idx: int) -> Tensor:
        trunk = language_model(self._model)
        ids = torch.tensor([idx], device=self.inputs.input_ids.device)
        return trunk.logits(trunk(trunk.embed(ids), cache=self._cache))[0]


def _choose(
    sampler: Sampler,
    logits_V: Tensor,
    steer: ThoughtSteer | None,
    own_end_ids: Collection[int],
    end_ids: Collection[int],
) -> tuple[Choice, bool]:
    """The next token of an answer, and whether it ends it.

    Args:
        own_end_ids: what ends the model's turn; inside a thought it closes the thought instead.
        end_ids: those and the ids that the caller stops at.
    """
    forced = steer.forced() if steer is not None else None
    if forced is not None:
        return sampler.force(logits_V, forced), False
    choice = sampler(logits_V)
    if steer is None or not steer.in_thought:
        return choice, choice.id in end_ids
    if choice.id in own_end_ids:
        steer.close("turn")
        forced = steer.forced()
        assert forced is not None
        choice = sampler.force(logits_V, forced)
    return choice, False


@torch.inference_mode()
def generate_batch(
    model: Model,
    prompts: Sequence[ModelInputs],
    config: GenerationConfig,
    *,
    end_ids: Collection[int] = (),
    context_length: int | None = None,
    steers: Sequence[ThoughtSteer | None] = (),
) -> list[list[Choice]]:
    """Several answers at once: prompts packed in one row, then one token of each a step.

    Each answer is what it would be alone (up to rounding); a finished one costs nothing more.
    Texts in `config.stop` are not looked for.

    Args:
        steers: one for each prompt, as `asking.make_steer` makes them for a thinking budget,
            shown every token of its answer but the end token. None steers nothing.

    Returns:
        The tokens chosen for each prompt, its end token included.

    Raises:
        PromptError: as `Generation`.
        InputError: as `Generation`, or there are steers but not one for each prompt.
    """
    if not prompts:
        return []
    if steers and len(steers) != len(prompts):
        raise InputError(f"There are {len(steers)} steers for {len(prompts)} prompts.")
    steers = steers or [None] * len(prompts)
    own_ends = frozenset(end_ids)
    ends = frozenset([*end_ids, *config.stop_ids])
    packed = [inputs_on_device(model, each) for each in prompts]
    rooms = [room_for_answer(each, config, context_length) for each in packed]
    trunk = language_model(model)
    samplers = [
        Sampler(config, each.input_ids.to(trunk.head_device), vocab_size(model)) for each in packed
    ]
    embeds = [embed_prompt(model, each)[0] for each in packed]
    lengths = [each.shape[0] for each in embeds]
    embeds_TD = torch.cat(embeds)
    cache = trunk.allocate_cache(
        len(packed),
        capacity=max(length + room for length, room in zip(lengths, rooms, strict=True)),
    )
    bounds = torch.tensor([0, *lengths], device=embeds_TD.device).cumsum(0).to(torch.int32)
    last = (bounds[1:].long() - 1).to(trunk.head_device)
    hidden_TD = trunk(embeds_TD, cu_seqlens=bounds, cache=cache)[last]
    answers: list[list[Choice]] = [[] for _ in packed]
    active = list(range(len(packed)))
    while True:
        kept = []
        for row, logits_V in enumerate(trunk.logits(hidden_TD)):
            seq = active[row]
            steer = steers[seq]
            choice, is_end = _choose(samplers[seq], logits_V, steer, own_ends, ends)
            answers[seq].append(choice)
            if steer is not None and not is_end:
                steer.accept(choice.id)
            if not is_end and len(answers[seq]) < rooms[seq]:
                kept.append(row)
        if not kept:
            return answers
        if len(kept) < len(active):
            cache = cache.select(kept)
            active = [active[row] for row in kept]
        ids = torch.tensor([answers[seq][-1].id for seq in active], device=embeds_TD.device)
        bounds = torch.arange(len(active) + 1, dtype=torch.int32, device=embeds_TD.device)
        hidden_TD = trunk(trunk.embed(ids), cu_seqlens=bounds, cache=cache)
