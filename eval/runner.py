"""Requests in, responses out, every response on disk the moment it is there.

A run that was stopped goes on where it was: the same call reads the responses that are there and
asks only for the rest. Several processes share the requests out: the one of rank r of n asks
every n-th, from the r-th on, and writes into a file of its own.
"""

import dataclasses
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from ..errors import ConfigError, DataError
from .request_hash import request_hash
from .response_log import ResponseLog, read_lines, shard_path, shard_paths
from .samples import Request, Responder, Response

_FIELDS = {field.name for field in dataclasses.fields(Response)}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Share:
    """Which part of the requests a process asks."""

    rank: int = 0
    world: int = 1

    @classmethod
    def of_environment(cls) -> "Share":
        """As torchrun says it, by `RANK` and `WORLD_SIZE`.

        Raises:
            ConfigError: these are no such numbers.
        """
        rank, world = os.environ.get("RANK", "0"), os.environ.get("WORLD_SIZE", "1")
        if not (rank.isdigit() and world.isdigit() and int(rank) < int(world)):
            raise ConfigError(f"RANK is {rank!r} and WORLD_SIZE {world!r}; RANK is 0 to SIZE - 1.")
        return cls(rank=int(rank), world=int(world))


def run(
    requests: Sequence[Request],
    responder: Responder,
    path: str | Path,
    *,
    on_response: Callable[[Response], None] = lambda response: None,
    about: Callable[[Request], Mapping[str, Any]] = lambda request: {},
    share: Share | None = None,
    retries_errors: bool = False,
) -> dict[str, Response]:
    """Answers requests and keeps the responses as JSON, one a line.

    Args:
        requests: what to ask, with ids that differ.
        responder: what answers.
        path: the file of responses; what it and its siblings already hold is not asked again.
        on_response: called for each response, old or new, for a progress bar.
        about: what else is written into the line of a response.
        share: which of the requests this process asks; None asks all.
        retries_errors: whether a request whose answer was an error is asked again.

    Returns:
        The responses that are there, by id: all of them if no other process is at work.

    Raises:
        DataError: the files hold answers to other requests or of another model, two requests have
            one id, the responder left a request without response, or the disk is full.
    """
    path = Path(path)
    share = share or Share()
    hashes = {request.id: request_hash(request) for request in requests}
    if len(hashes) != len(requests):
        raise DataError(f"The {len(requests)} requests have only {len(hashes)} different ids.")
    with ResponseLog(shard_path(path, share.rank)) as log:
        responses = read_responses(path, responder.name, hashes)
        if retries_errors:
            kept = {id: each for id, each in responses.items() if each.finish_reason != "error"}
        else:
            kept = dict(responses)
        for response in kept.values():
            on_response(response)
        mine = requests[share.rank :: share.world]
        waiting = {request.id: request for request in mine if request.id not in kept}
        for response in responder.generate(list(waiting.values())):
            request = waiting.pop(response.id, None)
            if request is None:
                what = "again" if response.id in kept else "without being asked"
                raise DataError(f"{responder.name} answered {response.id} {what}.")
            log.write(
                {
                    **dataclasses.asdict(response),
                    **about(request),
                    "question": request.question,
                    "request": hashes[request.id],
                    "model": responder.name,
                }
            )
            kept[response.id] = response
            on_response(response)
    if waiting:
        raise DataError(
            f"{responder.name} gave no response to {len(waiting)} requests: {next(iter(waiting))} "
            "..."
        )
    if share.world > 1:
        kept = {**read_responses(path, responder.name, hashes), **kept}
    return kept


def read_responses(path: Path, model: str, hashes: Mapping[str, str]) -> dict[str, Response]:
    """The responses to these requests in the files of all processes; of several, the last.

    Raises:
        DataError: a line is no JSON, or the answer of another model or to another question.
    """
    responses = {}
    for each in shard_paths(path):
        if not each.is_file():
            continue
        for number, values in read_lines(each):
            known = hashes.get(str(values.get("id")))
            if known is None:  # a question beyond this run's limit
                continue
            if values.get("model") != model or values.get("request") != known:
                raise DataError(
                    f"{each} line {number} is the answer of another model or to another question; "
                    "choose another folder for this run, or remove the file."
                )
            responses[values["id"]] = response_of(values)
    return responses


def response_of(values: Mapping[str, Any]) -> Response:
    """The response that a line holds."""
    return Response(**{name: value for name, value in values.items() if name in _FIELDS})
