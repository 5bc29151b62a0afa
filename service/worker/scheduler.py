"""What runs next: which items join the batch, which crops the VAE encodes, how many more places to claim jobs for.

A pure function of what the worker holds and its limits: no threads, no clock, no queue. The order between jobs
is the queue's; here the places of one device are shared among the jobs that this worker holds.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from math import ceil
from typing import Literal


@dataclass(frozen=True, slots=True)
class JobView:
    """What the scheduler sees of a job that this worker holds. An item is one crop of one candidate."""

    id: str
    order: int  # of its claim; earlier first
    weight: float  # of its priority (queue/fairness.WEIGHTS)
    places: int  # items that have not joined: their picture is being decoded, their crop encoded, or they are ready
    ready: int  # of those, how many could join now
    running: tuple[int, ...]  # steps left of each item in the batch
    waiting_since: int = (
        0  # the worker's count of steps when it was claimed, or an item of it last left the batch
    )
    unencoded: int = 0  # crops that the VAE has not been given
    encoding: int = 0  # crops that it has been given, and has not encoded
    undecoded: int = 0  # items that have left the batch, and wait for the VAE or are in it


@dataclass(frozen=True, slots=True)
class Limits:
    """What the device and the settings allow."""

    places: int  # most items in a step
    batching: Literal["step", "request"] = "step"
    prepare_steps: int = 0  # steps that pass while a newly claimed job is fetched, decoded and encoded
    encode_steps: int = 0  # steps that pass while a crop is encoded


@dataclass(frozen=True, slots=True)
class Plan:
    """What to do before the next step."""

    join: tuple[str, ...]  # job ids, one entry an item, in the order of joining
    claim: int  # places to claim more jobs for; 0: none
    idle: bool  # nothing is held: a job that must run alone may be claimed
    encode: tuple[str, ...] = ()  # job ids, one entry a crop, whose next crop the VAE is given


def plan(
    jobs: Sequence[JobView],
    limits: Limits,
    *,
    draining: bool = False,
    stopping: bool = False,
    vae_busy: bool = False,
) -> Plan:
    """The items that join now, the crops that are encoded for those that will, and the places to claim for.

    `draining`: a job that must run alone waits for this worker, or runs on it: held jobs go on, nothing is
    claimed until none is left. `stopping`: held jobs go on, nothing is claimed. `vae_busy`: the VAE is in a call,
    perhaps for a job that is not held any more.
    """
    join = tuple(_joins(jobs, limits))
    idle = not (jobs or vae_busy)
    closed = stopping or (draining and not idle) or _overhang(jobs, limits) > 0
    entering = tuple(_joins(list(map(_as_if_encoded, jobs)), limits))
    claim = 0 if closed else _to_claim(jobs, entering, limits)
    return Plan(join, claim, idle, encode=tuple(_encodes(jobs, join, limits)))


def surplus(jobs: Sequence[JobView], limits: Limits) -> tuple[str, ...]:
    """Job ids, one entry an item, whose items leave the batch for now: more run than the limit allows.

    Those of the job claimed last go first. The items keep their state and count as ready again.
    """
    over = sum(len(job.running) for job in jobs) - limits.places
    latest_first = sorted(jobs, key=lambda job: job.order, reverse=True)
    items = [job.id for job in latest_first for _ in job.running]
    return tuple(items[: max(0, over)])


@dataclass(frozen=True, slots=True)
class _Share:
    """A held job after the joins, as if all were encoded: items that wait, items in the batch, and of these those
    that stay in it for as long as a newly claimed job is prepared. One that joins now is taken to stay.
    """

    weight: float
    waiting: int
    in_batch: int
    staying: int

    @classmethod
    def of(cls, job: JobView, joined: int, prepare_steps: int) -> _Share:
        staying = joined + sum(left > prepare_steps for left in job.running)
        return cls(job.weight, job.places - joined, joined + len(job.running), staying)

    @property
    def is_big(self) -> bool:
        """Whether items wait beside running ones: what the batch had no room for."""
        return self.waiting > 0 and self.in_batch > 0

    @property
    def reserved(self) -> int:
        """Places that newcomers leave to it: to one that fits all it needs, to a big job its weight's worth."""
        if not self.is_big:
            return self.waiting
        return min(self.waiting, max(0, ceil(self.weight) - self.staying))


def _joins(jobs: Sequence[JobView], limits: Limits) -> Iterator[str]:
    running = sum(len(job.running) for job in jobs)
    if limits.batching == "request" and not _may_start(jobs, running, limits):
        return
    joined: Counter[str] = Counter()
    for _ in range(limits.places - running - _overhang(jobs, limits)):
        waiting = [job for job in jobs if job.ready > joined[job.id]]
        if not waiting:
            return
        following = min(waiting, key=lambda job: _turn(job, joined[job.id]))
        joined[following.id] += 1
        yield following.id


def _overhang(jobs: Sequence[JobView], limits: Limits) -> int:
    """Items that wait for the decoder beyond a batch of them: while there are, the VAE is what is short.

    As many places stay empty and nothing is claimed, since more would only wait there, with its picture in memory.
    """
    return max(0, sum(job.undecoded for job in jobs) - limits.places)


def _encodes(jobs: Sequence[JobView], joins: Sequence[str], limits: Limits) -> Iterator[str]:
    """Of each job that has nothing in or before the batch the first crop, that it can join as soon as a place is
    free; then the crops of those that would join next if all were encoded, for the places that will be free by then.
    """
    joined, encoded = Counter(joins), Counter[str]()
    newcomers = [job for job in jobs if job.unencoded and not (job.running or job.ready or job.encoding)]
    for job in sorted(newcomers, key=lambda job: _turn(job, 0)):
        encoded[job.id] += 1
        yield job.id
    for _ in range(_free_after_an_encode(jobs, joined, limits)):
        waiting = [job for job in jobs if _encodable(job) > joined[job.id]]
        if not waiting:
            return
        following = min(waiting, key=lambda job: _turn(job, joined[job.id]))
        if joined[following.id] == _encoded_soon(following, encoded[following.id]):
            encoded[following.id] += 1
            yield following.id
        joined[following.id] += 1


def _encoded_soon(job: JobView, encodes: int) -> int:
    """Items of the job that are ready, or will be after its crops in the VAE and `encodes` more.

    Items join in their order, those of the first candidate first, and candidates share an encoded crop: each crop
    makes one item ready, and the last one all that are left.
    """
    all_encoded = encodes == job.unencoded and (job.unencoded or job.encoding)
    return job.places if all_encoded else job.ready + job.encoding + encodes


def _encodable(job: JobView) -> int:
    """Items of the job whose picture is decoded."""
    return _encoded_soon(job, job.unencoded)


def _free_after_an_encode(jobs: Sequence[JobView], joined: Counter[str], limits: Limits) -> int:
    staying = sum(left > limits.encode_steps for job in jobs for left in job.running)
    return limits.places - staying - joined.total() - _overhang(jobs, limits)


def _turn(job: JobView, joined: int) -> tuple[float, int, int]:
    """Who joins next: the fewest items running per weight, then who waits longest, then who was claimed first.

    So a newcomer goes ahead of a big job's further items, and big jobs share the places by weight. Jobs with
    nothing in the batch stand in a line, which a big one enters again when its last item leaves: more jobs than
    places take turns, and newcomers can't pass by for ever.
    """
    return (len(job.running) + joined) / job.weight, job.waiting_since, job.order


def _may_start(jobs: Sequence[JobView], running: int, limits: Limits) -> bool:
    """Whether a batch of whole requests starts: nothing runs, and all items of the jobs claimed for it are ready.

    Without the wait, which is that of a decoding, the first to be decoded would run alone.
    """
    is_filled = sum(job.ready for job in jobs) >= limits.places
    return running == 0 and (is_filled or all(job.ready == job.places for job in jobs))


def _as_if_encoded(job: JobView) -> JobView:
    """For claims: a place that is free for an item in the VAE is as good as taken."""
    return replace(job, ready=_encodable(job))


def _to_claim(jobs: Sequence[JobView], joins: Sequence[str], limits: Limits) -> int:
    held = [_Share.of(job, joins.count(job.id), limits.prepare_steps) for job in jobs]
    staying = sum(share.staying for share in held)
    if limits.batching == "request":
        return _to_claim_for_the_next_batch(jobs, held, staying, limits)
    claim = limits.places - staying - sum(share.reserved for share in held)
    return max(claim, 1 if _needs_express_lane(held, limits) else 0)


def _needs_express_lane(held: Sequence[_Share], limits: Limits) -> bool:
    """Whether big jobs have all places and each of them runs: one more job is taken in, for the next free place.

    Else a small job would wait for all rounds of the big ones. No second one is, before the first has joined.
    """
    full = sum(share.in_batch for share in held) >= limits.places
    return full and all(share.is_big for share in held if share.waiting or share.in_batch)


def _to_claim_for_the_next_batch(
    jobs: Sequence[JobView], held: Sequence[_Share], staying: int, limits: Limits
) -> int:
    """Whole requests: nothing while a batch has steps to go, or is about to start with what is decoded."""
    starts = not any(job.running for job in jobs) and any(_encodable(job) for job in jobs)
    if staying or starts:
        return 0
    return max(0, limits.places - sum(share.waiting for share in held))
