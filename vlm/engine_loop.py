"""The thread of an engine: prompts are read and answers written together, round by round.

Each round reads one row of prompts (several short ones, or the next block of a long one), then
writes one token of every answer, so that no prompt, however long, stops the answers for longer
than one block takes. Each answer is what it would be alone, up to rounding: its sequence, its
random numbers and its text are its own.

Letters: T tokens, D hidden, S sequences, V vocabulary.
"""

import threading
from collections import deque

import torch

from .cache import Cache
from .engine_config import EngineConfig
from .engine_job import Job, Writing
from .generate import PREFILL_BLOCK, read_packed, step
from .language_model import LanguageModel
from .media_cache import MediaCache


class EngineLoop:
    """What is in work, and its rounds. `_changed` guards the lists; all else is the thread's."""

    def __init__(self, trunk: LanguageModel, config: EngineConfig) -> None:
        self.config = config
        self._trunk = trunk
        self._media = MediaCache(config.media_bytes)
        self._changed = threading.Condition()
        self._waiting: deque[Job] = deque()
        self._reading: list[Job] = []
        self._writing: list[Writing] = []
        self._cache: Cache | None = None  # of the answers in `_writing`, in their order
        self._thread: threading.Thread | None = None
        self._counts = dict.fromkeys(
            ("finished", "cancelled", "failed", "prompt_tokens", "answer_tokens"), 0
        )

    def _run(self) -> None:
        with torch.inference_mode():
            while True:
                try:
                    if not self._round():
                        return
                except Exception as error:  # a reader must never wait for what does not come
                    self._fail_all(error)

    def _round(self) -> bool:
        """A row of prompts and a token of every answer; false once there is nothing to do."""
        with self._changed:
            self._drop_cancelled_jobs()
            self._admit()
            if not self._reading and not self._writing:
                self._cache = self._thread = None
                self._changed.notify_all()
                return False
        if self._reading:
            self._read()
        self._drop_cancelled()
        if self._writing:
            self._write()
        return True

    def _admit(self) -> None:
        """Give places to those who wait, in the order of arrival."""
        while self._waiting:
            job = self._waiting[0]
            used = len(self._writing) + sum(len(each.writings) for each in self._reading)
            if used + len(job.writings) > self.config.max_batch or not self._has_tokens(job):
                return
            self._waiting.popleft()
            job.begin()
            self._reading.append(job)
            self._changed.notify_all()

    def _has_tokens(self, job: Job) -> bool:
        most = self.config.max_tokens
        if most is None:
            return True
        used = sum(each.most_tokens for each in self._reading)
        used += sum(each.most_tokens for each in self._writing)
        return used + job.most_tokens <= most

    def _drop_cancelled_jobs(self) -> None:
        """Of those whose prompts are not read yet."""
        for jobs in (self._waiting, self._reading):
            for job in [job for job in jobs if all(each.is_cancelled for each in job.writings)]:
                jobs.remove(job)
                for writing in job.writings:
                    writing.cancel()
                    self._count(writing)

    def _read(self) -> None:
        """One row of prompts."""
        row = self._choose_row()
        if not row:
            return
        try:
            self._read_row(row)
        except Exception as error:
            if len(row) == 1:
                self._fail(row[0], error)
                return
            for job in row:  # one of them is at fault, and the others are not
                try:
                    self._read_row([job])
                except Exception as own_error:
                    self._fail(job, own_error)

    def _choose_row(self) -> list[Job]:
        """The first prompt, or its next block, and those behind it that fit whole into the row."""
        row: list[Job] = []
        total = 0
        for job in list(self._reading):
            if row and total + job.num_unread > PREFILL_BLOCK:
                break
            try:
                job.embed(self._media)
            except Exception as error:
                self._fail(job, error)
                continue
            is_whole = job.cache is None and len(job.next_block()) == job.num_unread
            if row and not is_whole:
                break
            row.append(job)
            total += job.num_unread
            if not is_whole or total >= PREFILL_BLOCK:
                break
        return row

    def _read_row(self, row: list[Job]) -> None:
        blocks = [job.next_block() for job in row]
        first = row[0]
        is_last = len(blocks[0]) == first.num_unread
        cache = first.cache
        if cache is None:
            room = max(job.num_unread for job in row)
            cache = self._trunk.allocate_cache(len(row), capacity=room)
        elif is_last and first.prepared.cite is not None:
            first.before_last = (blocks[0], cache.fork())
        logits_SV = read_packed(self._trunk, blocks, cache)
        if not is_last:
            assert first.unread is not None
            first.unread, first.cache = first.unread[len(blocks[0]) :], cache
            return
        seqs: list[int] = []
        begun: list[Writing] = []
        for seq, (job, logits_V) in enumerate(zip(row, logits_SV, strict=True)):
            job.unread = job.cache = None
            for writing in job.writings:
                writing.take(logits_V)
                if writing.is_over:
                    self._count(writing)
                else:
                    begun.append(writing)
                    seqs.append(seq)
        with self._changed:
            self._counts["prompt_tokens"] += sum(job.inputs.input_ids.shape[0] for job in row)
            self._reading = [job for job in self._reading if job not in row]
        if begun:
            self._join(begun, cache, seqs)

    def _join(self, begun: list[Writing], cache: Cache, seqs: list[int]) -> None:
        """Answers that have their first token join those in work; `seqs` are theirs in `cache`."""
        try:
            if seqs != list(range(cache.num_seqs)):
                cache = cache.select(seqs)
            self._cache = Cache.join([cache] if self._cache is None else [self._cache, cache])
        except Exception as error:  # no memory for them; the others go on
            for writing in begun:
                writing.fail(error)
                self._count(writing)
            return
        with self._changed:
            self._writing = [*self._writing, *begun]

    def _write(self) -> None:
        """One token of every answer."""
        assert self._cache is not None
        try:
            ids = [writing.last.id for writing in self._writing]
            logits_SV = step(self._trunk, ids, self._cache)
        except Exception as error:
            for writing in self._writing:
                writing.fail(error)
        else:
            for writing, logits_V in zip(self._writing, logits_SV, strict=True):
                writing.take(logits_V)
        self._leave()

    def _drop_cancelled(self) -> None:
        cancelled = [writing for writing in self._writing if writing.is_cancelled]
        for writing in cancelled:
            writing.cancel()
        self._leave()

    def _leave(self) -> None:
        """Answers that are over give their places free."""
        kept = [row for row, writing in enumerate(self._writing) if not writing.is_over]
        if len(kept) == len(self._writing):
            return
        for writing in self._writing:
            if writing.is_over:
                self._count(writing)
        assert self._cache is not None
        self._cache = self._cache.select(kept) if kept else None
        with self._changed:
            self._writing = [self._writing[row] for row in kept]

    def _fail(self, job: Job, error: BaseException) -> None:
        job.fail(error)
        with self._changed:
            self._reading.remove(job)
        for writing in job.writings:
            self._count(writing)

    def _fail_all(self, error: BaseException) -> None:
        """Of those that have a place."""
        with self._changed:
            jobs, self._reading = self._reading, []
            writings, self._writing = self._writing, []
            self._cache = None
        for writing in [*writings, *(each for job in jobs for each in job.writings)]:
            if not writing.is_over:
                writing.fail(error)
                self._count(writing)

    def _count(self, writing: Writing) -> None:
        reason = writing.writer.finish_reason
        ended = "cancelled" if reason == "cancelled" else "finished" if reason else "failed"
        with self._changed:
            self._counts[ended] += 1
            self._counts["answer_tokens"] += len(writing.writer.choices)
