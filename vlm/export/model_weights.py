"""A model in memory in the place of a checkpoint folder, so that an export of it can be planned."""

from collections.abc import Iterator
from pathlib import Path

import torch
from torch import Tensor

from ..checkpoint.families import family_of
from ..checkpoint.save import FLOAT32_NAMES
from ..language_model import LanguageModel
from ..model import VisionLanguageModel
from .source import WeightSource


class ModelWeights(WeightSource):
    """What `make_plan` and `joined_units` ask of a source, answered by a live model.

    Args:
        name: what errors call it.
    """

    def __init__(self, model: VisionLanguageModel | LanguageModel, name: str) -> None:
        # Nothing is opened, so the folder's constructor has nothing to do.
        self.folder = Path(name)
        self.config = model.config
        self.family = family_of(model.config)
        self._tensors = model.state_dict()
        self.shapes = {name: tuple(tensor.shape) for name, tensor in self._tensors.items()}
        self.is_tied = self.text.tie_word_embeddings

    def names(self) -> Iterator[str]:
        return iter(self.shapes)

    def dtype(self, name: str) -> str:
        return "F32" if name.endswith(FLOAT32_NAMES) else "BF16"

    def require_full_precision(self) -> None:
        """A model that is trained is."""

    def read(self, name: str, expert: int | None = None) -> Tensor:
        tensor = self._tensors[name]
        if tensor.is_meta:
            return torch.zeros(tensor.shape)
        return tensor.detach() if expert is None else tensor[expert].detach()
