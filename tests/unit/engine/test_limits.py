"""The batch sizes that an engine is warmed for."""

from __future__ import annotations

import pytest

from service.engine.base import EngineLimits


@pytest.mark.parametrize(
    ("most", "expected"), [(1, (1,)), (2, (1, 2)), (3, (1, 2, 3)), (8, (1, 2, 4, 8)), (12, (1, 2, 4, 8, 12))]
)
def test_they_double_up_to_the_most_that_is_allowed(most: int, expected: tuple[int, ...]) -> None:
    assert EngineLimits.up_to(most).batch_sizes == expected
