"""Requests in, responses out, every response on disk the moment it is there.

A run that was stopped goes on where it was: the same call reads the responses that are there and
asks only for the rest.
"""

import dataclasses
import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from ..errors import DataError
from .documents import request_hash
from .samples import Request, Responder, Response


def run(
    requests: Sequence[Request],
    responder: Responder,
    path: str | Path,
    *,
    on_response: Callable[[Response], None] = lambda response: None,
) -> dict[str, Response]:
    """Answers all requests and keeps the responses as JSON, one a line.

    Args:
        requests: what to ask, with ids that differ.
        responder: what answers.
        path: the file of responses; what it already holds is not asked again.
        on_response: called for each response, old or new, for a progress bar.

    Returns:
        The response to each request, by id.

    Raises:
        DataError: the file holds answers to other requests or of another model, or two requests
            have one id, or the responder left a request without response.
    """
    path = Path(path)
    hashes = {request.id: request_hash(request) for request in requests}
    if len(hashes) != len(requests):
        raise DataError(f"The {len(requests)} requests have only {len(hashes)} different ids.")
    responses = _read(path, responder.name, hashes)
    for response in responses.values():
        on_response(response)
    missing = [request for request in requests if request.id not in responses]
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a", encoding="utf-8") as file:
        answers = responder.generate(missing)
        for request, response in zip(missing, answers, strict=False):
            if response.id != request.id:
                raise DataError(f"{responder.name} answered {response.id} for {request.id}.")
            line = {
                **dataclasses.asdict(response),
                "question": request.question,
                "request": hashes[request.id],
                "model": responder.name,
            }
            file.write(json.dumps(line, ensure_ascii=False) + "\n")
            file.flush()
            responses[response.id] = response
            on_response(response)
    left = [request.id for request in requests if request.id not in responses]
    if left:
        raise DataError(f"{responder.name} gave no response to {len(left)} requests: {left[0]} ...")
    return responses


def _read(path: Path, model: str, hashes: dict[str, str]) -> dict[str, Response]:
    """The responses of an earlier run; a last line that was cut in the middle is removed."""
    if not path.is_file():
        return {}
    raw = path.read_bytes()
    whole = raw[: raw.rfind(b"\n") + 1]
    if len(whole) < len(raw):
        path.write_bytes(whole)
    responses = {}
    for number, values in _lines(path, whole):
        known = hashes.get(str(values.get("id")))
        if known is None:  # a question beyond this run's limit
            continue
        if values.get("model") != model or values.get("request") != known:
            raise DataError(
                f"{path} line {number} is the answer of another model or to another question; "
                "choose another folder for this run, or remove the file."
            )
        names = [field.name for field in dataclasses.fields(Response)]
        responses[values["id"]] = Response(**{name: values[name] for name in names})
    return responses


def _lines(path: Path, raw: bytes) -> Iterator[tuple[int, dict[str, Any]]]:
    for number, line in enumerate(raw.decode("utf-8").split("\n")[:-1], start=1):
        try:
            yield number, json.loads(line)
        except ValueError as error:
            raise DataError(f"{path} line {number} is no JSON; remove that line.") from error
