"""One answer, token by token: the prompt is read in blocks into a cache, then one token a step.

Letters: T tokens, D hidden, V vocabulary.
"""

import time
from collections.abc import Callable, Collection, Iterator, Sequence

import torch
from torch import Tensor

from ..data.model_inputs import ModelInputs
from ..errors import InputError
from .answer import FinishReason
from .cache import Cache, Snapshot
from .language_model import LanguageModel
from .prompt import Model, embed_prompt, inputs_on_device, language_model
from .reasoning import ThoughtSteer
from .sampling import Choice, GenerationConfig
from .token_writer import Constraint, TokenWriter

# Long enough for large products, short enough that a block's activations stay small.
PREFILL_BLOCK = 512


def never() -> bool:
    """The answer to "was this cancelled?" where nobody can."""
    return False


class Generation:
    """The writing of one answer; iterate it once for its tokens.

    The end token is not given out, but is the last of `writer.choices`. Nothing runs between two
    tokens, so whoever stops iterating has stopped the generation.

    Attributes:
        writer: what chooses the tokens, and knows all of them.
        inputs: as given, where the model is; once the prompt was read, without the tokens that
            EVS dropped.
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
        constraint: Constraint | None = None,
        can_look: bool = False,
    ) -> None:
        """Check the prompt; nothing runs before the first token is asked for.

        Args:
            inputs: one prompt.
            end_ids, context_length, steer, constraint: as in `TokenWriter`.
            is_cancelled: asked before every block of the prompt and before every token.
            can_look: keep what `look` needs.

        Raises:
            PromptError: the prompt is empty or leaves no room for an answer.
            InputError: an id is outside the vocabulary, or a picture comes to a text model.
        """
        self._model = model
        self._is_cancelled = is_cancelled
        self.inputs = inputs_on_device(model, inputs)
        self.writer = TokenWriter(
            model,
            self.inputs,
            config,
            end_ids=end_ids,
            context_length=context_length,
            steer=steer,
            constraint=constraint,
        )
        self._cache: Cache | None = None
        self._can_look = can_look
        self._before_last: tuple[Tensor, Snapshot] | None = None
        self.waiting_s = self.encode_s = self.prefill_s = self.decode_s = 0.0
        self.num_dropped = 0

    @property
    def choices(self) -> list[Choice]:
        """Every token chosen so far, the end token included."""
        return self.writer.choices

    @property
    def finish_reason(self) -> FinishReason | None:
        """Why it ended; None while it runs."""
        return self.writer.finish_reason

    def __iter__(self) -> Iterator[Choice]:
        begin = time.perf_counter()
        logits_V = self._read_prompt()
        while True:
            if logits_V is None or self._is_cancelled():
                self.writer.finish_reason = "cancelled"
                return
            choice = self.writer.next(logits_V)
            now = time.perf_counter()
            if len(self.choices) == 1:
                self.prefill_s = now - begin - self.encode_s
            else:
                self.decode_s += now - begin
            if choice is not None:
                yield choice
            if self.finish_reason is not None:
                return
            assert choice is not None
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
        self._cache = trunk.allocate_cache(capacity=embeds_TD.shape[0] + self.writer.room)
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
        """What the answer attended to as its tokens were chosen, once it is written.

        A second pass over the end of the prompt and the answer's tokens, from the state before.

        Args:
            first: the first token of the answer that counts; those of a thought come before.

        Returns:
            Float32 `(attention layers, heads, tokens of prompt and answer)`, the mean over the
            tokens that count; None if none was chosen, or nothing was kept for it.
        """
        if self._before_last is None or self._cache is None or len(self.choices) <= first:
            return None
        last_TD, snapshot = self._before_last
        self._cache.restore(snapshot)
        trunk = language_model(self._model)
        return look_again(trunk, last_TD, self.choices, self._cache, first=first)

    @torch.inference_mode()
    def _step(self, idx: int) -> Tensor:
        assert self._cache is not None
        return step(language_model(self._model), [idx], self._cache)[0]


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
    packed = [inputs_on_device(model, each) for each in prompts]
    writers = [
        TokenWriter(
            model, each, config, end_ids=end_ids, context_length=context_length, steer=steer
        )
        for each, steer in zip(packed, steers or [None] * len(packed), strict=True)
    ]
    trunk = language_model(model)
    embeds = [embed_prompt(model, each)[0] for each in packed]
    lengths = [each.shape[0] for each in embeds]
    rooms = [writer.room for writer in writers]
    cache = trunk.allocate_cache(
        len(packed),
        capacity=max(length + room for length, room in zip(lengths, rooms, strict=True)),
    )
    logits_SV = read_packed(trunk, embeds, cache)
    active = list(writers)
    while True:
        for writer, logits_V in zip(active, logits_SV, strict=True):
            writer.next(logits_V)
        kept = [row for row, writer in enumerate(active) if writer.finish_reason is None]
        if not kept:
            return [writer.choices for writer in writers]
        if len(kept) < len(active):
            cache = cache.select(kept)
            active = [active[row] for row in kept]
        logits_SV = step(trunk, [writer.choices[-1].id for writer in active], cache)


def read_packed(trunk: LanguageModel, embeds: Sequence[Tensor], cache: Cache) -> Tensor:
    """Prompts, or the next block of each, as one row into their caches.

    Args:
        embeds: `(T, D)` of each.
        cache: of as many sequences.

    Returns:
        The logits `(S, V)` after each.
    """
    ends = torch.tensor([0, *(each.shape[0] for each in embeds)]).cumsum(0)
    row_TD = torch.cat(list(embeds)) if len(embeds) > 1 else embeds[0]
    bounds = ends.to(row_TD.device, torch.int32)
    hidden_TD = trunk(row_TD, cu_seqlens=bounds, cache=cache)
    return trunk.logits(hidden_TD[(ends[1:] - 1).to(hidden_TD.device)])


def step(trunk: LanguageModel, ids: Sequence[int], cache: Cache) -> Tensor:
    """One more token of each sequence of a cache; the logits `(S, V)` after it."""
    ids_S = torch.tensor(ids, device=trunk.device)
    bounds = torch.arange(len(ids) + 1, dtype=torch.int32, device=trunk.device)
    return trunk.logits(trunk(trunk.embed(ids_S), cu_seqlens=bounds, cache=cache))


def look_again(
    trunk: LanguageModel,
    last_TD: Tensor,
    choices: Sequence[Choice],
    cache: Cache,
    *,
    first: int = 0,
) -> Tensor:
    """The attention with which an answer was chosen, the mean over its tokens.

    Args:
        last_TD: the embedding `(1, D)` of the prompt's last token.
        choices: every token of the answer.
        cache: of one sequence that ends before that last token; continued.
        first: the first token of the answer that counts.
    """
    embeds_TD, begin = last_TD, cache.lengths[0]
    if len(choices) > 1:
        ids = torch.tensor([choice.id for choice in choices[:-1]], device=last_TD.device)
        embeds_TD = torch.cat([last_TD, trunk.embed(ids)])
    means_LHK = None
    for number, block_TD in enumerate(embeds_TD.split(PREFILL_BLOCK)):
        sums_LHK = trunk.look(block_TD, cache, first=max(0, first - number * PREFILL_BLOCK))
        if means_LHK is None:
            means_LHK = sums_LHK.new_zeros(*sums_LHK.shape[:2], begin + len(embeds_TD))
        means_LHK[:, :, : sums_LHK.shape[2]] += sums_LHK / (len(embeds_TD) - first)
    assert means_LHK is not None, "an answer has tokens"
    return means_LHK
