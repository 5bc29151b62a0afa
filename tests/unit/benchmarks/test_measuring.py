"""Contenders take turns, the first round does not count, and ratios are taken round by round."""

from __future__ import annotations

from benchmarks.measuring import Percentiles, Spread, ratios, seconds_in_turn, spread_of


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


def test_percentiles_are_interpolated_between_the_nearest_values() -> None:
    assert Percentiles.of([float(value) for value in range(101)]) == Percentiles(50.0, 95.0, 99.0)
    assert Percentiles.of([1.0, 2.0]).p50 == 1.5


def test_a_spread_of_rounds_is_that_of_one_of_their_numbers() -> None:
    rounds = [Percentiles(1, 5, 9), Percentiles(3, 4, 9), Percentiles(2, 6, 9)]
    assert spread_of(rounds, lambda percentiles: percentiles.p95) == Spread(4, 5, 6)


def test_a_short_call_is_repeated_and_the_mean_of_its_calls_counts() -> None:
    calls: list[str] = []
    seconds = seconds_in_turn({"a": lambda: calls.append("a")}, rounds=1, at_least=0.01)
    assert len(calls) > 10
    assert seconds["a"][0] < 0.001
