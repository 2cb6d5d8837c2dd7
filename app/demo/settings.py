"""What the page's switches say, as options of a question."""

from dataclasses import dataclass

from ...vlm.sampling import GenerationConfig
from .models import OpenModel

THINKING = {"as the model does": None, "on": True, "off": False}


@dataclass(frozen=True, kw_only=True)
class Settings:
    """The switches; 0 stands for no limit.

    Attributes:
        evs_rate: of a video's tokens the share that is dropped.
        token_budget: the most visual tokens of all pages and videos.
        thinking: a key of `THINKING`.
        thinking_budget: tokens after which a thought is closed.
        max_tokens: of thought and answer together.
    """

    evs_rate: float = 0.0
    token_budget: int = 0
    thinking: str = "as the model does"
    thinking_budget: int = 0
    max_tokens: int = 256

    def options(self, model: OpenModel) -> dict[str, object]:
        """Keyword arguments of `VLM.ask`; what the model has no use for is left out."""
        options: dict[str, object] = {
            "generation": GenerationConfig(max_tokens=int(self.max_tokens)),
            "token_budget": int(self.token_budget) or None,
        }
        if model.sees_videos:
            options["evs_rate"] = float(self.evs_rate)
        if model.thinks:
            options["thinking"] = THINKING[self.thinking]
            options["thinking_budget"] = int(self.thinking_budget) or None
        return options
