"""Which cores a process may use, how workers share them, and that a worker stays on its own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from service import cores
from service.cores import core_count, format_cores, parse_cores, shares, stay_on, usable_cores

needs_affinity = pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="cores are pinned on Linux")


def test_hardware_threads_of_a_core_and_cores_of_a_socket_lie_side_by_side(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two sockets of two cores of two threads, numbered as Linux does: threads last."""
    for core, (socket, physical) in enumerate([(0, 0), (1, 0), (0, 1), (1, 1)] * 2):
        topology = tmp_path / f"cpu{core}" / "topology"
        topology.mkdir(parents=True)
        (topology / "physical_package_id").write_text(f"{socket}\n")
        (topology / "core_id").write_text(f"{physical}\n")
    monkeypatch.setattr(cores, "TOPOLOGY", tmp_path)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(8)), raising=False)
    assert usable_cores() == (0, 4, 2, 6, 1, 5, 3, 7)


@pytest.mark.parametrize(
    ("limit", "count"),
    [
        ("max 100000", 4),
        ("200000 100000", 2),
        ("150000 100000", 2),
        ("10000 100000", 1),
        ("900000 100000", 4),
        ("", 4),
    ],
)
def test_a_containers_limit_counts_where_it_is_below_the_cores(
    limit: str, count: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "cpu.max").write_text(limit)
    monkeypatch.setattr(cores, "QUOTA", tmp_path / "cpu.max")
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 1, 2, 3}, raising=False)
    assert core_count() == count


def test_shares_are_even_runs_that_leave_nothing_out() -> None:
    assert shares((0, 4, 1, 5, 2), 2) == [(0, 4), (1, 5, 2)]
    assert shares((0, 1), 2) == [(0,), (1,)]


def test_cores_are_written_as_numbers_and_ranges() -> None:
    assert parse_cores("0-2, 8") == {0, 1, 2, 8}
    assert format_cores({8, 0, 1}) == "0,1,8"


@pytest.mark.parametrize("text", ["", "a", "3-1", "1,,2", "-1", "1-"])
def test_what_names_no_cores_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"names no core|invalid literal"):
        parse_cores(text)


@needs_affinity
def test_threads_that_are_started_later_stay_too() -> None:
    own = min(os.sched_getaffinity(0))
    script = (
        f"import os, threading; from service.cores import stay_on; stay_on(frozenset([{own}]))\n"
        "thread = threading.Thread(target=lambda: print(*os.sched_getaffinity(0))); thread.start(); thread.join()"
    )
    finished = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert finished.stdout.split() == [str(own)]


@needs_affinity
def test_cores_that_are_not_ours_are_refused() -> None:
    with pytest.raises(ValueError, match="4095 are not among those"):
        stay_on(frozenset({4095}))
