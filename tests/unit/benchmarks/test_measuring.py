"""Contenders take turns, the first round does not count, and ratios are taken round by round."""

from __future__ import annotations

from benchmarks.measuring import Spread, ratios, seconds_in_turn


def test_contenders_take_turns_and_a_first_round_warms_up() -> None:
    calls: list[str] = []
    contenders = {name: lambda name=name: calls.append(name) for name in "ab"}
    seconds = seconds_in_turn(contenders, rounds=3)
    assert "".join(calls) == "baabbaab"
    assert {name: len(values) for name, values in seconds.items()} == {"a": 3, "b": 3}


def test_a_ratio_compares_the_same_round() -> None:
    assert ratios([2.0, 30.0, 8.0], [1.0, 10.0, 2.0]) == Spread(2.0, 3.0, 4.0)


def test_a_spread_is_told_by_its_median_and_its_ends() -> None:
    assert Spread.of([0.003, 0.001, 0.0015]).times(1000).text(1) == "1.5 (1.0 - 3.0)"
