"""What opening a medium gives (`Page`) and how much of it is accepted (`MediaLimits`)."""

from dataclasses import dataclass

from PIL import Image

from ...errors import ConfigError, MediaError


@dataclass(frozen=True, kw_only=True)
class Page:
    """One picture to look at.

    Attributes:
        image: 8-bit RGB, upright, transparent parts white; never shared with the source.
        source: where it came from, readable (a path as given, or "bytes", "array", ...).
        number: 1-based page number in a PDF or a multi-page TIFF, else None.
        of: how many pages the source has (1 for a single picture).
        text: what a PDF says is written on it, "" for nothing; None unless it was asked for.
    """

    image: Image.Image
    source: str
    number: int | None = None
    of: int = 1
    text: str | None = None

    @property
    def name(self) -> str:
        """The page as an error or a log line should call it."""
        return page_name(self.source, self.number)


@dataclass(frozen=True, kw_only=True)
class MediaLimits:
    """What opening one picture or document may cost; checked before anything is decoded.

    Example:
        ```python
        import latentvlm

        limits = latentvlm.MediaLimits(max_pages=500)
        print(latentvlm.load().ask("What is due?", "invoice.pdf", media_limits=limits).text)
        ```

    Attributes:
        max_bytes: size of the file.
        max_pixels: width times height of one picture. The default takes an A3 sheet scanned
            at 600 dpi.
        max_total_pixels: the same, summed over the pages of one call (three bytes each).
        max_pages: pages opened by one call.
    """

    max_bytes: int = 256 * 1024 * 1024
    max_pixels: int = 80_000_000
    max_total_pixels: int = 400_000_000
    max_pages: int = 200

    def __post_init__(self) -> None:
        for key in ("max_bytes", "max_pixels", "max_total_pixels", "max_pages"):
            value = getattr(self, key)
            if type(value) is not int or value < 1:
                raise ConfigError(
                    f"MediaLimits.{key} is {value!r} but must be a whole number, at least 1."
                )


DEFAULT_LIMITS = MediaLimits()


def page_name(source: str, number: int | None) -> str:
    return source if number is None else f"page {number} of {source}"


def check_pixels(width: int, height: int, *, name: str, limits: MediaLimits) -> None:
    """Refuses a picture by its header, before memory is spent on its pixels.

    Raises:
        MediaError: it has no pixels, or more than `limits.max_pixels`.
    """
    if width < 1 or height < 1:
        raise MediaError(f"{name} is {width} x {height} pixels, so there is nothing to see.")
    if width * height > limits.max_pixels:
        raise MediaError(
            f"{name} is {width} x {height} pixels, more than the {limits.max_pixels:,} accepted; "
            "make it smaller or raise MediaLimits.max_pixels (--media-limit "
            f"max-pixels={width * height})."
        )


def check_total(total: int, *, source: str, limits: MediaLimits) -> None:
    """Raises MediaError when the pages of one call have too many pixels together."""
    if total > limits.max_total_pixels:
        raise MediaError(
            f"The pages of {source} have more than {limits.max_total_pixels:,} pixels together; "
            "choose fewer with pages=... (--pages), lower dpi, or raise "
            "MediaLimits.max_total_pixels (--media-limit max-total-pixels=...)."
        )
