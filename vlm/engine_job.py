"""What an engine knows of one request: its prompt while it is read, its answers while they grow."""

import time
from dataclasses import replace

import torch
from torch import Tensor

from ..errors import BackendError, LatentVLMError
from .answer_finish import finish_answer
from .answer_text import AnswerText
from .cache import Cache
from .engine_stream import Channel
from .generate import PREFILL_BLOCK, look_again
from .media_cache import MediaCache, media_keys
from .prepared import Prepared
from .prompt import Model, embed_prompt, inputs_on_device, language_model
from .sampling import Choice
from .token_writer import TokenWriter


class Writing:
    """One answer: it takes logits, and its reader gets text.

    Attributes:
        channel: to its reader.
        is_over: whether nothing more comes.
    """

    def __init__(self, job: "Job", nth: int) -> None:
        prepared = job.prepared
        config = prepared.config
        if nth and config.seed is not None:
            config = replace(config, seed=(config.seed + nth) % 2**63)
        self.channel = Channel()
        self.is_over = False
        self._job = job
        self._steer = prepared.new_steer()
        self.inputs = prepared.inputs
        self.writer = TokenWriter(
            job.model,
            prepared.inputs,
            config,
            end_ids=prepared.end_ids,
            context_length=prepared.context_length,
            steer=self._steer,
            constraint=prepared.new_constraint(),
        )
        self._text = AnswerText(self.writer, self._steer)
        self.waiting_s = self.encode_s = self.prefill_s = self.decode_s = 0.0
        self.num_dropped = 0
        self._first: float | None = None

    @property
    def is_cancelled(self) -> bool:
        return self.channel.is_cancelled or self._job.prepared.is_cancelled()

    @property
    def most_tokens(self) -> int:
        """What it may come to hold in a cache."""
        return self._job.inputs.num_tokens + self.writer.room

    @property
    def last(self) -> Choice:
        return self.writer.choices[-1]

    def take(self, logits_V: Tensor) -> None:
        """The logits after the last token, or after the prompt."""
        try:
            self.writer.next(logits_V)
            pieces = self._text.take()
        except Exception as error:
            self.fail(error)
            return
        self._first = self._first or time.perf_counter()
        for piece in pieces:
            self.channel.put(piece)
        if self.writer.finish_reason is not None:
            self.finish()

    def cancel(self) -> None:
        self.writer.finish_reason = "cancelled"
        self.finish()

    def finish(self) -> None:
        """The answer is whole, or what there is of it is all."""
        job = self._job
        self.inputs, self.num_dropped = job.inputs, job.num_dropped
        self.waiting_s, self.encode_s = job.waiting_s, job.encode_s
        if self._first is not None:
            self.prefill_s = self._first - job.begin_s - job.encode_s
            self.decode_s = time.perf_counter() - self._first if len(self.writer.choices) > 1 else 0
        try:
            for piece in self._text.end():
                self.channel.put(piece)
            answer = finish_answer(job.prepared, self, self._steer, self._text)
        except Exception as error:
            self.fail(error)
            return
        self.is_over = True
        self.channel.put(answer)

    def look(self, first: int = 0) -> Tensor | None:
        """As `Generation.look`."""
        before = self._job.before_last
        if before is None or len(self.writer.choices) <= first:
            return None
        last_TD, cache = before
        snapshot = cache.snapshot()
        trunk = language_model(self._job.model)
        found = look_again(trunk, last_TD, self.writer.choices, cache, first=first)
        cache.restore(snapshot)
        return found

    def fail(self, error: BaseException) -> None:
        self.is_over = True
        self.channel.put(_known(error))


class Job:
    """One request: a prompt that is read once, and one answer or several.

    Attributes:
        inputs: the prompt, once it was embedded without what EVS dropped.
        writings: its answers.
        unread: embeddings `(T, D)` that the model has not read; None before they are made.
        cache: what it has read, once that is a part of the prompt.
        before_last: the embedding of the prompt's last token and a cache that ends before it,
            if it is to be seen where the answer was read from.
        waiting_s, encode_s, begin_s: when it began to be read, and what that took until now.
    """

    def __init__(self, model: Model, prepared: Prepared, n: int) -> None:
        # Checked here, in the thread of whoever asks.
        inputs_on_device(model, prepared.inputs)
        self.model = model
        self.prepared = prepared
        self.inputs = prepared.inputs
        self._keys = media_keys(prepared.inputs)
        self.writings = [Writing(self, nth) for nth in range(n)]
        self.unread: Tensor | None = None
        self.cache: Cache | None = None
        self.before_last: tuple[Tensor, Cache] | None = None
        self.num_dropped = 0
        self._submitted_s = time.perf_counter()
        self.waiting_s = self.encode_s = self.begin_s = 0.0

    @property
    def num_unread(self) -> int:
        """Tokens still to be read; before EVS's threshold was applied, the most."""
        return self.inputs.num_tokens if self.unread is None else self.unread.shape[0]

    @property
    def most_tokens(self) -> int:
        """What its answers may come to hold in caches."""
        return sum(each.most_tokens for each in self.writings)

    def begin(self) -> None:
        """It has its place."""
        self.begin_s = time.perf_counter()
        self.waiting_s = self.begin_s - self._submitted_s

    def next_block(self) -> Tensor:
        """Embeddings `(T, D)` that are read next."""
        assert self.unread is not None
        if self.prepared.cite is None or self.num_unread == 1:
            return self.unread[:PREFILL_BLOCK]
        return self.unread[: min(PREFILL_BLOCK, self.num_unread - 1)]

    def embed(self, media: MediaCache) -> None:
        """Encode what is to be seen, unless it was seen before."""
        if self.unread is not None:
            return
        begin = time.perf_counter()
        given = inputs_on_device(self.model, self.prepared.inputs)
        self.unread, self.inputs = embed_prompt(
            self.model, given, lambda model, inputs: media.see(model, inputs, self._keys)
        )
        self.num_dropped = given.input_ids.shape[0] - self.unread.shape[0]
        if self.unread.device.type == "cuda":
            torch.cuda.synchronize(self.unread.device)
        self.encode_s = time.perf_counter() - begin

    def fail(self, error: BaseException) -> None:
        for writing in self.writings:
            if not writing.is_over:
                writing.fail(error)


def _known(error: BaseException) -> BaseException:
    if isinstance(error, LatentVLMError):
        return error
    wrapped = BackendError(f"The model failed: {type(error).__name__}: {error}.")
    wrapped.__cause__ = error
    return wrapped
