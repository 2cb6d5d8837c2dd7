"""The model without weights has the names, shapes and number formats of the model with them."""

import pytest

from latentvlm.vlm.config import LanguageConfig
from latentvlm.vlm.language_model import LanguageModel
from latentvlm.vlm.model import VisionLanguageModel
from latentvlm.vlm.presets import preset
from latentvlm.vlm.skeleton import skeleton


@pytest.mark.parametrize("name", ["tiny", "default-cpu"])
def test_a_skeleton_is_the_model_without_its_weights(name: str) -> None:
    config = preset(name)
    build = LanguageModel if isinstance(config, LanguageConfig) else VisionLanguageModel
    whole, bare = build(config).state_dict(), skeleton(config).state_dict()
    assert {name: (each.shape, each.dtype) for name, each in bare.items()} == {
        name: (each.shape, each.dtype) for name, each in whole.items()
    }
    assert all(each.is_meta for each in bare.values())
