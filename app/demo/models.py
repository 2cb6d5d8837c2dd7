"""The models that the page offers: each is opened once it is first asked, and has one engine."""

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from ...vlm.api import PRETRAINED, VLM
from ...vlm.engine import Engine
from ...vlm.language_model import LanguageModel


@dataclass(frozen=True, kw_only=True)
class OpenModel:
    """A model and what it can do.

    Attributes:
        name: as the page calls it.
        engine: writes all answers of all visitors.
    """

    name: str
    vlm: VLM
    engine: Engine = field(repr=False)

    @property
    def sees_pictures(self) -> bool:
        return not isinstance(self.vlm.model, LanguageModel)

    @property
    def sees_videos(self) -> bool:
        return self.sees_pictures and self.vlm.processor.sees_videos

    @property
    def thinks(self) -> bool:
        return self.vlm.processor.style.thought is not None

    @property
    def is_packaged(self) -> bool:
        """Whether it is the model in the package, which knows nothing but what it is shown."""
        return self.vlm.source is not None and self.vlm.source.folder == PRETRAINED

    def describe(self) -> str:
        """What it can do and was trained for, in a line."""
        sees = "text alone"
        if self.sees_pictures:
            sees = (
                "pictures, PDFs and videos" if self.sees_videos else "pictures and PDFs, no videos"
            )
        parts = [f"Reads {sees}", "thinks aloud" if self.thinks else "does not think aloud"]
        limits = self.vlm.limits
        if limits.trained_max_visual_tokens is not None:
            pages = limits.trained_max_pages or 1
            among = "one page" if pages == 1 else f"up to {pages} pages"
            parts.append(
                f"trained for {limits.trained_max_visual_tokens} visual tokens on {among}: beyond "
                "that, answers come with a warning"
            )
        return "; ".join(parts) + "."


class Models:
    """Names, and what opens them; several threads may ask."""

    def __init__(self, loaders: Mapping[str, Callable[[], VLM]], **engine_settings: int) -> None:
        self._loaders = dict(loaders)
        self._locks = {name: threading.Lock() for name in loaders}
        self._open: dict[str, OpenModel] = {}
        self._settings = engine_settings

    @property
    def names(self) -> list[str]:
        return list(self._loaders)

    def get(self, name: str) -> OpenModel:
        """The model, opened now if it was not.

        Raises:
            LatentVLMError: it cannot be opened.
        """
        with self._locks[name]:
            if name not in self._open:
                vlm = self._loaders[name]()
                engine = vlm.new_engine(**self._settings)
                self._open[name] = OpenModel(name=name, vlm=vlm, engine=engine)
            return self._open[name]

    def close(self) -> None:
        """End what is being written, and take no more."""
        for model in list(self._open.values()):
            model.engine.close(cancel=True, timeout=10)
