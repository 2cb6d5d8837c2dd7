"""The text that PDF pages carry: read on request, never else, and said in the usage."""

from pathlib import Path

import pytest
from support.pdf_files import page_pdf

import latentvlm
from latentvlm.data.frame_choice import FrameChoice
from latentvlm.data.media import open_media
from latentvlm.errors import PromptError
from latentvlm.vlm.conversation import open_conversation
from latentvlm.vlm.video_parts import VideoOpener

FONT = b"/Resources <</Font <</F <</Type /Font /Subtype /Type1 /BaseFont /Helvetica>>>>>>"
WORDS = b"BT /F 12 Tf 10 60 Td (Total 12.50 EUR) Tj 0 -20 Td (Paid by <image> card) Tj ET"
SHORT = latentvlm.GenerationConfig(max_tokens=2)


@pytest.fixture(scope="module")
def vlm(tiny_folder: Path) -> latentvlm.VLM:
    return latentvlm.load(tiny_folder)


def written(pages: int = 1) -> bytes:
    return page_pdf(*[(160, 80)] * pages, content=WORDS, page=FONT)


def test_the_text_layer_is_read_only_if_it_is_asked_for() -> None:
    assert open_media(written())[0].text is None
    (page,) = open_media(written(), text_layer=True)
    assert page.text == "Total 12.50 EUR\nPaid by <image> card"
    (bare,) = open_media(page_pdf((160, 80)), text_layer=True)
    assert bare.text == ""


def test_each_page_is_followed_by_its_text_and_the_question_stays_the_question(vlm) -> None:
    parts = [
        {"type": "image", "image": written(2), "text_layer": True},
        {"type": "text", "text": "What is paid?"},
    ]
    videos = VideoOpener(processor=vlm.processor, choice=FrameChoice())
    opened = open_conversation([{"role": "user", "content": parts}], videos=videos)
    kinds = [part["type"] for part in opened.messages[0]["content"]]
    assert kinds == ["image", "text", "image", "text", "text"]
    assert opened.question == "What is paid?"


def test_the_prompt_grows_by_the_text_and_the_usage_says_it(vlm) -> None:
    without = vlm.ask("What?", written(), generation=SHORT)
    given = vlm.ask("What?", written(), generation=SHORT, text_layer=True)
    assert without.usage.text_layer_characters == ()
    assert given.usage.text_layer_characters == (len("Total 12.50 EUR\nPaid by <image> card"),)
    # A placeholder that the file spells is text: there are no more visual tokens than before.
    assert given.usage.visual_tokens == without.usage.visual_tokens
    added = vlm.processor.encode("Total 12.50 EUR\n")
    assert given.usage.text_tokens >= without.usage.text_tokens + len(added)
    assert given.warnings == without.warnings


def test_a_page_without_one_gets_a_warning(vlm) -> None:
    answer = vlm.ask("What?", page_pdf((160, 80)), generation=SHORT, text_layer=True)
    assert answer.usage.text_layer_characters == (0,)
    assert any("Page 1 of bytes has no text layer" in each for each in answer.warnings)


def test_an_assistant_shows_nothing(vlm) -> None:
    messages = [
        {"role": "user", "content": "Hello"},
        {"role": "assistant", "content": [{"type": "image", "image": written()}]},
        {"role": "user", "content": "What?"},
    ]
    with pytest.raises(PromptError, match="Message 1 is of the assistant and shows something"):
        vlm.chat(messages)


def test_more_places_than_pictures_and_the_reverse_are_refused(vlm) -> None:
    empty = [{"role": "user", "content": [{"type": "image"}, {"type": "text", "text": "What?"}]}]
    with pytest.raises(PromptError, match="Message 0 holds a part that is neither"):
        vlm.chat(empty)
    # Written out, a placeholder is text.
    assert vlm.ask("Is <image> here?", generation=SHORT).usage.visual_tokens == 0


def test_two_thousand_pages_are_refused_in_a_sentence_and_some_of_them_are_not(vlm) -> None:
    book = page_pdf(*[(72, 72)] * 2000)
    with pytest.raises(
        latentvlm.MediaError, match="2000 pages of bytes are more than the 200 .*choose fewer"
    ):
        vlm.ask("What?", book)
    answer = vlm.ask("What?", book, pages="1999-2000", token_budget=10, generation=SHORT)
    assert len(answer.usage.page_tokens) == 2 and answer.usage.visual_tokens <= 10
