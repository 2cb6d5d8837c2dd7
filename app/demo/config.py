"""Where the demo listens, and how much one visitor may bring."""

from dataclasses import dataclass

from ...errors import ConfigError


@dataclass(frozen=True, kw_only=True)
class DemoConfig:
    """Loopback unless told otherwise.

    Attributes:
        host, port: port 0 takes a free one.
        login: a name and a password that the page asks for; None lets everybody in.
        max_file_bytes: of one file.
        max_batch: answers written at once.
        max_waiting: questions that wait; beyond it the page says to try again.
    """

    host: str = "127.0.0.1"
    port: int = 7860
    login: tuple[str, str] | None = None
    max_file_bytes: int = 2 * 2**30
    max_batch: int = 8
    max_waiting: int = 64

    def __post_init__(self) -> None:
        if not 0 <= self.port <= 65535:
            raise ConfigError(f"The port is {self.port}; it must be from 0 to 65535.")
        if self.login is not None and not all(self.login):
            raise ConfigError("The login must be NAME:PASSWORD, neither of them empty.")

    @property
    def is_loopback(self) -> bool:
        """Whether only this machine reaches it."""
        return self.host in ("localhost", "::1") or self.host.startswith("127.")
