"""The thread that runs the VAE beside the step loop: newcomers' crops are encoded and finished items decoded there.

One item a call: the memory is that of one whatever the batch, and no item shows in another's picture
(docs/performance.md).
"""

from __future__ import annotations

import logging
import threading
from collections import deque
from time import monotonic

from service.log_context import job_fields, log_fields
from service.worker.batch import Item
from service.worker.device import POSTPONED, Device, DeviceError
from service.worker.events import CropEncoded, Event, Inbox, ItemDecoded, VaeDropped, VaeEnded
from service.worker.spans import tell_decode, tell_encode

logger = logging.getLogger(__name__)


class VaeLane:
    """What it is given is answered by one event each: `CropEncoded`, `ItemDecoded`, or `VaeDropped` where the item's
    job was closed before its call began. Decodes come before encodes: they end jobs.

    All but its thread's work belongs to the step loop's thread. What is given to it is bounded by the scheduler.
    """

    def __init__(self, device: Device, inbox: Inbox) -> None:
        self._device = device
        self._inbox = inbox
        self._given = threading.Condition()
        self._decodes: deque[Item] = deque()
        self._encodes: deque[tuple[Item, float]] = deque()
        self._closed = False
        self._unanswered = 0
        self._thread = threading.Thread(target=self._run, name="vae", daemon=True)

    @property
    def busy(self) -> bool:
        """Whether an answer is still to come, as far as the loop has taken them."""
        return self._unanswered > 0

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def close(self) -> None:
        """Drop what has not begun, and wait for the call in flight."""
        with self._given:
            self._closed = True
            self._given.notify()
        self._thread.join()

    def encode(self, item: Item) -> None:
        """Encode the crop of an item."""
        with self._given:
            self._encodes.append((item, monotonic()))
            self._given.notify()
        self._unanswered += 1

    def decode(self, item: Item) -> None:
        """Decode a finished item."""
        with self._given:
            self._decodes.append(item)
            self._given.notify()
        self._unanswered += 1

    def note_answer(self) -> None:
        """The loop has taken an event that answers."""
        self._unanswered -= 1

    def _run(self) -> None:
        try:
            while (event := self._next_answer()) is not None:
                self._inbox.put(event)
        except DeviceError as error:
            self._inbox.put(VaeEnded(error))
        except BaseException as error:
            logger.critical("the VAE's thread has died", exc_info=error)
            self._inbox.put(VaeEnded(DeviceError("The thread that runs the VAE has died.")))

    def _next_answer(self) -> Event | None:
        """Waits for what it is given; None at the end."""
        with self._given:
            self._given.wait_for(lambda: self._decodes or self._encodes or self._closed)
            if self._closed:
                return None
            if self._decodes:
                item, given_at = self._decodes.popleft(), None
            else:
                item, given_at = self._encodes.popleft()
        if item.job.closed:
            return VaeDropped()
        with log_fields(**job_fields(item.job.claim.job)):
            return self._decode(item) if given_at is None else self._encode(item, given_at)

    def _encode(self, item: Item, given_at: float) -> CropEncoded:
        started = monotonic()
        outcome = self._device.encode(item)
        ended = monotonic()
        if outcome is not POSTPONED:
            tell_encode(item, ended - started)
        return CropEncoded(item, outcome, ended - started, ended - given_at)

    def _decode(self, item: Item) -> ItemDecoded:
        started = monotonic()
        outcome = self._device.decode(item)
        seconds = monotonic() - started
        if outcome is not POSTPONED:
            tell_decode(item, seconds)
        return ItemDecoded(item, outcome, seconds)
