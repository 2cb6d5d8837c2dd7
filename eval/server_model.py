"""A model behind an OpenAI-style server (vLLM, SGLang, llama.cpp, ...) that answers requests."""

import json
import os
import time
import urllib.error
import urllib.request
from collections.abc import Iterable, Iterator
from typing import Any

from ..data.frame_choice import FrameChoice
from ..errors import BackendError, LatentVLMError
from .concurrent import answered
from .pages import data_url, pictures
from .responder import failed
from .samples import Request, Response

_AGAIN = (408, 409, 425, 429, 500, 502, 503, 504)
KEY = "OPENAI_API_KEY"


class ServerModel:
    """Asks `URL/chat/completions`, several requests at a time, greedily.

    Pages and chosen frames of videos are sent as PNG pictures; before each frame stands its second.

    Args:
        url: up to and with `/v1`.
        model: what the server calls the model; None takes its first.
        concurrency: how many requests are on their way at once.
        dpi, frames: how PDF pages are drawn, and which frames of a video are sent.
        timeout: seconds that one answer may take.
        retries: how often a request is sent again that the server was too busy for.
        seed: sent with each request.
        stops_on_error: whether a request that the server refuses ends the run.

    Raises:
        BackendError: nothing answers at the address, or it has no model.
    """

    def __init__(
        self,
        url: str,
        model: str | None = None,
        *,
        concurrency: int = 8,
        dpi: float | None = None,
        frames: FrameChoice | None = None,
        max_tokens: int | None = None,
        timeout: float = 600.0,
        retries: int = 4,
        pause: float = 1.0,
        seed: int = 0,
        stops_on_error: bool = False,
    ) -> None:
        self.url = url.rstrip("/")
        self._dpi, self._frames = dpi, frames
        self._concurrency, self._timeout = concurrency, timeout
        self._retries, self._pause, self._seed = retries, pause, seed
        self._max_tokens, self._stops = max_tokens, stops_on_error
        self.model = model or self._first_model()
        self.name = f"{self.model} at {self.url}"

    def generate(self, requests: Iterable[Request]) -> Iterator[Response]:
        """Answers as they come, in the order in which the server ends them."""
        return answered(requests, self._answer, self._concurrency)

    def _answer(self, request: Request) -> Response:
        begin = time.perf_counter()
        try:
            body = {
                "model": self.model,
                "messages": [{"role": "user", "content": self._content(request)}],
                "max_tokens": self._max_tokens or request.max_tokens,
                "temperature": 0,
                "seed": self._seed,
            }
            reply = self._send("/chat/completions", body)
            choice = reply["choices"][0]
            message, usage = choice["message"], reply.get("usage") or {}
            thought = message.get("reasoning_content") or message.get("reasoning")
            details = {
                "prompt_tokens": usage.get("prompt_tokens"),
                **({"reasoning": thought} if thought else {}),
            }
            return Response(
                id=request.id,
                text=message.get("content") or "",
                finish_reason=choice.get("finish_reason") or "stop",
                answer_tokens=usage.get("completion_tokens"),
                seconds=time.perf_counter() - begin,
                details=details,
            )
        except (LatentVLMError, KeyError, IndexError, TypeError) as error:
            if self._stops:
                raise
            if not isinstance(error, LatentVLMError):
                error = BackendError(f"{self.url} sent a reply that is none: {error!r}.")
            return failed(request, error, begin)

    def _content(self, request: Request) -> list[dict[str, Any]]:
        parts: list[dict[str, Any]] = []
        for image, label in pictures(request.media, dpi=self._dpi, frames=self._frames):
            if label.endswith(" s"):
                parts.append({"type": "text", "text": f"[{label}]"})
            parts.append({"type": "image_url", "image_url": {"url": data_url(image)}})
        return [*parts, {"type": "text", "text": request.question}]

    def _first_model(self) -> str:
        listed = self._send("/models", None).get("data") or []
        if not listed:
            raise BackendError(f"{self.url} lists no model; name one: {self.url}#NAME.")
        return listed[0]["id"]

    def _send(self, path: str, body: dict[str, Any] | None) -> dict[str, Any]:
        """A reply of the server.

        Raises:
            BackendError: there is none, after several tries, or it is an error.
        """
        data = None if body is None else json.dumps(body).encode("utf-8")
        headers = {"Content-Type": "application/json"}
        if key := os.environ.get(KEY):
            headers["Authorization"] = f"Bearer {key}"
        request = urllib.request.Request(self.url + path, data=data, headers=headers)
        said = ""
        for attempt in range(self._retries + 1):
            if attempt:
                time.sleep(self._pause * 2 ** (attempt - 1))
            try:
                with urllib.request.urlopen(request, timeout=self._timeout) as reply:
                    return json.loads(reply.read())
            except urllib.error.HTTPError as error:
                with error:
                    said = f"{error.code} {error.read(2000).decode('utf-8', 'replace').strip()}"
                if error.code not in _AGAIN:
                    break
            except (OSError, ValueError) as error:
                said = str(getattr(error, "reason", error))
        raise BackendError(f"{self.url}{path} gave no answer: {said}")
