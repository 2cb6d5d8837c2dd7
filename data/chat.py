"""Conversations: what one may hold, and how a checkpoint's own chat template renders it.

A message is ``{"role": ..., "content": ...}``; its content is a string or a list of parts,
``{"type": "text", "text": ...}`` or ``{"type": "image", "image": ...}``, as in
transformers, or a video given by its frames (see ``video.py``). What the assistant said may also
have ``reasoning_content`` and ``tool_calls``.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import jinja2
import jinja2.ext
import jinja2.meta
import jinja2.nodes
import jinja2.sandbox

from ..errors import CheckpointError, PromptError
from .guard import ANSWER, Guard
from .tool_messages import check_tool_calls
from .video import EXAMPLE, Video, video_of_part

ROLES = ("system", "developer", "user", "assistant", "tool")

Message = Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class Conversation:
    """Checked messages, with their texts guarded and their pictures taken out.

    Attributes:
        messages: what the chat template is given; parts of type image hold no picture, and
            parts of type video no frames.
        images: the pictures in the order in which their placeholders appear.
        videos: likewise.
    """

    messages: list[dict[str, Any]]
    images: list[Any]
    videos: list[Video]


class _Generation(jinja2.ext.Extension):
    """``{% generation %}`` blocks of templates made for training render as their content."""

    tags = {"generation"}

    def parse(self, parser: Any) -> Any:
        next(parser.stream)
        body = parser.parse_statements(("name:endgeneration",), drop_needle=True)
        return jinja2.nodes.Scope(body)


def _raise_exception(message: str) -> None:
    raise jinja2.TemplateError(message)


def _tojson(value: Any, **options: Any) -> str:
    return json.dumps(value, **{"ensure_ascii": False, **options})


class ChatTemplate:
    """A Jinja chat template, compiled once, in a sandbox.

    Attributes:
        source: its text.
        variables: every name that it reads and does not set itself.
    """

    def __init__(self, source: str, *, variables: Mapping[str, Any] | None = None) -> None:
        """Compile ``source``; ``variables`` are the names of control tokens it may use.

        Raises:
            CheckpointError: the template is not valid Jinja.
        """
        environment = jinja2.sandbox.ImmutableSandboxedEnvironment(
            trim_blocks=True, lstrip_blocks=True, extensions=[_Generation, jinja2.ext.loopcontrols]
        )
        environment.filters["tojson"] = _tojson
        environment.globals["raise_exception"] = _raise_exception
        environment.globals["strftime_now"] = lambda form: datetime.now().strftime(form)
        try:
            self._template = environment.from_string(source)
            names = jinja2.meta.find_undeclared_variables(environment.parse(source))
        except jinja2.TemplateError as error:
            raise CheckpointError(f"The chat template is not valid Jinja: {error}.") from error
        self._variables = dict(variables or {})
        self.source = source
        self.variables = frozenset(names)

    @classmethod
    def from_folder(cls, folder: str | Path, *, settings: Mapping[str, Any]) -> "ChatTemplate":
        """Read ``chat_template.jinja``, or the template in ``settings`` (tokenizer_config.json).

        Raises:
            CheckpointError: the folder has no chat template.
        """
        path = Path(folder) / "chat_template.jinja"
        source = path.read_text(encoding="utf-8") if path.is_file() else None
        source = source or settings.get("chat_template")
        if isinstance(source, list):  # several named templates
            source = {item["name"]: item["template"] for item in source}.get("default")
        if not isinstance(source, str):
            raise CheckpointError(
                f"{folder} has no chat template: neither chat_template.jinja nor a key "
                "chat_template in tokenizer_config.json."
            )
        variables = {
            key: value["content"] if isinstance(value, Mapping) else value
            for key, value in settings.items()
            if key.endswith("_token") and value
        }
        return cls(source, variables=variables)

    def render(
        self, messages: Sequence[Message], *, add_generation_prompt: bool, **options: Any
    ) -> str:
        """Messages to text, placeholders unexpanded; ``options`` go to the template as they are.

        Raises:
            PromptError: the template refuses these messages.
        """
        try:
            return self._template.render(
                **self._variables,
                **options,
                messages=messages,
                add_generation_prompt=add_generation_prompt,
            )
        except (jinja2.TemplateError, TypeError, ValueError, AttributeError, LookupError) as error:
            # A template fails in any of these ways on values of a kind it does not expect.
            raise PromptError(f"The chat template refuses this conversation: {error}.") from error


def check_conversation(
    messages: Sequence[Message], *, guard: Guard, mark_answers: bool = False
) -> Conversation:
    """Check messages, take pictures and videos out and guard the texts.

    Args:
        messages: at least one; the last user message must hold some text.
        guard: what breaks up the control tokens that a text spells.
        mark_answers: put a mark before what the assistant says, for training.

    Raises:
        PromptError: no messages, an unknown role or part, an empty question, or text that is
            not valid Unicode.
        MediaError: a video is given as a file, or without frames.
    """
    if not messages:
        raise PromptError("The conversation is empty: give at least one message.")
    checked: list[dict[str, Any]] = []
    images: list[Any] = []
    videos: list[Video] = []
    question: str | None = None
    for idx, message in enumerate(messages):
        message = _guard_assistant_extras(message, idx, guard)
        role, content = message.get("role"), message.get("content")
        if role not in ROLES:
            raise PromptError(
                f"Message {idx} has the role {role!r}; known roles are {', '.join(ROLES)}."
            )
        if content is None and message.get("tool_calls"):
            checked.append(dict(message))
            continue
        parts = _parts(content, idx)
        if role == "assistant" and any(part["type"] != "text" for part in parts):
            raise PromptError(
                f"Message {idx} is of the assistant and shows something; pictures and videos "
                "belong into the user's messages."
            )
        images += [part["image"] for part in parts if part["type"] == "image"]
        videos += [part["video"] for part in parts if part["type"] == "video"]
        _check_unicode(parts, idx)
        if role == "user":
            question = "".join(part["text"] for part in parts if part["type"] == "text")
        clean = _guard_parts(parts, guard, is_assistant=role == "assistant")
        if role == "assistant" and mark_answers:
            _mark_answer(clean)
        # A template may treat a string and a list of one text differently: keep the form.
        form = clean[0]["text"] if isinstance(content, str) else clean
        checked.append({**message, "content": form})
    if question is not None and not question.strip():
        raise PromptError("The question is empty: say what you want to know.")
    return Conversation(messages=checked, images=images, videos=videos)


def _guard_assistant_extras(message: Message, idx: int, guard: Guard) -> Message:
    """What else an assistant message holds is written by the template too."""
    extras: dict[str, Any] = {}
    if calls := message.get("tool_calls"):
        extras["tool_calls"] = check_tool_calls(calls, idx)
    if isinstance(thought := message.get("reasoning_content"), str):
        extras["reasoning_content"] = thought
    return {**message, **guard.nested(extras)} if extras else message


def _check_unicode(parts: list[dict[str, Any]], idx: int) -> None:
    for part in parts:
        if part["type"] == "text":
            try:
                part["text"].encode()
            except UnicodeEncodeError as error:
                raise PromptError(
                    f"Message {idx} holds {part['text'][error.start]!r} at character "
                    f"{error.start}, which is not valid Unicode text."
                ) from error


def _parts(content: Any, idx: int) -> list[dict[str, Any]]:
    if isinstance(content, str):
        return [{"type": "text", "text": content}]
    if not isinstance(content, Sequence) or not content:
        raise PromptError(f"Message {idx} needs a content: a string or a list of parts.")
    parts = []
    for part in content:
        kind = part.get("type") if isinstance(part, Mapping) else None
        if kind == "text" and isinstance(part.get("text"), str):
            parts.append({"type": "text", "text": part["text"]})
        elif kind == "image" and part.get("image") is not None:
            parts.append({"type": "image", "image": part["image"]})
        elif kind == "video":
            parts.append({"type": "video", "video": video_of_part(part, f"Message {idx}")})
        else:
            raise PromptError(
                f"Message {idx} holds a part that is neither {{'type': 'text', 'text': ...}} "
                f"nor {{'type': 'image', 'image': ...}} nor {EXAMPLE}."
            )
    return parts


def _guard_parts(
    parts: list[dict[str, Any]], guard: Guard, *, is_assistant: bool
) -> list[dict[str, Any]]:
    clean: list[dict[str, Any]] = []
    run: list[str] = []
    for part in [*parts, None]:
        if part is not None and part["type"] == "text":
            run.append(part["text"])
            continue
        clean += [{"type": "text", "text": t} for t in guard(run, is_assistant=is_assistant)]
        run = []
        if part is not None:
            clean.append({"type": part["type"]})
    return clean


def _mark_answer(parts: list[dict[str, Any]]) -> None:
    parts[0] = {"type": "text", "text": ANSWER + parts[0]["text"]}
