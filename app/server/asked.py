"""A body to what the engine takes: messages with media, and how they are answered."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from ...data.media.clip import VideoLimits
from ...vlm.asking import make_request
from ...vlm.prepared import Prepared
from ...vlm.sampling import GenerationConfig
from ...vlm.vlm import VLM
from .bodies import ChatBody, Options, ResponsesBody, answer_format, offered_tools
from .config import ServerConfig
from .errors import RequestError
from .input_items import chat_messages
from .media import MediaOpener

_DEFAULT_TOKENS = 256
_LONGEST_NAME = 80


def prepare_chat(vlm: VLM, config: ServerConfig, body: ChatBody) -> Prepared:
    """Raises LatentVLMError where something cannot be."""
    if body.frequency_penalty or body.presence_penalty:
        raise RequestError(
            "frequency_penalty and presence_penalty must be 0; give repetition_penalty."
        )
    effort = body.reasoning_effort
    return _prepare(
        vlm,
        config,
        body,
        _messages(vlm, config, body, body.messages),
        max_tokens=body.max_completion_tokens or body.max_tokens,
        stop=(body.stop,) if isinstance(body.stop, str) else tuple(body.stop or ()),
        top_logprobs=body.top_logprobs or 0,
        wanted=answer_format(body.response_format),
        effort=effort,
    )


def prepare_response(vlm: VLM, config: ServerConfig, body: ResponsesBody) -> Prepared:
    """Raises LatentVLMError where something cannot be."""
    given = [{"role": "user", "content": body.input}] if isinstance(body.input, str) else body.input
    messages = _messages(vlm, config, body, chat_messages(given))
    if body.instructions:
        messages.insert(0, {"role": "system", "content": body.instructions})
    return _prepare(
        vlm,
        config,
        body,
        messages,
        max_tokens=body.max_output_tokens,
        top_logprobs=body.top_logprobs or 0,
        wanted=answer_format((body.text or {}).get("format")),
        effort=(body.reasoning or {}).get("effort"),
    )


def _prepare(
    vlm: VLM,
    config: ServerConfig,
    body: Options,
    messages: list[dict[str, Any]],
    *,
    max_tokens: int | None,
    wanted: Any,
    effort: Any,
    stop: tuple[str, ...] = (),
    top_logprobs: int = 0,
) -> Prepared:
    most = config.max_answer_tokens
    if max_tokens is not None and max_tokens > most:
        raise RequestError(f"max_tokens is {max_tokens}; at most {most} are written.")
    if body.frames is not None and body.frames > config.max_frames:
        raise RequestError(f"frames is {body.frames}; at most {config.max_frames} are seen.")
    given = {
        key: value
        for key in ("temperature", "top_p", "top_k", "min_p", "repetition_penalty", "seed")
        if (value := getattr(body, key)) is not None
    }
    generation = GenerationConfig(
        max_tokens=max_tokens or min(_DEFAULT_TOKENS, most),
        stop=stop,
        top_logprobs=top_logprobs,
        **given,
    )
    thinking = False if effort == "none" else body.thinking
    tools, tool_choice = offered_tools(body)
    prepared = vlm.prepare(
        make_request(
            messages,
            generation=generation,
            thinking=thinking,
            thinking_budget=body.thinking_budget,
            low_effort=effort in ("minimal", "low") and vlm.processor.style.thought is not None,
            tools=tools,
            tool_choice=tool_choice,
            answer_format=wanted,
            evs_rate=body.evs_rate,
            token_budget=body.token_budget,
            frames=body.frames,
            video_limits=VideoLimits(
                max_bytes=config.max_file_bytes,
                max_duration_s=config.max_video_s,
                max_frames=config.max_frames,
                max_frame_pixels=config.max_pixels,
                total_s=config.request_s,
            ),
        )
    )
    num_tokens, limit = prepared.inputs.num_tokens, config.max_prompt_tokens
    if limit is not None and num_tokens > limit:
        raise RequestError(f"The prompt has {num_tokens} tokens; at most {limit} are read.")
    return prepared


def _messages(
    vlm: VLM, config: ServerConfig, body: Options, messages: Sequence[Mapping[str, Any]]
) -> list[dict[str, Any]]:
    sees_videos = vlm.processor.sees_videos
    opener = MediaOpener(config, pages=body.pages, dpi=body.dpi, sees_videos=sees_videos)
    return [_message(opener, message) for message in messages]


def _message(opener: MediaOpener, message: Mapping[str, Any]) -> dict[str, Any]:
    role, content = message.get("role"), message.get("content")
    ready = {"role": "system" if role == "developer" else role, "content": content}
    if isinstance(content, list):
        parts: list[dict[str, Any]] = []
        for part in content:
            parts += _parts(opener, part)
        ready["content"] = parts
    if message.get("tool_calls"):
        ready["tool_calls"] = [_call(call) for call in message["tool_calls"]]
    for key in ("reasoning_content", "name", "tool_call_id"):
        if message.get(key) is not None:
            if not isinstance(message[key], str):
                raise RequestError(f"A message has a {key} that is no text.")
            ready[key] = message[key]
    return ready


def _parts(opener: MediaOpener, part: Any) -> list[dict[str, Any]]:
    kind = part.get("type") if isinstance(part, Mapping) else None
    name = None
    if kind in ("text", "input_text", "output_text"):
        return [{"type": "text", "text": part.get("text")}]
    if kind in ("image_url", "video_url"):
        held = part.get(kind)
        source = held.get("url") if isinstance(held, Mapping) else held
    elif kind in ("input_image", "input_video"):
        source = part.get("image_url") or part.get("video_url")
    elif kind in ("file", "input_file"):
        held = part.get("file") if kind == "file" else part
        held = held if isinstance(held, Mapping) else {}
        source, name = held.get("file_data") or held.get("file_url"), held.get("filename")
        if isinstance(source, str) and ":" not in source[:12]:
            source = "data:;base64," + source
    else:
        raise RequestError(f"A message holds a part of the unknown type {str(kind)[:40]!r}.")
    if not isinstance(source, str) or not source:
        raise RequestError(f"A part of type {kind} names no data: give a data URL.")
    if not isinstance(name, str) or not name.isprintable():
        name = None
    return opener.parts(source, name and name[:_LONGEST_NAME])


def _call(call: Any) -> Any:
    """A tool call whose arguments are JSON text, as ours has them."""
    function = call.get("function") if isinstance(call, Mapping) else None
    if not isinstance(function, Mapping) or not isinstance(function.get("arguments"), str):
        return call
    try:
        arguments = json.loads(function["arguments"] or "{}")
    except (ValueError, RecursionError) as error:
        raise RequestError(f"A tool call has arguments that are not JSON: {error}.") from error
    return {"type": "function", "function": {"name": function.get("name"), "arguments": arguments}}
