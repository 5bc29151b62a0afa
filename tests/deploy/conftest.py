"""The chart's objects, for each set of values."""

from __future__ import annotations

import pytest

from tests.deploy.chart import VALUE_SETS, Document, rendered


@pytest.fixture(params=VALUE_SETS)
def documents(request: pytest.FixtureRequest) -> tuple[Document, ...]:
    """All objects with one of the sets in deploy/helm/values."""
    return rendered(str(request.param))
