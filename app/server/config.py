"""What a server may be asked for, and where it listens."""

from dataclasses import dataclass
from pathlib import Path

from ...errors import ConfigError


@dataclass(frozen=True, kw_only=True)
class ServerConfig:
    """Where it listens, whom it serves, and how much one request may cost.

    Attributes:
        host, port: loopback unless told otherwise; port 0 takes a free one.
        api_keys: one of them must come as `Authorization: Bearer`; none lets everybody in.
        folders: files below them may be named by a request (`file:///...`); none may by default.
        allow_urls: whether http(s) addresses are fetched; private and loopback ones never are.
        model_name: what the model is called.
        max_body_bytes: of one request, media included.
        max_file_bytes, max_frames, max_video_s: of one file, or one video of it.
        max_pixels: of one page; all of a request have at most five times as many.
        max_pages: of all documents of a request together.
        max_prompt_tokens: text and visual tokens; None is the model's context.
        max_answer_tokens: the most `max_tokens` may say.
        request_s: seconds for one request, waiting included.
        drain_s: seconds that running requests have after SIGTERM.
    """

    host: str = "127.0.0.1"
    port: int = 8000
    api_keys: tuple[str, ...] = ()
    folders: tuple[Path, ...] = ()
    allow_urls: bool = False
    model_name: str = "latentvlm"
    max_body_bytes: int = 128 * 2**20
    max_file_bytes: int = 64 * 2**20
    max_pixels: int = 80_000_000
    max_pages: int = 100
    max_frames: int = 256
    max_video_s: float = 4 * 3600.0
    max_prompt_tokens: int | None = None
    max_answer_tokens: int = 4096
    request_s: float = 600.0
    drain_s: float = 30.0

    def __post_init__(self) -> None:
        for key, value in vars(self).items():
            if key.startswith("max_") and value is not None and value < 1:
                raise ConfigError(f"ServerConfig.{key} is {value!r} but must be at least 1.")
        for folder in self.folders:
            if not folder.is_dir():
                raise ConfigError(f"The allowed folder {folder} is not there.")
