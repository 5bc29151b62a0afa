"""A worker's process before it has a worker: signals while its model loads."""

from __future__ import annotations

import signal
from collections.abc import Iterator

import pytest

from service.settings import Settings
from service.worker import process


@pytest.fixture
def ignored_signal() -> Iterator[None]:
    """SIGTERM as a first process of a container has it: nothing happens."""
    before = signal.signal(signal.SIGTERM, signal.SIG_IGN)
    yield
    signal.signal(signal.SIGTERM, before)


@pytest.mark.usefixtures("ignored_signal")
def test_a_worker_that_is_told_to_stop_while_its_model_loads_ends_at_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(process, "open_engine", lambda _: signal.raise_signal(signal.SIGTERM))
    with pytest.raises(SystemExit) as end:
        process.run_worker(Settings(), "redis://127.0.0.1:1/0")
    assert end.value.code == 0
