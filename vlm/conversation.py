"""Messages whose pictures are files, documents or arrays, to messages whose pictures are pages.

Videos are opened by `video_parts.py`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from ..data.chat import Message
from ..data.media import DEFAULT_LIMITS, MediaLimits, Page, open_media
from ..data.media.clip import VideoReport
from ..data.media.open import MediaSource
from ..data.media.page_range import PageChoice
from ..errors import PromptError
from .video_parts import VideoOpener


@dataclass(frozen=True, kw_only=True)
class OpenedConversation:
    """Messages for the processor, and their pages in the order of appearance.

    Attributes:
        videos: which frames of each video are seen, in the order of appearance.
    """

    messages: list[Message]
    pages: list[Page]
    videos: list[VideoReport]

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

    A medium that is a mapping is a message part already. What the others are is seen when they are
    opened: a part of type media may turn out to be a picture, a document or a video.

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
        source if isinstance(source, Mapping) else {"type": "media", "media": source}
        for source in media
    ]
    return {"role": "user", "content": [*shown, {"type": "text", "text": question}]}


def open_conversation(
    messages: Sequence[Message],
    *,
    videos: VideoOpener,
    pages: PageChoice = None,
    dpi: float | None = None,
    text_layer: bool = False,
    limits: MediaLimits = DEFAULT_LIMITS,
) -> OpenedConversation:
    """Opens every picture and video; a document becomes one picture a page. A `Page` is open.

    A part may have its own `pages`, `dpi` and `text_layer`, which go before the arguments. The
    text that a PDF carries follows the picture of its page, if it is asked for.

    Raises:
        PromptError: a message is no mapping, or a video comes to a model that sees none.
        MediaError: a picture or a video cannot be opened.
    """
    if isinstance(messages, str | Mapping) or not isinstance(messages, Sequence):
        raise PromptError(
            "The messages must be a list such as [{'role': 'user', 'content': '...'}], not a "
            f"{type(messages).__name__}."
        )
    opened: list[Page] = []
    ready: list[Message] = []
    reports: list[VideoReport] = []
    for idx, message in enumerate(messages):
        if not isinstance(message, Mapping):
            raise PromptError(f"Message {idx} is a {type(message).__name__}, not a mapping.")
        content = message.get("content")
        if isinstance(content, str) or not isinstance(content, Sequence):
            ready.append(message)
            continue
        parts: list[Any] = []
        for part in content:
            part = _known(part, videos)
            if isinstance(part, Mapping) and part.get("type") == "video":
                opened_part, report = videos.open(part, f"Message {idx}")
                parts.append(opened_part)
                reports.append(report)
                continue
            if not _is_picture(part):
                parts.append(part)
                continue
            source = part["image"]
            found = (
                [source]
                if isinstance(source, Page)
                else open_media(
                    source,
                    pages=part.get("pages", pages),
                    dpi=part.get("dpi", dpi),
                    text_layer=part.get("text_layer", text_layer),
                    limits=limits,
                )
            )
            opened += found
            for page in found:
                parts.append({"type": "image", "image": page.image})
                if page.text:
                    parts.append({"type": "text", "text": f"{page.text}\n", "is_layer": True})
        ready.append({**message, "content": parts})
    return OpenedConversation(messages=ready, pages=opened, videos=reports)


def _known(part: Any, videos: VideoOpener) -> Any:
    """A part of type media as what it turns out to be."""
    if not isinstance(part, Mapping) or part.get("type") != "media":
        return part
    rest = {key: value for key, value in part.items() if key not in ("type", "media")}
    kind = "video" if videos.is_video(part.get("media")) else "image"
    return {"type": kind, kind: part.get("media"), **(rest if kind == "image" else {})}


def _is_picture(part: Any) -> bool:
    is_named = isinstance(part, Mapping) and part.get("type") == "image"
    return is_named and part.get("image") is not None


def _text(content: Any) -> str:
    if isinstance(content, str):
        return content
    return "".join(
        part["text"]
        for part in content or ()
        if part.get("type") == "text" and not part.get("is_layer")
    )
