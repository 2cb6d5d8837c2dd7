"""From whatever the caller holds to RGB pictures: files, bytes, PIL images, arrays, PDF pages."""

from .open import DEFAULT_DPI, open_media
from .page_range import parse_pages
from .types import DEFAULT_LIMITS, MediaLimits, Page

__all__ = ["DEFAULT_DPI", "DEFAULT_LIMITS", "MediaLimits", "Page", "open_media", "parse_pages"]
