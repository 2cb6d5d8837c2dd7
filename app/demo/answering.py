"""One question answered by the engine: what is written, piece by piece, then all there is to show.

Knows no page; the page shows what comes.
"""

import asyncio
import threading
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass, replace

from ...errors import InputError, LatentVLMError, MediaError, PromptError
from ...vlm.asking import make_request
from ...vlm.engine_stream import EngineStream
from ...vlm.explaining import Explanation, Watch
from .models import OpenModel
from .settings import Settings
from .turns import Turn, conversation, has_files, without_folders

_PAUSE_S = 0.05  # between two updates of the page


@dataclass(frozen=True, kw_only=True)
class Progress:
    """How far a turn is.

    Attributes:
        turn: the question with what is written.
        explanation: what the model saw; once the answer is whole, and if there was anything.
        is_over: whether nothing more comes.
        bad_files: whether its files are why there is no answer.
    """

    turn: Turn
    explanation: Explanation | None = None
    is_over: bool = False
    bad_files: bool = False


class Written:
    """What is written so far, by whoever reads a stream beside the page's updates."""

    def __init__(self) -> None:
        self.thought = self.text = ""
        self._shown = 0

    async def read(self, stream: EngineStream) -> None:
        """Read to the end."""
        async for piece in stream.parts_async():
            if piece.kind == "reasoning":
                self.thought += piece.text
            else:
                self.text += piece.text

    def is_new(self) -> bool:
        """Whether there is more than when this was asked last."""
        before, self._shown = self._shown, len(self.thought) + len(self.text)
        return self._shown > before


async def answer(
    model: OpenModel,
    turns: Sequence[Turn],
    question: str,
    files: Sequence[str],
    settings: Settings,
    stopped: threading.Event,
) -> AsyncGenerator[Progress, None]:
    """Ask after earlier turns; errors become the turn's own sentence.

    Args:
        stopped: ends it, wherever it is.
    """
    turn = Turn(question=question, files=tuple(files), model=model.name, settings=settings)
    seen = [*files, *(file for each in turns for file in each.files)]
    yield Progress(turn=turn)
    try:
        watch, stream = await asyncio.to_thread(_begin, model, turns, turn, stopped)
        written = Written()
        reading = asyncio.create_task(written.read(stream))
        try:
            # However long an update takes, the next one has all that was written meanwhile.
            while not reading.done():
                await asyncio.wait({reading}, timeout=_PAUSE_S)
                if written.is_new() and not reading.done():
                    turn = replace(turn, thought=written.thought, text=written.text)
                    yield Progress(turn=turn)
            reading.result()
        finally:
            reading.cancel()
        found = stream.answer
        found = replace(
            found, warnings=tuple(without_folders(each, seen) for each in found.warnings)
        )
        turn = replace(turn, answer=found, text=found.text, thought=found.reasoning)
        shown = watch.explanation(question, found) if watch is not None else None
        yield Progress(turn=turn, explanation=shown, is_over=True)
    except LatentVLMError as error:
        sentence = without_folders(str(error), seen)
        turn = replace(turn, error=sentence)
        yield Progress(turn=turn, is_over=True, bad_files=isinstance(error, MediaError))


def _begin(
    model: OpenModel, turns: Sequence[Turn], turn: Turn, stopped: threading.Event
) -> tuple[Watch | None, EngineStream]:
    """Open what is to be seen and hand it to the engine."""
    if not turn.question.strip():
        raise PromptError("The question is empty: say what you want to know.")
    if model.is_packaged and not turn.files and not has_files(turns):
        raise InputError(
            "There is nothing to look at yet: drop a picture or a PDF beside the question."
        )
    model.engine.check_room(n=1)
    request = make_request(
        conversation(turns, turn.question, turn.files),
        is_cancelled=stopped.is_set,
        **turn.settings.options(model),  # type: ignore[arg-type]  # values of their own kinds
    )
    prepared = model.vlm.prepare(request)
    watch = None
    if model.sees_pictures and (prepared.pages or prepared.frames):
        watch = Watch(model.vlm, prepared)
        prepared = watch.prepared
    return watch, model.engine.submit(prepared)[0]
