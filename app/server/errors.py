"""Errors as OpenAI's clients read them: a status, and one sentence."""

from fastapi.responses import JSONResponse

from ...errors import (
    BusyError,
    ConfigError,
    InputError,
    LatentVLMError,
    MissingDependencyError,
)


class RequestError(LatentVLMError):
    """A request that is refused before the model sees it."""

    def __init__(self, message: str, status: int = 400, param: str | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.param = param


def status_of(error: Exception) -> int:
    if isinstance(error, RequestError):
        return error.status
    if isinstance(error, BusyError):
        return 429
    if isinstance(error, MissingDependencyError):
        return 501
    return 400 if isinstance(error, InputError | ConfigError) else 500


def error_body(error: Exception) -> dict:
    """What the body of a failed request says; nothing of what was not raised on purpose."""
    known = isinstance(error, LatentVLMError)
    status = status_of(error)
    kinds = {401: "authentication_error", 404: "not_found_error", 429: "rate_limit_error"}
    kind = "server_error" if status >= 500 else kinds.get(status, "invalid_request_error")
    message = str(error) if known else "The server failed; its log says why."
    param = error.param if isinstance(error, RequestError) else None
    return {"error": {"message": message, "type": kind, "param": param, "code": None}}


def error_response(error: Exception) -> JSONResponse:
    status = status_of(error)
    headers = {401: {"WWW-Authenticate": "Bearer"}, 429: {"Retry-After": "1"}}.get(status)
    return JSONResponse(error_body(error), status_code=status, headers=headers)
