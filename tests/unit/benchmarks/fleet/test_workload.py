"""Requests are drawn from a seed: so many a second, with crops, steps and priorities in their shares, and in bursts."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.fleet.workload import Bursts, Mix, draw_requests
from service.contracts import Priority

MIX = Mix(crops=((1, 0.7), (4, 0.3)), steps=((20, 0.5), (40, 0.5)), batch_share=0.2, clients=10)


def test_the_same_seed_draws_the_same_requests() -> None:
    assert draw_requests(5.0, 100.0, MIX, seed=1) == draw_requests(5.0, 100.0, MIX, seed=1)
    assert draw_requests(5.0, 100.0, MIX, seed=1) != draw_requests(5.0, 100.0, MIX, seed=2)


def test_requests_come_in_order_at_the_rate_with_the_shares_of_the_mix() -> None:
    requests = draw_requests(50.0, 400.0, MIX, seed=1)
    times = [request.at for request in requests]
    assert times == sorted(times)
    assert len(requests) == pytest.approx(50.0 * 400.0, rel=0.03)
    assert np.mean([request.crops for request in requests]) == pytest.approx(MIX.mean_crops, rel=0.03)
    assert np.mean([request.steps for request in requests]) == pytest.approx(MIX.mean_steps, rel=0.03)
    of_batch = [request.priority is Priority.BATCH for request in requests]
    assert np.mean(of_batch) == pytest.approx(0.2, abs=0.02)
    assert len({request.client for request in requests}) == 10


def test_bursts_keep_the_mean_rate_and_make_counts_vary_more_than_those_of_poisson() -> None:
    bursts = Bursts(factor=4.0, share=0.2, seconds=5.0)
    requests = draw_requests(20.0, 5000.0, Mix(), seed=3, bursts=bursts)
    assert len(requests) == pytest.approx(20.0 * 5000.0, rel=0.1)
    a_second = np.bincount([int(request.at) for request in requests])
    assert np.var(a_second) > 3 * np.mean(a_second)


def test_bursts_that_alone_exceed_the_mean_are_refused() -> None:
    with pytest.raises(ValueError, match="can't take 50% of the time"):
        draw_requests(1.0, 10.0, Mix(), seed=0, bursts=Bursts(factor=3.0, share=0.5))
