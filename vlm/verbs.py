"""The four ways to ask, which a model and an engine have alike: all come down to one."""

from collections.abc import Sequence
from typing import Generic, TypeVar, Unpack

from ..data.chat import Message
from .answer import Answer
from .answer_pieces import AnswerPieces
from .ask_options import AskOptions
from .conversation import Medium, question_message

S = TypeVar("S", bound=AnswerPieces, covariant=True)


class Verbs(Generic[S]):
    """Asks by the `stream_chat` of the class that has it."""

    def ask(self, question: str, *media: Medium, **options: Unpack[AskOptions]) -> Answer:
        """Answer a question about pages, or about nothing but itself.

        Example:
            ```python
            import latentvlm

            vlm = latentvlm.load()
            answer = vlm.ask("What is the total?", "invoice.png")
            print(answer.text, answer.confidence, answer.warnings)
            ```

        Args:
            question: what you want to know.
            media: paths, bytes, PIL images or arrays; each page of a PDF or TIFF is a picture.
                A video is a file, an animation, a folder of pictures, or its frames:
                `{"type": "video", "frames": [...], "fps": 2}`.
            options: see `AskOptions`, such as `pages="1-3"` or `generation=...`.

        Raises:
            PromptError: the question is empty, or longer than the context with its pages, or
                the model cannot do what is asked of it.
            MediaError: a page cannot be read.
            CheckpointError: the model's folder has no tokenizer.
        """
        return self.stream(question, *media, **options).read()

    def stream(self, question: str, *media: Medium, **options: Unpack[AskOptions]) -> S:
        """As `ask`, but pieces of text as they are written; at the end, `.answer` is there.

        The pages are opened before this returns, so bad input is known at once.

        Example:
            ```python
            import latentvlm

            stream = latentvlm.load().stream("Who is it from?", "invoice.png")
            for piece in stream:
                print(piece, end="", flush=True)
            print(f" ({stream.answer.usage.prompt_tokens} tokens read)")
            ```
        """
        return self.stream_chat([question_message(question, media)], **options)

    def chat(self, messages: Sequence[Message], **options: Unpack[AskOptions]) -> Answer:
        """Answer the last message of a conversation.

        Example:
            ```python
            import latentvlm

            vlm = latentvlm.load()
            page = {"type": "image", "image": "invoice.pdf", "pages": "1"}
            turns = [
                {"role": "user", "content": [page, {"type": "text", "text": "Who is it from?"}]}
            ]
            turns.append(vlm.chat(turns).as_message())
            turns.append({"role": "user", "content": "What is the total?"})
            print(vlm.chat(turns).text)
            ```

        Args:
            messages: `{"role": "user", "content": ...}`; a content is a text, or a list of
                `{"type": "text", "text": ...}` and `{"type": "image", "image": source}`, where
                source is whatever `ask` takes. An image part may have its own `pages` and `dpi`.
                A video is `{"type": "video", "video": path or bytes}`, or its frames,
                `{"type": "video", "frames": pictures, "timestamps": seconds}`, or with `"fps"`
                instead, and then `"frame_indices"` if they are not all its frames.
                `Answer.as_message()` is the turn of the assistant; the result of a tool that it
                called is a message of the role "tool".
            options: see `AskOptions`. A video may have its own `"choice"` of frames, `"evs"` or
                `"evs_rate"`.

        Raises:
            PromptError, MediaError, CheckpointError: as in `ask`.
        """
        return self.stream_chat(messages, **options).read()

    def stream_chat(self, messages: Sequence[Message], **options: Unpack[AskOptions]) -> S:
        """As `chat`, but pieces of text as they are written; at the end, `.answer` is there.

        Example:
            ```python
            import latentvlm

            vlm = latentvlm.load()
            for piece in vlm.stream_chat([{"role": "user", "content": "Who are you?"}]):
                print(piece, end="", flush=True)
            ```
        """
        raise NotImplementedError
