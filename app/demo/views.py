"""What a view of something seen is: a page (`page_view.py`), a moment of a video (`moments.py`)."""

from typing import Protocol

from PIL import Image

TOKENS, INPUT, LOOKED = "Tokens", "As the model gets it", "Where the answer looked"
WAYS = (TOKENS, INPUT, LOOKED)
BOX = (900, 900)  # the most a picture may take, in pixels


class View(Protocol):
    """A page, or the frames that the model takes together.

    Attributes:
        title: which it is.
        facts: what it costs, in a sentence.
        before, tokens: visual tokens without and with reduction.
        share: of the answer's attention to everything seen; None if nobody looked.
        cited: whether the answer was read from it.
    """

    @property
    def title(self) -> str: ...

    @property
    def facts(self) -> str: ...

    @property
    def before(self) -> int: ...

    @property
    def tokens(self) -> int: ...

    @property
    def share(self) -> float | None: ...

    @property
    def cited(self) -> bool: ...

    def draw(self, way: str) -> Image.Image:
        """A picture of it, in one of `WAYS`."""
        ...
