"""Text comes out in whole characters, and stops before a stop text however it is cut."""

import itertools
import random
from collections.abc import Sequence

import pytest

from latentvlm.vlm.text_stream import StopFinder, TokenDecoder

TEXT = "Total: 12,50 € · naïve 日本語 🧾 end"


def decode_bytes(ids: Sequence[int]) -> str:
    return bytes(ids).decode("utf-8", errors="replace")


def decode_words(ids: Sequence[int]) -> str:
    """As tokenizers that write a blank before each word, but not before the first."""
    return "".join(f" w{idx}" for idx in ids).removeprefix(" ")


def pieces(ids: Sequence[int], decode=decode_bytes) -> list[str]:
    decoder = TokenDecoder(decode)
    return [*(decoder.feed(idx) for idx in ids), decoder.finish()]


def test_no_piece_holds_half_a_character() -> None:
    found = pieces(TEXT.encode())
    assert "".join(found) == TEXT
    assert not any("\ufffd" in piece for piece in found)
    assert found[-1] == "", "nothing whole may wait for the end"


def test_blanks_between_words_are_kept() -> None:
    assert "".join(pieces([1, 2, 3], decode_words)) == "w1 w2 w3"


def test_a_character_that_never_ends_is_shown_at_the_end() -> None:
    assert "".join(pieces("a€".encode()[:-1])) == "a\ufffd"


def test_bytes_that_are_no_characters_are_not_held_for_ever() -> None:
    decoder = TokenDecoder(decode_bytes)
    assert any(decoder.feed(0xFF) for _ in range(20))


def test_any_bytes_come_through() -> None:
    rng = random.Random(0)
    for _ in range(200):
        ids = [rng.choice([0x41, 0xC3, 0xA9, 0xF0, 0x9F, 0xFF]) for _ in range(30)]
        assert "".join(pieces(ids))


def run(stops: Sequence[str], chunks: Sequence[str]) -> tuple[str, bool]:
    finder = StopFinder(stops)
    shown = []
    for chunk in chunks:
        shown.append(finder.feed(chunk))
        text = "".join(shown)
        assert not any(stop in text for stop in stops), "part of a stop text was shown"
    if not finder.is_found:
        shown.append(finder.finish())
    return "".join(shown), finder.is_found


@pytest.mark.parametrize(
    ("stops", "text", "shown", "is_found"),
    [
        (["\n"], "one\ntwo", "one", True),
        (["END"], "no EN, no E, ENDING", "no EN, no E, ", True),
        (["END"], "ends with EN", "ends with EN", False),
        (["aab"], "aaaab", "aa", True),
        (["abcd", "bc"], "xabcd", "xa", True),
        (["abc", "c"], "abc", "", True),
        (["€"], "5 € 6", "5 ", True),
        ([], "all of it", "all of it", False),
        (["x"], "", "", False),
    ],
)
def test_every_way_to_cut_the_text_stops_alike(
    stops: list[str], text: str, shown: str, is_found: bool
) -> None:
    for num_cuts in range(min(3, len(text))):
        for cuts in itertools.combinations(range(1, len(text)), num_cuts):
            bounds = [0, *cuts, len(text)]
            chunks = [text[a:b] for a, b in itertools.pairwise(bounds)]
            assert run(stops, chunks) == (shown, is_found), chunks
    assert run(stops, list(text)) == (shown, is_found)


def test_nothing_is_shown_after_a_stop_text() -> None:
    finder = StopFinder(["."])
    assert finder.feed("a.b") == "a"
    assert finder.feed("c") == ""


def test_text_that_begins_no_stop_text_is_shown_at_once() -> None:
    finder = StopFinder(["END"])
    assert finder.feed("word") == "word"
    assert finder.feed("E") == ""
    assert finder.feed("x") == "Ex"
