"""What a queue holds as metrics of one scrape: made anew each time, so that nothing old is ever told."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from service import metrics
from service.metrics import QueueGauge
from service.queue_load import QueueLoad

Sample = tuple[tuple[str, ...], float]


class QueueCollector(Collector):
    """The gauges of one look at the queue."""

    def __init__(self, load: QueueLoad) -> None:
        self._load = load

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """Every gauge of the queue with all its series."""
        models, depths = self._load.models.items(), self._load.depths.items()
        yield _family(
            metrics.QUEUE_JOBS,
            (
                ((priority.value, state), jobs)
                for priority, depth in depths
                for state, jobs in (("waiting", depth.waiting), ("running", depth.running))
            ),
        )
        yield _family(
            metrics.OLDEST_JOB_AGE, (((priority.value,), depth.oldest_age) for priority, depth in depths)
        )
        yield _family(
            metrics.READY_COST,
            (
                ((name, priority.value), cost)
                for name, model in models
                for priority, cost in model.ready_cost.items()
            ),
        )
        yield _family(metrics.WORKERS, (((name,), model.workers) for name, model in models))
        yield _family(metrics.WORKER_CAPACITY, (((name,), model.capacity) for name, model in models))
        memory = {"used": self._load.memory_used, "max": self._load.memory_max}
        yield _family(metrics.REDIS_MEMORY, (((kind,), amount) for kind, amount in memory.items() if amount))


def _family(gauge: QueueGauge, samples: Iterable[Sample]) -> GaugeMetricFamily:
    family = GaugeMetricFamily(gauge.name, gauge.documentation, labels=gauge.labels)
    for labels, value in samples:
        family.add_metric(labels, value)
    return family
