"""Numbers as a panel writes them."""

from __future__ import annotations

import math

import pytest

from scripts.dashboards.units import told


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (0, "s", "0 s"),
        (0.00025, "s", "250 µs"),
        (0.195, "s", "195 ms"),
        (60, "s", "60 s"),
        (600, "s", "10 min"),
        (86_400, "s", "24 h"),
        (0, "bytes", "0 B"),
        (3 * 1024**2, "bytes", "3 MiB"),
        (5e15, "bytes", "4656613 GiB"),
        (0.125, "percentunit", "12.5 %"),
        (7.986, "reqps", "7.99 req/s"),
        (1234, "short", "1234"),
        (4.832, "suffix: jobs/s", "4.83 jobs/s"),
        (math.nan, "s", "no data"),
    ],
)
def test_a_number_has_three_digits_and_its_unit(value: float, unit: str, text: str) -> None:
    assert told(value, unit) == text


def test_an_unknown_unit_is_refused() -> None:
    with pytest.raises(KeyError, match="parsec"):
        told(1, "parsec")
