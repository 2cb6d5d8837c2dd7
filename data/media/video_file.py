"""A video file, decoded in a process of its own: decord first, PyAV where decord does not serve."""

import importlib.util
import os
import time
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from ...errors import MediaError
from ..decoding.process import DecoderProcess, DiedError, StuckError, decoder_process
from .clip import VideoLimits

Size = tuple[int, int]


def _damage(told: dict[str, Any]) -> list[str]:
    """What is to be said of how the decoder fared."""
    packets, doubtful = told["num_damaged"], told["num_doubtful"]
    found = [f"{packets} damaged packets were passed over"] if packets else []
    if doubtful:
        stand = "frames stands" if doubtful == 1 else "frames stand"
        found.append(
            f"{doubtful} of its chosen {stand} on damaged data and may show what was never there"
        )
    return found


class VideoFile:
    """A `FrameSource` over a file in the formats that FFmpeg knows.

    Every call borrows a decoding process; one that is stuck or died is dead when the call ends.
    """

    def __init__(self, path: str, *, name: str, limits: VideoLimits):
        """Reads the list of frames.

        Raises:
            MediaError: it is no video, is too large, or cannot be read in time.
        """
        self.name, self.notes, self.fallbacks = name, [], []
        path = os.path.abspath(path)  # a relative one could look like an address
        self._path, self._limits = path, limits
        self._until = time.monotonic() + limits.total_s
        self._backends = ["pyav"]
        if os.path.getsize(path) > limits.max_bytes:
            raise MediaError(
                f"{name} has {os.path.getsize(path):,} bytes, more than the {limits.max_bytes:,} "
                "accepted; make it smaller or raise VideoLimits.max_bytes "
                "(--video-limit max-bytes=...)."
            )
        self._open = {
            "op": "open",
            "path": path,
            "max_pixels": limits.max_frame_pixels,
            "max_bytes": limits.max_decoder_bytes,
        }
        try:
            with decoder_process() as process:
                header, payload = self._ask(process, self._open, self._until)
        except (StuckError, DiedError) as error:
            raise self._failed(error) from error
        if "error" in header:
            raise MediaError(f"{name} {header['error']}.")
        self.times = np.frombuffer(payload, dtype="<f8")
        height, width = header["size"]
        self.size: Size = (height, width)
        self.rotation: int = header["rotation"]
        self.notes += header["notes"]
        self.num_decoded, self.peak_bytes = 0, 0
        self._damage: list[str] = []
        if header["is_for_decord"] and importlib.util.find_spec("decord"):
            self._backends.insert(0, "decord")

    @property
    def backend(self) -> str:
        """The one that served, or will be tried next."""
        return self._backends[0]

    def read(self, indices: Sequence[int], size: Size) -> Iterator[tuple[int, np.ndarray]]:
        """As `FrameSource.read`.

        Raises:
            MediaError: every decoder got stuck, died or gave up.
        """
        while True:
            found: dict[int, np.ndarray] = {}
            is_last = len(self._backends) == 1
            # A decoder that has another one behind it may use up half of the time that is left.
            left = self._until - time.monotonic()
            until = self._until if is_last else self._until - left / 2
            try:
                with decoder_process() as process:
                    # This process may not know the file yet.
                    header, _ = self._ask(process, self._open, until)
                    if "error" in header:
                        raise MediaError(f"{self.name} {header['error']}.")
                    why = self._collect(process, indices, size, found, until)
            except (StuckError, DiedError) as error:
                if is_last:
                    raise self._failed(error) from error
                why = "decord got stuck" if isinstance(error, StuckError) else "decord crashed"
            if why is None:
                yield from found.items()
                return
            if is_last:
                raise MediaError(f"{self.name} {why}.")
            self._backends.pop(0)
            self.fallbacks.append(why)

    def _collect(
        self,
        process: DecoderProcess,
        indices: Sequence[int],
        size: Size,
        found: dict[int, np.ndarray],
        until: float,
    ) -> str | None:
        """Takes frames until all are there; what went wrong if that is not so."""
        request = {"op": "read", "indices": list(indices), "size": size, "by": self.backend}
        header, payload = self._ask(process, request, until)
        while "frame" in header:
            found[header["frame"]] = np.frombuffer(payload, np.uint8).reshape(header["shape"])
            header, payload = self._next(process, until)
        if "error" in header:
            return header["error"]
        self.num_decoded += header["num_decoded"]
        self.peak_bytes = max(self.peak_bytes, header["peak_bytes"])
        # Of the newest reading alone: the frames that are shown are those of the last one.
        self.notes[:] = [note for note in self.notes if note not in self._damage]
        self._damage = _damage(header)
        self.notes += self._damage
        return None

    def _ask(
        self, process: DecoderProcess, request: dict[str, Any], until: float
    ) -> tuple[dict[str, Any], bytes]:
        process.send(request)
        return self._next(process, until)

    def _next(self, process: DecoderProcess, until: float) -> tuple[dict[str, Any], bytes]:
        return process.receive(stall_s=self._limits.stall_s, until=until)

    def _failed(self, error: StuckError | DiedError) -> MediaError:
        if isinstance(error, DiedError):
            return MediaError(
                f"{self.name} crashed its decoder, so it is not shown; if it is only large, raise "
                "VideoLimits.max_decoder_bytes (--video-limit max-decoder-bytes=...)."
            )
        limits = self._limits
        return MediaError(
            f"{self.name} got its decoder stuck, which was killed (no sign of life for "
            f"{limits.stall_s:g} seconds, or {limits.total_s:g} in all); raise VideoLimits.stall_s "
            "and total_s if the file is only slow (--video-limit stall-s=... and total-s=...)."
        )
