"""A budget of visual tokens from the question to the answer's usage."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import latentvlm
from latentvlm.errors import ConfigError, PromptError


@pytest.fixture(scope="module")
def vlm(tiny_folder: Path) -> latentvlm.VLM:
    return latentvlm.load(tiny_folder)


SHORT = latentvlm.GenerationConfig(max_tokens=3)


def page(width: int, height: int) -> Image.Image:
    rng = np.random.default_rng(width * height)
    return Image.fromarray(rng.integers(0, 255, (height, width, 3), dtype=np.uint8))


def test_pages_share_a_budget_and_the_answer_says_so(vlm) -> None:
    pages = [page(160, 160), page(160, 160), page(32, 32)]
    free = vlm.ask("What?", *pages, generation=SHORT)
    assert free.usage.page_tokens == free.usage.page_tokens_before == (64, 64, 4)
    tight = vlm.ask("What?", *pages, generation=SHORT, token_budget=90)
    usage = tight.usage
    assert usage.page_tokens_before == (64, 64, 4) and usage.visual_tokens_before == 132
    assert usage.page_tokens == (42, 42, 4) and usage.visual_tokens == 88 <= 90
    assert usage.prompt_tokens == usage.text_tokens + 88
    assert usage.text_tokens == free.usage.text_tokens
    said = "2 of 3 pages were given 84 of 128 visual tokens to fit the token_budget; raise"
    assert any(w.startswith(said) for w in tight.warnings)
    assert not any("visual tokens to fit" in warning for warning in free.warnings)


def test_a_budget_that_is_enough_changes_nothing(vlm) -> None:
    pages = [page(96, 64)]
    assert (
        vlm.ask("What?", *pages, generation=SHORT, token_budget=24).token_ids
        == vlm.ask("What?", *pages, generation=SHORT).token_ids
    )


def test_pages_that_would_not_fit_the_context_are_made_smaller(tiny_folder: Path) -> None:
    vlm = latentvlm.load(tiny_folder)
    vlm.processor.context_length = vlm.context_length = 130
    answer = vlm.ask("What?", page(160, 160), page(160, 160), page(16, 16), generation=SHORT)
    usage = answer.usage
    assert usage.page_tokens_before == (64, 64, 1)
    assert usage.page_tokens[2] == 1 and 16 <= usage.page_tokens[0] == usage.page_tokens[1] < 64
    assert usage.prompt_tokens + 3 <= 130
    # A larger token_budget would not help, whether one was given or not.
    for budget in (None, 126):
        answer = vlm.ask(
            "What?", page(160, 160), page(160, 160), generation=SHORT, token_budget=budget
        )
        (said,) = [warning for warning in answer.warnings if "to fit" in warning]
        assert said.endswith("to fit the context of the model; ask about fewer pages.")
    # Nor is room taken that a longer answer may need.
    longer = latentvlm.GenerationConfig(max_tokens=30)
    roomy = vlm.ask("What?", page(160, 160), page(160, 160), generation=longer)
    assert roomy.usage.prompt_tokens + 30 <= 130


def test_a_budget_too_small_is_refused_in_a_sentence(vlm) -> None:
    pages = [page(160, 160)] * 3
    with pytest.raises(PromptError, match="budget of 2 visual tokens is too small for 3 pages"):
        vlm.ask("What?", *pages, token_budget=2)
    for wrong in (0, -3, 2.5, True):
        with pytest.raises(ConfigError, match="token_budget is .*whole number above 0"):
            vlm.ask("What?", *pages, token_budget=wrong)


def test_five_hundred_pages_are_too_many_for_the_context_and_it_says_so(vlm) -> None:
    vlm.processor.context_length, kept = 400, vlm.processor.context_length
    try:
        with pytest.raises(PromptError, match="context holds 400: .*fewer pages"):
            vlm.ask("What?", *[page(8, 8)] * 500)
    finally:
        vlm.processor.context_length = kept
