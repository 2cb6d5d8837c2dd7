"""A model that transformers opens, as something that answers requests."""

import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import torch

from ..data.frame_choice import FrameChoice
from ..errors import CheckpointError, MissingDependencyError
from .pages import pictures
from .responder import failed, fingerprint
from .samples import Request, Response


class TransformersModel:
    """`AutoModelForImageTextToText` with its processor's chat template, greedily, one at a time.

    Pages and chosen frames are given as pictures. No code of the checkpoint is run.

    Raises:
        CheckpointError: transformers cannot open the folder.
    """

    def __init__(
        self,
        folder: str | Path,
        *,
        device: str | None = None,
        dtype: str | None = None,
        dpi: float | None = None,
        frames: FrameChoice | None = None,
        max_tokens: int | None = None,
        stops_on_error: bool = False,
    ) -> None:
        try:
            from transformers import AutoModelForImageTextToText, AutoProcessor
        except ImportError as error:
            raise MissingDependencyError(
                "This needs transformers: pip install transformers."
            ) from error
        folder = Path(folder).expanduser()
        self.device = device or ("cuda" if torch.cuda.is_available() else "cpu")
        try:
            self._processor: Any = AutoProcessor.from_pretrained(folder)
            model: Any = AutoModelForImageTextToText.from_pretrained(
                folder, dtype=getattr(torch, dtype or "float32")
            )
        except (OSError, ValueError, ImportError, AttributeError) as error:
            raise CheckpointError(f"transformers cannot open {folder}: {error}") from error
        self._model = model.eval().to(self.device)
        self._dpi, self._frames = dpi, frames
        self._max_tokens, self._stops = max_tokens, stops_on_error
        self.name = f"{folder.name} {fingerprint(folder)} in transformers"

    def generate(self, requests: Iterable[Request]) -> Iterator[Response]:
        """Answers each request; one that cannot be answered becomes a response with its error."""
        for request in requests:
            begin = time.perf_counter()
            try:
                yield self._answer(request, begin)
            except Exception as error:  # whatever a foreign model raises
                if self._stops:
                    raise
                yield failed(request, error, begin)

    @torch.inference_mode()
    def _answer(self, request: Request, begin: float) -> Response:
        shown = pictures(request.media, dpi=self._dpi, frames=self._frames)
        content = [{"type": "image", "image": image} for image, _ in shown]
        messages = [
            {"role": "user", "content": [*content, {"type": "text", "text": request.question}]}
        ]
        inputs = self._processor.apply_chat_template(
            messages,
            add_generation_prompt=True,
            tokenize=True,
            return_dict=True,
            return_tensors="pt",
        ).to(self.device)
        most = self._max_tokens or request.max_tokens
        ids = self._model.generate(**inputs, max_new_tokens=most, do_sample=False)
        length = inputs["input_ids"].shape[1]
        written = ids[0, length:]
        ends = self._model.generation_config.eos_token_id
        ends = [ends] if isinstance(ends, int) else list(ends or ())
        is_whole = bool(len(written)) and int(written[-1]) in ends
        text = self._processor.tokenizer.decode(written, skip_special_tokens=True)
        return Response(
            id=request.id,
            text=text.strip(),
            finish_reason="stop" if is_whole else "length",
            answer_tokens=len(written),
            seconds=time.perf_counter() - begin,
            details={"prompt_tokens": length},
        )
