"""A worker's life: register, run the step loop, drain when told to stop, and give back what is left.

Puts the parts together: turns.py is the loop, vae_lane.py the VAE's thread, feeder.py the queue's, pictures.py
those for pictures, previews.py the one for what they look like on the way.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from time import monotonic

from service import telemetry
from service.contracts import Failure
from service.engine.base import Engine
from service.errors import Unavailable
from service.queue.consumer import Claim, QueueConsumer
from service.settings import Settings
from service.start_stages import start_stage
from service.worker.batch import Prepared, Refined
from service.worker.device import Device
from service.worker.events import Inbox, JobBroken, JobPrepared, JobRefined, Nudge
from service.worker.feeder import Feeder
from service.worker.live_profile import LiveProfile
from service.worker.pictures import PicturePool
from service.worker.previews import PreviewPainter
from service.worker.profile import BatchProfile
from service.worker.pulse import Pulse
from service.worker.registration import restated
from service.worker.turns import StepLoop
from service.worker.vae_lane import VaeLane
from service.worker.watchdog import Watchdog

logger = logging.getLogger(__name__)


def overlaps_of(settings: Settings, device: str) -> bool:
    """Whether the VAE runs beside steps; by itself on a GPU only (docs/decisions/0008)."""
    return device != "cpu" if settings.overlap == "auto" else settings.overlap == "on"


class Worker:
    """Takes jobs of one engine's model from one queue and lets them share the engine's steps.

    `on_hung` is called, from another thread, when a device call does not come back; it should end the process.
    """

    def __init__(
        self,
        settings: Settings,
        consumer: QueueConsumer,
        engine: Engine,
        profile: BatchProfile,
        on_hung: Callable[[], None],
    ) -> None:
        self._settings = settings
        self._consumer = consumer
        self._inbox = Inbox()
        self.pulse = Pulse(settings.lease)
        models = [engine.info.model]
        self.feeder = Feeder(consumer, settings, models, self.pulse, self._inbox, self._prepare)
        self._pictures = PicturePool(
            settings,
            engine.info,
            on_prepared=self._on_prepared,
            on_refined=self._on_refined,
            on_result=self.feeder.finish,
            on_failure=self._on_failure,
            on_caught_up=lambda: self._inbox.put(Nudge()),
        )
        self.profile = LiveProfile(profile, settings.max_batch)
        self.device = Device(
            engine, self.profile, self.pulse, overlaps=overlaps_of(settings, engine.info.device)
        )
        self._vae = VaeLane(self.device, self._inbox)
        self._previews = PreviewPainter(self.feeder.note)
        self.loop = StepLoop(
            settings,
            self.profile,
            self.device,
            self._vae,
            self._pictures,
            self._previews,
            self.feeder,
            self._inbox,
        )
        self._watchdog = Watchdog(self.pulse, lambda: self.ready, on_hung)
        self._registered = False
        self._stopping = False
        self._drained_by = float("inf")

    @property
    def ready(self) -> bool:
        """Whether jobs are being taken, the queue answers, and what is held moves."""
        moves = self.pulse.moves or not self.loop.holds_work
        return self._registered and not self._stopping and self.feeder.in_touch and moves

    @property
    def alive(self) -> bool:
        """Whether the device answers."""
        return not self.pulse.hung

    def run(self) -> None:
        """Take jobs until `stop`. Raises `QueueUnavailable` if the queue is not there at the start, and
        `DeviceError` or `FeederError` where a fresh process should go on; what is held is given back first.
        """
        self._consumer.keep_true(lambda registration: restated(registration, self.profile.current))
        with start_stage("registration"):
            self._consumer.register()
        for risk in self._consumer.risks():
            logger.warning("the queue's server may lose jobs", extra={"risk": risk})
        self.feeder.start()
        self._registered = True
        self._vae.start()
        self._watchdog.start()
        faulty = True
        try:
            while not self._over:
                self.loop.turn(stopping=self._stopping)
            faulty = False
        finally:
            self._registered = False
            telemetry.set_worker_ready(False)
            self.feeder.stop(counted=faulty)
            self._previews.close()
            self._pictures.close()
            self._vae.close()
            self._watchdog.stop()  # last: it ends a process whose device hangs at the end
            self._leave()

    def stop(self, *, drain: bool = True) -> None:
        """Claim nothing more. What is held may finish within the drain time; without `drain` it goes back.

        Safe in a signal handler, since it takes no lock, and may be repeated.
        """
        wanted = monotonic() + (self._settings.drain_timeout if drain else 0)
        self._drained_by = min(self._drained_by, wanted)
        self.feeder.close(self._drained_by)
        self._stopping = True
        self._inbox.put(Nudge())

    @property
    def _over(self) -> bool:
        return self._stopping and (not self.loop.holds_work or monotonic() >= self._drained_by)

    def _leave(self) -> None:
        try:
            self._consumer.close()
        except Unavailable as error:
            logger.warning("left without a word to the queue", extra={"error": error.detail})

    def _prepare(self, claims: Sequence[Claim]) -> None:
        for claim in claims:
            self._pictures.prepare(claim.job)

    def _on_prepared(self, job_id: str, prepared: Prepared) -> None:
        self._inbox.put(JobPrepared(job_id, prepared))

    def _on_refined(self, job_id: str, refined: Refined) -> None:
        self._inbox.put(JobRefined(job_id, refined))

    def _on_failure(self, job_id: str, failure: Failure) -> None:
        self._inbox.put(JobBroken(job_id, failure))
