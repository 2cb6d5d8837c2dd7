"""Requests to a server: by OpenAI's own client, and by hand."""

import base64
import io
import json
import urllib.error
import urllib.request

import numpy as np
import openai
from PIL import Image


def page(seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (48, 80, 3), dtype=np.uint8)


def png(array: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(array).save(buffer, "PNG")
    return buffer.getvalue()


def data_url(data: bytes, kind: str = "image/png") -> str:
    return f"data:{kind};base64,{base64.b64encode(data).decode()}"


def user(text: str, *parts: dict) -> list[dict]:
    return [{"role": "user", "content": [*parts, {"type": "text", "text": text}]}]


def image(data: bytes) -> dict:
    return {"type": "image_url", "image_url": {"url": data_url(data)}}


def create(client: openai.OpenAI, messages: list[dict], **options):
    given = {"model": "latentvlm", "max_tokens": 8, "temperature": 0, **options}
    return client.chat.completions.create(messages=messages, **given)  # type: ignore[call-overload]


def post(server, path: str, body: bytes, **headers: str) -> tuple[int, dict]:
    request = urllib.request.Request(server.url + path, data=body, headers=headers)
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            return answer.status, json.loads(answer.read())
    except urllib.error.HTTPError as error:
        return error.code, json.loads(error.read())
