"""Who wishes can be drawn, taken and looked through; who wishes nothing is not among them."""

from __future__ import annotations

from random import Random

import pytest

from benchmarks.fleet.wishes import Wishes


def test_a_wish_is_replaced_and_taken_once() -> None:
    wishes: Wishes[str] = Wishes(Random(0))
    wishes.set("a", 2)
    wishes.set("a", 5)
    assert (len(wishes), wishes.any(), wishes.take("a"), len(wishes)) == (1, "a", 5, 0)
    with pytest.raises(KeyError):
        wishes.take("a")


def test_no_places_are_no_wish() -> None:
    wishes: Wishes[str] = Wishes(Random(0))
    wishes.set("a", 0)
    wishes.set("b", 1)
    wishes.set("b", 0)
    assert list(wishes) == []


def test_taking_one_leaves_all_others() -> None:
    wishes: Wishes[int] = Wishes(Random(0))
    for number in range(10):
        wishes.set(number, number + 1)
    assert [wishes.take(number) for number in (9, 0, 4)] == [10, 1, 5]
    assert sorted(wishes) == [1, 2, 3, 5, 6, 7, 8]
    assert wishes.take(8) == 9
