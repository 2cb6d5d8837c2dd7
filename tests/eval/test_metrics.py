"""Metrics on worked values, and against a second, plainly recursive implementation."""

import functools
import random

import pytest

from latentvlm.eval.metrics import (
    anls,
    character_error_rate,
    edit_distance,
    exact_match,
    normalize,
)


def recursive_distance(a: str, b: str) -> int:
    @functools.cache
    def distance(i: int, j: int) -> int:
        if i == len(a):
            return len(b) - j
        if j == len(b):
            return len(a) - i
        if a[i] == b[j]:
            return distance(i + 1, j + 1)
        return 1 + min(distance(i + 1, j), distance(i, j + 1), distance(i + 1, j + 1))

    return distance(0, 0)


@pytest.mark.parametrize(
    ("a", "b", "expected"),
    [
        ("kitten", "sitting", 3),
        ("saturday", "sunday", 3),
        ("", "abc", 3),
        ("abc", "", 3),
        ("", "", 0),
        ("12.50", "1250", 1),
        ("ab", "ba", 2),
    ],
)
def test_edit_distance_of_worked_values(a: str, b: str, expected: int) -> None:
    assert edit_distance(a, b) == expected


def test_edit_distance_equals_the_recursive_definition() -> None:
    rng = random.Random(0)
    for _ in range(300):
        a = "".join(rng.choices("ab1 ", k=rng.randrange(9)))
        b = "".join(rng.choices("ab1 ", k=rng.randrange(9)))
        assert edit_distance(a, b) == edit_distance(b, a) == recursive_distance(a, b), (a, b)


def test_only_white_space_is_forgiven() -> None:
    assert normalize("  a\n b\t c ") == "a b c"
    assert exact_match(" 12.50 ", ["12.50"])
    assert exact_match("two\nlines", ["two  lines"])
    assert exact_match("b", ["a", "b"])
    assert not exact_match("yes", ["Yes"])
    assert not exact_match("12.50.", ["12.50"])
    assert not exact_match("1,000", ["1000"])
    assert not exact_match("", [""])
    assert not exact_match(" \n", ["x"])


def test_anls_of_worked_values() -> None:
    assert anls("12.50", ["12.50"]) == 1.0
    assert anls("12.51", ["12.50"]) == pytest.approx(0.8)
    assert anls("abcd", ["abxy"]) == 0.5, "exactly the threshold is kept"
    assert anls("abcde", ["abxyz"]) == 0.0, "below the threshold nothing is"
    assert anls("hello", ["world", "hallo"]) == pytest.approx(0.8)
    assert anls("", ["x"]) == 0.0
    assert anls("", [""]) == 0.0
    assert anls("Yes", ["yes"]) == pytest.approx(2 / 3)
    assert anls("a", ["a" * 3], threshold=0.3) == pytest.approx(1 / 3)


def test_character_error_rate_is_of_all_characters_together() -> None:
    assert character_error_rate([("abcd", "abcd"), ("x", "yz")]) == pytest.approx(2 / 6)
    assert character_error_rate([("", "abc")]) == 1.0
    assert character_error_rate([("aaaaaa", "b")]) == 6.0
    assert character_error_rate([]) == 0.0
    rng = random.Random(1)
    pairs = [
        ("".join(rng.choices("abc", k=5)), "".join(rng.choices("abc", k=5))) for _ in range(50)
    ]
    expected = sum(recursive_distance(a, b) for a, b in pairs) / 250
    assert character_error_rate(pairs) == pytest.approx(expected)
