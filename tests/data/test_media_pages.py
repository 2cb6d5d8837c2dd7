"""Which pages: every way to ask, and every way to ask wrongly."""

import numpy as np
import pytest

from latentvlm.data.media import parse_pages
from latentvlm.errors import MediaError


@pytest.mark.parametrize(
    ("spec", "pages"),
    [
        (None, [1, 2, 3, 4, 5, 6, 7, 8, 9]),
        ("1-3,7", [1, 2, 3, 7]),
        (" 1 - 3 , 7 ", [1, 2, 3, 7]),
        ("8-", [8, 9]),
        ("9-", [9]),
        ("9-9", [9]),
        ("7,1-2", [7, 1, 2]),
        ("1-3,2-4", [1, 2, 3, 4]),
        (4, [4]),
        (np.int64(4), [4]),
        ([9, 1, 9], [9, 1]),
        (range(2, 5), [2, 3, 4]),
    ],
)
def test_choices(spec, pages):
    assert parse_pages(spec, 9) == pages


@pytest.mark.parametrize(
    "spec", ["", ",", "one", "1-3-5", "-3", "1;2", "1.5", "1,,2", [1.5], ["1"], [True], True, 1.5]
)
def test_malformed_choices_show_how_to_write_one(spec):
    with pytest.raises(MediaError, match="write for example"):
        parse_pages(spec, 9)


@pytest.mark.parametrize("spec", ["0", "10", "1-10", "10-", [0], [-1], 10, "999999999"])
def test_pages_that_are_not_there_say_how_many_there_are(spec):
    with pytest.raises(MediaError, match=r"no page -?\d+ in scan.pdf, which has 9 pages"):
        parse_pages(spec, 9, name="scan.pdf")


def test_one_page_is_one_page():
    with pytest.raises(MediaError, match="which has 1 page[.]"):
        parse_pages("2", 1)


def test_backward_range_is_turned_round_in_the_message():
    with pytest.raises(MediaError, match='"7-3" runs backwards; write "3-7"'):
        parse_pages("1,7-3", 9)


def test_choosing_nothing_is_refused():
    with pytest.raises(MediaError, match="No page"):
        parse_pages([], 9)


def test_huge_numbers_cost_nothing():
    with pytest.raises(MediaError):
        parse_pages("1-999999999", 9)
    with pytest.raises(MediaError):
        parse_pages("1-" + "9" * 5000, 9)
