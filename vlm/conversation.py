"""Messages whose pictures are files, documents or arrays, to messages whose pictures are pages.

The frames of a video are opened in the same way; a video file is not read.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from ..data.chat import Message
from ..data.media import Page, open_media
from ..data.media.open import MediaSource
from ..data.media.page_range import PageChoice
from ..data.video import video_of_part
from ..errors import PromptError


@dataclass(frozen=True, kw_only=True)
class OpenedConversation:
    """Messages for the processor, and their pages in the order of appearance.

    Attributes:
        shows: whether there is anything to see, pages or videos.
    """

    messages: list[Message]
    pages: list[Page]
    shows: bool

    @property
    def question(self) -> str:
        """The text of the last user message."""
        for message in reversed(self.messages):
            if message.get("role") == "user":
                return _text(message.get("content"))
        return ""


Medium: TypeAlias = MediaSource | Mapping[str, Any]


def question_message(question: str, media: Sequence[Medium]) -> Message:
    """A question about pages, as a user message: pages first, then the question.

    A medium that is a mapping is a message part already, such as a video.

    Raises:
        PromptError: the question is empty or no text.
    """
    if not isinstance(question, str):
        raise PromptError(
            f"The question is a {type(question).__name__}, not a text; it comes before the media."
        )
    if not question.strip():
        raise PromptError("The question is empty: say what you want to know.")
    if not media:
        return {"role": "user", "content": question}
    shown = [
        source if isinstance(source, Mapping) else {"type": "image", "image": source}
        for source in media
    ]
    return {"role": "user", "content": [*shown, {"type": "text", "text": question}]}


def open_conversation(
    messages: Sequence[Message], *, pages: PageChoice = None, dpi: float | None = None
) -> OpenedConversation:
    """Opens every picture and frame; a document becomes one picture a page.

    A part may have its own `pages` and `dpi`, which go before the arguments.

    Raises:
        PromptError: a message is no mapping.
        MediaError: a picture or a frame cannot be opened, or a video is a file.
    """
    if isinstance(messages, str | Mapping) or not isinstance(messages, Sequence):
        raise PromptError(
            "The messages must be a list such as [{'role': 'user', 'content': '...'}], not a "
            f"{type(messages).__name__}."
        )
    opened: list[Page] = []
    ready: list[Message] = []
    has_video = False
    for idx, message in enumerate(messages):
        if not isinstance(message, Mapping):
            raise PromptError(f"Message {idx} is a {type(message).__name__}, not a mapping.")
        content = message.get("content")
        if isinstance(content, str) or not isinstance(content, Sequence):
            ready.append(message)
            continue
        parts: list[Any] = []
        for part in content:
            if isinstance(part, Mapping) and part.get("type") == "video":
                parts.append(_opened_video(part, f"Message {idx}"))
                has_video = True
                continue
            if not _is_picture(part):
                parts.append(part)
                continue
            found = open_media(
                part["image"], pages=part.get("pages", pages), dpi=part.get("dpi", dpi)
            )
            opened += found
            parts += [{"type": "image", "image": page.image} for page in found]
        ready.append({**message, "content": parts})
    return OpenedConversation(messages=ready, pages=opened, shows=bool(opened) or has_video)


def _opened_video(part: Mapping[str, Any], where: str) -> dict[str, Any]:
    video = video_of_part(part, where)
    frames = [open_media(frame, pages=[1])[0].image for frame in video.frames]
    return {"type": "video", "frames": frames, "timestamps": video.timestamps, "evs": video.evs}


def _is_picture(part: Any) -> bool:
    is_named = isinstance(part, Mapping) and part.get("type") == "image"
    return is_named and part.get("image") is not None


def _text(content: Any) -> str:
    if isinstance(content, str):
        return content
    return "".join(part["text"] for part in content or () if part.get("type") == "text")
