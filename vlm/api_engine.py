"""What a `VLM` does with an engine: batches, and answers for event loops."""

import asyncio
import threading
from collections.abc import Mapping, Sequence
from typing import Any, Literal, Unpack, overload

from ..data.chat import Message
from ..errors import ConfigError, LatentVLMError, PromptError
from .answer import Answer
from .ask_options import AskOptions
from .asking import Request, make_request
from .conversation import Medium, question_message
from .engine import Engine, EngineConfig
from .engine_stream import EngineStream
from .prepared import Prepared
from .prompt import Model

_making = threading.Lock()


class EngineVerbs:
    """The part of `VLM` that answers many questions at once."""

    model: Model
    _engine: Engine | None = None

    def prepare(self, request: Request) -> Prepared:
        """See `VLM.prepare`."""
        raise NotImplementedError

    @property
    def engine(self) -> Engine:
        """The engine of this model, made when it is first asked for, with the default settings.

        Example:
            ```python
            import latentvlm

            print(latentvlm.load().engine.ask("What is the total?", "invoice.png").text)
            ```
        """
        with _making:
            if self._engine is None:
                self._engine = Engine(self)
            return self._engine

    def new_engine(self, **settings: Any) -> Engine:
        """An engine with settings of its own; see `EngineConfig`.

        Example:
            ```python
            import latentvlm

            with latentvlm.load().new_engine(max_batch=2) as engine:
                print(engine.ask("What is the total?", "invoice.png").text)
            ```

        Raises:
            ConfigError: there is no such setting or value.
        """
        try:
            return Engine(self, EngineConfig(**settings))
        except TypeError as error:
            raise ConfigError(f"An engine has no such setting: {error}.") from error

    @overload
    def ask_batch(
        self,
        questions: Sequence[str | Mapping[str, Any]],
        *,
        on_error: Literal["raise"] = "raise",
        **options: Unpack[AskOptions],
    ) -> list[Answer]: ...

    @overload
    def ask_batch(
        self,
        questions: Sequence[str | Mapping[str, Any]],
        *,
        on_error: Literal["return"],
        **options: Unpack[AskOptions],
    ) -> list[Answer | LatentVLMError]: ...

    def ask_batch(
        self,
        questions: Sequence[str | Mapping[str, Any]],
        *,
        on_error: Literal["raise", "return"] = "raise",
        **options: Unpack[AskOptions],
    ) -> Any:
        """Answers to many questions, written together, in the order of the questions.

        Example:
            ```python
            import latentvlm

            questions = [
                {"question": "What is the total?", "media": "invoice.png"},
                {"question": "Who is it from?", "media": "invoice.pdf", "pages": "1"},
            ]
            for answer in latentvlm.load().ask_batch(questions):
                print(answer.text, answer.confidence)
            ```

        Args:
            questions: each a text, or a mapping: `{"question": ..., "media": one or a list}` or
                `{"messages": [...]}`, with any option of `ask` for it alone.
            on_error: "raise" ends the batch; "return" puts the error in the answer's place.
            options: as in `ask`, for all of them.

        Raises:
            ConfigError, PromptError, MediaError: as `ask`, with `on_error="raise"`.
        """
        if on_error not in ("raise", "return"):
            raise ConfigError(f"on_error is {on_error!r} but must be 'raise' or 'return'.")
        if isinstance(questions, str | Mapping):
            raise PromptError("The questions must be a list, one item for each.")
        streams: list[EngineStream | LatentVLMError] = []
        for question in questions:
            try:
                prepared = self.prepare(_request(question, options))
                streams += self.engine.submit(prepared, wait=True)
            except LatentVLMError as error:
                if on_error == "raise":
                    raise  # streams that nobody holds are cancelled
                streams.append(error)
        answers: list[Answer | LatentVLMError] = []
        for stream in streams:
            try:
                answers.append(stream.read() if isinstance(stream, EngineStream) else stream)
            except LatentVLMError as error:
                if on_error == "raise":
                    raise
                answers.append(error)
        return answers

    async def stream_async(
        self, question: str, *media: Medium, **options: Unpack[AskOptions]
    ) -> EngineStream:
        """As `stream`, for an event loop: `async for piece in await vlm.stream_async(...)`.

        Media are opened in another thread. A task that is cancelled frees its place at once.

        Example:
            ```python
            import asyncio

            import latentvlm

            async def main() -> None:
                stream = await latentvlm.load().stream_async("What is the total?", "invoice.png")
                async for piece in stream:
                    print(piece, end="")
                print(stream.answer.usage)

            asyncio.run(main())
            ```
        """
        return await asyncio.to_thread(self.engine.stream, question, *media, **options)

    async def ask_async(
        self, question: str, *media: Medium, **options: Unpack[AskOptions]
    ) -> Answer:
        """As `ask`, for an event loop; questions asked together are answered together.

        Example:
            ```python
            import asyncio

            import latentvlm

            async def main() -> None:
                vlm = latentvlm.load()
                asked = ["What is the total?", "Who is it from?"]
                answers = await asyncio.gather(*(vlm.ask_async(q, "invoice.png") for q in asked))
                print([answer.text for answer in answers])

            asyncio.run(main())
            ```
        """
        return await (await self.stream_async(question, *media, **options)).read_async()

    async def stream_chat_async(
        self, messages: Sequence[Message], **options: Unpack[AskOptions]
    ) -> EngineStream:
        """As `stream_chat`, for an event loop; see `stream_async`.

        Example:
            ```python
            import asyncio

            import latentvlm

            async def main() -> None:
                turns = [{"role": "user", "content": "Who are you?"}]
                async for piece in await latentvlm.load().stream_chat_async(turns):
                    print(piece, end="")

            asyncio.run(main())
            ```
        """
        return await asyncio.to_thread(self.engine.stream_chat, messages, **options)

    async def chat_async(
        self, messages: Sequence[Message], **options: Unpack[AskOptions]
    ) -> Answer:
        """As `chat`, for an event loop; conversations held together are answered together.

        Example:
            ```python
            import asyncio

            import latentvlm

            async def main() -> None:
                vlm = latentvlm.load()
                page = {"type": "image", "image": "invoice.png"}
                text = {"type": "text", "text": "Who is it from?"}
                turns = [{"role": "user", "content": [page, text]}]
                turns.append((await vlm.chat_async(turns)).as_message())
                turns.append({"role": "user", "content": "What is the total?"})
                print((await vlm.chat_async(turns)).text)

            asyncio.run(main())
            ```
        """
        return await (await self.stream_chat_async(messages, **options)).read_async()


def _request(question: Any, options: Mapping[str, Any]) -> Request:
    if isinstance(question, str):
        return make_request([question_message(question, ())], **options)
    if not isinstance(question, Mapping):
        raise PromptError(
            f"A question of a batch is a text or a mapping, not a {type(question).__name__}."
        )
    own = {**options, **question}
    media, text, messages = own.pop("media", ()), own.pop("question", None), own.pop("messages", ())
    if (text is None) == (not messages):
        raise PromptError("A question of a batch has either a 'question' or 'messages'.")
    if text is not None:
        shown = list(media) if isinstance(media, list | tuple) else [media]
        messages = [question_message(text, shown)]
    try:
        return make_request(messages, **own)
    except TypeError as error:
        raise PromptError(f"A question of a batch cannot be asked: {error}.") from error
