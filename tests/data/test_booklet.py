"""Documents of several pages: each question has its answer on one page alone."""

import numpy as np
import pytest

from latentvlm.data.synthetic import GeneratorConfig, draw_booklet
from latentvlm.errors import ConfigError

CONFIG = GeneratorConfig(level="small", split="heldout", font_sizes=(13, 16), widths=(224, 288))


def test_the_answer_stands_on_the_page_that_is_named_and_on_no_other() -> None:
    asked = 0
    for seed in range(30):
        booklet = draw_booklet(seed, CONFIG, pages=5)
        assert len(booklet.pages) == 5
        for each in booklet.questions:
            texts = [page.text for page in booklet.pages]
            assert [number for number, text in enumerate(texts, 1) if each.qa.answer in text] == [
                each.page
            ]
            asked += 1
    assert asked > 60
    pages = [each.page for seed in range(30) for each in draw_booklet(seed, CONFIG).questions]
    assert set(pages) == {1, 2, 3, 4, 5}


def test_a_seed_draws_one_booklet_and_its_neighbours_others() -> None:
    once, again, other = (draw_booklet(seed, CONFIG, pages=3) for seed in (4, 4, 5))
    assert once.questions == again.questions
    assert all(
        np.array_equal(a.image, b.image) for a, b in zip(once.pages, again.pages, strict=True)
    )
    texts = {page.text for page in once.pages}
    assert len(texts) == 3 and texts.isdisjoint({page.text for page in other.pages})


def test_what_cannot_be_a_booklet_is_refused() -> None:
    with pytest.raises(ConfigError, match="level 'line' cannot be drawn"):
        draw_booklet(0, GeneratorConfig(level="line"))
    with pytest.raises(ConfigError, match="booklet of 0 pages"):
        draw_booklet(0, CONFIG, pages=0)


def test_questions_about_pages_come_beside_the_others() -> None:
    plain = draw_booklet(3, CONFIG, pages=4)
    asked = draw_booklet(3, CONFIG, pages=4, about_pages=True)
    assert asked.questions[: len(plain.questions)] == plain.questions
    kinds = {each.qa.kind: each for each in asked.questions[len(plain.questions) :]}
    assert set(kinds) == {"which_page", "count_pages"}
    assert kinds["count_pages"].qa.answer == "4" and kinds["count_pages"].page == 0
    which = kinds["which_page"]
    assert which.qa.answer == str(which.page)
    values = {
        qa.answer
        for qa in (each.qa for each in draw_booklet(3, CONFIG, pages=4, max_questions=99).questions)
    }
    (value,) = [value for value in values if value in which.qa.question]
    assert [value in page.text for page in asked.pages].index(True) == which.page - 1
    assert sum(value in page.text for page in asked.pages) == 1
