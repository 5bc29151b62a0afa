"""Queries with their variables' values put in, as Grafana would."""

from __future__ import annotations

from typing import Any

import pytest

from scripts.dashboards.reading import Board, filled


def board(query: str) -> Board:
    variables = [
        {"name": "datasource", "type": "datasource"},
        {"name": "job", "type": "query", "query": "label_values(up, job)"},
        {"name": "edge", "type": "query", "query": query},
    ]
    return Board({"title": "Some", "panels": [], "templating": {"list": variables}})


def answer(expression: str) -> list[dict[str, Any]]:
    known = {
        "up": [{"metric": {"job": "edge"}}, {"metric": {"job": "a.b"}}, {"metric": {"job": "edge"}}],
        'queue{job=~"(a\\\\.b|edge)"}': [{"metric": {"instance": "127.0.0.1:80"}}],
    }
    return known.get(expression, [])


def test_a_variable_stands_for_all_its_values_once_and_may_use_the_one_before() -> None:
    values = board('label_values(queue{job=~"$job"}, instance)').values(answer)
    assert values == {"job": r"(a\.b|edge)", "edge": r"(127\.0\.0\.1:80)"}


def test_a_variable_without_a_value_is_named() -> None:
    with pytest.raises(LookupError, match="edge of Some has no value"):
        board("label_values(nothing, instance)").values(answer)


def test_a_variable_of_another_kind_is_named() -> None:
    with pytest.raises(LookupError, match="edge of Some is no label_values"):
        board("query_result(up)").values(answer)


def test_a_pattern_is_escaped_for_the_quoted_string_that_it_is_put_in() -> None:
    assert filled('up{job=~"$job"}[$__range]', {"job": r"a\.b", "__range": "5m"}) == r'up{job=~"a\\.b"}[5m]'


def test_an_unknown_variable_is_refused() -> None:
    with pytest.raises(KeyError, match="tenant"):
        filled("up{tenant='$tenant'}", {})
