"""How much an engine does at once, and what it has done."""

from dataclasses import dataclass

from ..errors import ConfigError


@dataclass(frozen=True, kw_only=True)
class EngineConfig:
    """How much is done at once.

    Example:
        ```python
        import latentvlm

        config = latentvlm.EngineConfig(max_batch=4, max_waiting=8)
        with latentvlm.Engine(latentvlm.load(), config) as engine:
            print(engine.ask("What is the total?", "invoice.png").text)
        ```

    Attributes:
        max_batch: answers that are written together.
        max_waiting: requests that wait for a place; beyond it `BusyError` is raised.
        max_tokens: prompts and answers, at their longest, that may be in work together; None is
            no limit but `max_batch`.
        media_bytes: encoded pictures and videos that are kept for the next question.

    Raises:
        ConfigError: a value is out of its range.
    """

    max_batch: int = 16
    max_waiting: int = 64
    max_tokens: int | None = None
    media_bytes: int = 256 * 2**20

    def __post_init__(self) -> None:
        for key, low in (
            ("max_batch", 1),
            ("max_waiting", 0),
            ("max_tokens", 1),
            ("media_bytes", 0),
        ):
            value = getattr(self, key)
            is_open = key == "max_tokens" and value is None
            if not is_open and (
                not isinstance(value, int) or isinstance(value, bool) or value < low
            ):
                raise ConfigError(
                    f"EngineConfig.{key} is {value!r} but must be a whole number from {low}."
                )


@dataclass(frozen=True, kw_only=True)
class EngineState:
    """What an engine does now, and has done since it was made.

    Attributes:
        waiting, reading, writing: requests in the queue, prompts being read, answers in work.
        finished, cancelled, failed: answers that ended so.
        prompt_tokens, answer_tokens: read and written.
        media_hits, media_misses, media_bytes: of the cache of encoded media.
    """

    waiting: int
    reading: int
    writing: int
    finished: int
    cancelled: int
    failed: int
    prompt_tokens: int
    answer_tokens: int
    media_hits: int
    media_misses: int
    media_bytes: int
