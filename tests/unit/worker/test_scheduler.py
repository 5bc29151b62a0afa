"""The plan of the next step: who joins, how many places to claim for, and who leaves when there are too many."""

from __future__ import annotations

from collections.abc import Iterable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from service.worker.scheduler import JobView, Limits, Plan, plan, surplus

INTERACTIVE, BATCH = 4.0, 1.0


def job(
    identity: str = "a",
    *,
    order: int = 1,
    weight: float = INTERACTIVE,
    ready: int = 0,
    decoding: int = 0,
    running: tuple[int, ...] = (),
    waiting_since: int = 0,
    unencoded: int = 0,
    encoding: int = 0,
    sharing: int = 0,
    undecoded: int = 0,
) -> JobView:
    """`decoding`: items whose picture is not there yet. Crops that are `unencoded` or `encoding` are an item each, and
    `sharing` are further items of theirs: of other candidates.
    """
    places = ready + decoding + unencoded + encoding + sharing
    return JobView(
        identity, order, weight, places, ready, running, waiting_since, unencoded, encoding, undecoded
    )


class TestJoining:
    def test_ready_items_take_the_free_places(self) -> None:
        assert plan([job(ready=5, running=(3,))], Limits(places=4)).join == ("a", "a", "a")

    def test_an_item_that_is_being_decoded_does_not_join(self) -> None:
        assert plan([job(decoding=2)], Limits(places=4)).join == ()

    def test_nothing_joins_a_full_batch(self) -> None:
        jobs = [job(running=(3, 3)), job("b", order=2, ready=1)]
        assert plan(jobs, Limits(places=2)).join == ()

    def test_nothing_joins_where_more_run_than_the_limit_allows(self) -> None:
        assert plan([job(ready=3, running=(2,) * 8)], Limits(places=4)).join == ()

    def test_a_newcomer_goes_ahead_of_a_big_jobs_further_items(self) -> None:
        jobs = [job(ready=600, running=(9,) * 7), job("new", order=2, weight=BATCH, ready=1)]
        assert plan(jobs, Limits(places=8)).join == ("new",)

    def test_two_big_jobs_share_the_places_by_weight(self) -> None:
        jobs = [job("batch", weight=BATCH, ready=99), job("now", order=2, ready=99)]
        joins = plan(jobs, Limits(places=10)).join
        assert (joins.count("now"), joins.count("batch")) == (8, 2)

    def test_of_jobs_with_nothing_in_the_batch_the_first_claimed_goes_first(self) -> None:
        jobs = [job("late", order=3, ready=1), job("early", order=2, weight=BATCH, ready=1)]
        assert plan(jobs, Limits(places=1)).join == ("early",)

    def test_more_jobs_than_places_take_turns(self) -> None:
        jobs = [job("a", ready=9, waiting_since=2), job("b", order=2, ready=9, waiting_since=1)]
        assert plan(jobs, Limits(places=1)).join == ("b",)

    def test_items_of_held_jobs_join_while_draining_and_while_stopping(self) -> None:
        jobs = [job(ready=2)]
        assert plan(jobs, Limits(places=4), draining=True).join == ("a", "a")
        assert plan(jobs, Limits(places=4), stopping=True).join == ("a", "a")


class TestClaiming:
    def test_an_idle_worker_claims_for_all_places_and_may_take_a_job_that_must_run_alone(self) -> None:
        assert plan([], Limits(places=8)) == Plan(join=(), claim=8, idle=True)

    def test_a_worker_that_holds_a_job_is_not_idle(self) -> None:
        assert not plan([job(decoding=1)], Limits(places=8)).idle

    def test_places_of_items_that_run_join_or_are_decoded_are_not_claimed_for_again(self) -> None:
        jobs = [job(running=(9, 9), ready=1), job("b", order=2, decoding=2)]
        assert plan(jobs, Limits(places=8)).claim == 3

    def test_a_place_that_is_left_before_a_new_job_is_prepared_is_claimed_for_now(self) -> None:
        jobs = [job(running=(1, 2, 3, 4))]
        assert plan(jobs, Limits(places=4, prepare_steps=0)).claim == 0
        assert plan(jobs, Limits(places=4, prepare_steps=2)).claim == 2

    def test_nothing_is_claimed_while_more_waits_than_fits(self) -> None:
        assert plan([job(decoding=640)], Limits(places=8)).claim == 0
        assert plan([job(running=(9,) * 8), job("b", order=2, ready=1)], Limits(places=8)).claim == 0

    def test_beside_big_jobs_that_have_all_places_one_more_job_is_taken_in(self) -> None:
        assert plan([job(ready=640)], Limits(places=8)).claim == 1

    def test_no_second_one_is_before_the_first_has_joined(self) -> None:
        jobs = [job(ready=632, running=(9,) * 8), job("small", order=2, decoding=1)]
        assert plan(jobs, Limits(places=8)).claim == 0

    def test_nobody_is_taken_in_beside_jobs_that_will_leave_their_places(self) -> None:
        jobs = [job(ready=632, running=(9,) * 7), job("small", order=2, running=(9,))]
        assert plan(jobs, Limits(places=8)).claim == 0

    def test_nobody_is_taken_in_while_a_big_jobs_next_items_fit_and_are_being_decoded(self) -> None:
        assert plan([job(decoding=6, running=(9, 9))], Limits(places=4)).claim == 0

    @pytest.mark.parametrize(("weight", "kept"), [(INTERACTIVE, 4), (BATCH, 1)])
    def test_a_big_job_keeps_its_weights_worth_of_the_places_that_it_leaves(
        self, weight: float, kept: int
    ) -> None:
        jobs = [job(weight=weight, ready=632, running=(1,) * 8)]
        assert plan(jobs, Limits(places=8, prepare_steps=1)).claim == 8 - kept

    def test_nothing_is_claimed_while_draining_until_nothing_is_held(self) -> None:
        limits = Limits(places=8)
        assert plan([job(running=(9,))], limits, draining=True).claim == 0
        assert plan([], limits, draining=True) == Plan(join=(), claim=8, idle=True)

    def test_nothing_is_claimed_while_stopping(self) -> None:
        assert plan([], Limits(places=8), stopping=True).claim == 0
        assert plan([job(ready=640)], Limits(places=8), stopping=True).claim == 0

    def test_a_free_place_that_waits_for_the_vae_is_as_good_as_taken(self) -> None:
        assert plan([job(unencoded=1, encoding=2)], Limits(places=8)).claim == 5

    def test_while_the_vae_is_in_a_call_no_job_that_must_run_alone_is_claimed(self) -> None:
        limits = Limits(places=8)
        assert plan([], limits, vae_busy=True) == Plan(join=(), claim=8, idle=False)
        assert plan([], limits, draining=True, vae_busy=True).claim == 0


class TestEncoding:
    def test_crops_are_encoded_for_the_free_places(self) -> None:
        assert plan([job(unencoded=9)], Limits(places=4)).encode == ("a",) * 4

    def test_items_that_are_ready_or_in_the_vae_need_no_further_crop(self) -> None:
        assert plan([job(ready=1, encoding=2, unencoded=7)], Limits(places=4)).encode == ("a",)

    def test_nothing_is_encoded_for_places_that_stay_taken(self) -> None:
        assert plan([job(running=(9,) * 4, unencoded=3)], Limits(places=4)).encode == ()

    def test_crops_are_encoded_for_places_that_are_left_by_then(self) -> None:
        jobs = [job(running=(1, 2, 3, 9), unencoded=7)]
        assert plan(jobs, Limits(places=4, encode_steps=2)).encode == ("a", "a")

    def test_the_first_crop_of_a_newcomer_is_encoded_though_no_place_will_be_free(self) -> None:
        jobs = [job(running=(9,) * 4, ready=3), job("new", order=2, unencoded=5)]
        assert plan(jobs, Limits(places=4)).encode == ("new",)

    def test_a_newcomer_goes_ahead_of_a_big_jobs_further_crops(self) -> None:
        jobs = [job(running=(9, 9, 1), unencoded=7), job("new", order=2, weight=BATCH, unencoded=1)]
        assert plan(jobs, Limits(places=4, encode_steps=1)).encode == ("new", "a")

    def test_the_last_crop_serves_all_candidates(self) -> None:
        assert plan([job(unencoded=2, sharing=8)], Limits(places=4)).encode == ("a", "a")
        assert plan([job(encoding=1, unencoded=1, sharing=8)], Limits(places=4)).encode == ("a",)
        assert plan([job(encoding=1, sharing=9)], Limits(places=4)).encode == ()

    def test_big_jobs_share_the_vae_by_weight(self) -> None:
        jobs = [job("batch", weight=BATCH, unencoded=99), job("now", order=2, unencoded=99)]
        encodes = plan(jobs, Limits(places=10)).encode
        assert (encodes.count("now"), encodes.count("batch")) == (8, 2)

    def test_held_jobs_are_encoded_while_draining_and_while_stopping(self) -> None:
        jobs = [job(unencoded=1)]
        assert plan(jobs, Limits(places=4), draining=True).encode == ("a",)
        assert plan(jobs, Limits(places=4), stopping=True).encode == ("a",)


class TestDecodingBehind:
    def test_a_batch_may_wait_for_the_decoder(self) -> None:
        jobs = [job(ready=9, undecoded=4)]
        assert plan(jobs, Limits(places=4)).join == ("a",) * 4

    def test_as_many_places_stay_empty_as_more_items_wait_for_it(self) -> None:
        jobs = [job(ready=9, running=(5,), undecoded=6)]
        assert plan(jobs, Limits(places=4)).join == ("a",)

    def test_nothing_is_claimed_while_more_wait_for_it(self) -> None:
        assert plan([job(undecoded=4)], Limits(places=4)).claim == 4
        assert plan([job(undecoded=5)], Limits(places=4)).claim == 0


class TestWholeRequests:
    limits = Limits(places=4, batching="request", prepare_steps=2)

    def test_nothing_joins_a_batch_that_runs(self) -> None:
        assert plan([job(running=(3,)), job("b", order=2, ready=1)], self.limits).join == ()

    def test_the_next_batch_is_filled_when_the_last_item_has_left(self) -> None:
        jobs = [job(ready=3), job("b", order=2, ready=3)]
        assert plan(jobs, self.limits).join == ("a", "b", "a", "b")

    def test_a_batch_waits_for_what_was_claimed_with_it_and_claims_no_more(self) -> None:
        planned = plan([job(ready=1), job("b", order=2, decoding=1)], self.limits)
        assert planned == Plan(join=(), claim=0, idle=False)

    def test_a_batch_waits_for_the_crops_of_its_requests(self) -> None:
        jobs = [job(ready=1, encoding=1), job("b", order=2, ready=1)]
        assert plan(jobs, self.limits) == Plan(join=(), claim=0, idle=False)

    def test_a_batch_that_is_full_waits_for_nobody(self) -> None:
        assert len(plan([job(ready=4), job("b", order=2, decoding=1)], self.limits).join) == 4

    def test_the_next_batch_is_claimed_when_the_running_one_is_about_to_end(self) -> None:
        assert plan([job(running=(1, 3))], self.limits).claim == 0
        assert plan([job(running=(1, 2))], self.limits).claim == 4
        assert plan([job(running=(1, 2)), job("b", order=2, decoding=3)], self.limits).claim == 1

    def test_a_batch_that_starts_now_claims_nothing(self) -> None:
        assert plan([job(ready=1)], self.limits).claim == 0


class TestSurplus:
    def test_nothing_leaves_while_the_limit_holds(self) -> None:
        assert surplus([job(running=(3, 3))], Limits(places=2)) == ()

    def test_items_of_the_job_claimed_last_leave_first(self) -> None:
        jobs = [
            job("late", order=3, running=(3,)),
            job("a", running=(3, 3)),
            job("b", order=2, running=(3, 3)),
        ]
        assert surplus(jobs, Limits(places=2)) == ("late", "b", "b")


views = st.builds(
    job,
    st.uuids().map(str),
    order=st.integers(1, 99),
    weight=st.sampled_from([INTERACTIVE, BATCH]),
    ready=st.integers(0, 12),
    decoding=st.integers(0, 12),
    running=st.lists(st.integers(1, 9), max_size=6).map(tuple),
    waiting_since=st.integers(0, 9),
)
held_jobs = st.lists(views, max_size=10)
vae_views = st.builds(
    job,
    st.uuids().map(str),
    order=st.integers(1, 99),
    weight=st.sampled_from([INTERACTIVE, BATCH]),
    ready=st.integers(0, 12),
    running=st.lists(st.integers(1, 9), max_size=6).map(tuple),
    unencoded=st.integers(0, 12),
    encoding=st.integers(0, 3),
    undecoded=st.integers(0, 6),
)
jobs_in_the_vae = st.lists(vae_views, max_size=6)
step_limits = st.builds(Limits, places=st.integers(1, 16), prepare_steps=st.integers(0, 5))


def running_items(jobs: Iterable[JobView]) -> int:
    return sum(len(view.running) for view in jobs)


class TestWhateverTheVaeHolds:
    @settings(deadline=None)
    @given(jobs_in_the_vae, step_limits)
    def test_no_more_is_encoded_than_there_is_and_than_will_have_places_but_one_crop_a_newcomer(
        self, jobs: list[JobView], limits: Limits
    ) -> None:
        planned = plan(jobs, limits)
        assert all(planned.encode.count(view.id) <= view.unencoded for view in jobs)
        newcomers = sum(not (view.running or view.ready or view.encoding) for view in jobs)
        staying = len(planned.join) + sum(
            left > limits.encode_steps for view in jobs for left in view.running
        )
        assert len(planned.encode) <= newcomers + max(0, limits.places - staying)

    @settings(deadline=None)
    @given(jobs_in_the_vae, step_limits)
    def test_the_batch_and_what_it_leaves_to_the_decoder_are_bounded(
        self, jobs: list[JobView], limits: Limits
    ) -> None:
        joins = plan(jobs, limits).join
        undecoded = sum(view.undecoded for view in jobs)
        assert not joins or running_items(jobs) + len(joins) <= limits.places
        assert not joins or running_items(jobs) + len(joins) + undecoded <= 2 * limits.places

    @settings(deadline=None)
    @given(jobs_in_the_vae, step_limits)
    def test_something_goes_on_while_an_item_is_left(self, jobs: list[JobView], limits: Limits) -> None:
        planned = plan(jobs, limits)
        in_work = any(view.running or view.encoding or view.undecoded for view in jobs)
        left = any(view.places for view in jobs)
        assert not left or in_work or planned.join or planned.encode


class TestWhateverIsHeld:
    @settings(deadline=None)
    @given(held_jobs, step_limits)
    def test_the_batch_never_exceeds_its_limit(self, jobs: list[JobView], limits: Limits) -> None:
        joins = plan(jobs, limits).join
        assert not joins or running_items(jobs) + len(joins) <= limits.places
        assert all(joins.count(view.id) <= view.ready for view in jobs)

    @settings(deadline=None)
    @given(held_jobs, step_limits, st.booleans(), st.booleans())
    def test_no_place_stays_empty_while_an_item_is_ready(
        self, jobs: list[JobView], limits: Limits, draining: bool, stopping: bool
    ) -> None:
        joins = plan(jobs, limits, draining=draining, stopping=stopping).join
        free = max(0, limits.places - running_items(jobs))
        assert len(joins) == min(free, sum(view.ready for view in jobs))

    @settings(deadline=None)
    @given(held_jobs, step_limits)
    def test_each_join_goes_to_a_job_with_the_fewest_running_items_per_weight(
        self, jobs: list[JobView], limits: Limits
    ) -> None:
        running = {view.id: len(view.running) for view in jobs}
        ready = {view.id: view.ready for view in jobs}
        weights = {view.id: view.weight for view in jobs}
        for joining in plan(jobs, limits).join:
            shares = {
                identity: running[identity] / weights[identity] for identity in ready if ready[identity]
            }
            assert shares[joining] == min(shares.values())
            running[joining] += 1
            ready[joining] -= 1

    @settings(deadline=None)
    @given(held_jobs, step_limits)
    def test_no_more_is_claimed_than_could_join_but_one_job_beside_big_ones(
        self, jobs: list[JobView], limits: Limits
    ) -> None:
        planned = plan(jobs, limits)
        staying = len(planned.join) + sum(
            left > limits.prepare_steps for view in jobs for left in view.running
        )
        assert 0 <= planned.claim <= max(1, limits.places - staying)

    @settings(deadline=None)
    @given(held_jobs, step_limits)
    def test_where_all_that_waits_fits_the_rest_of_the_places_is_claimed_for(
        self, jobs: list[JobView], limits: Limits
    ) -> None:
        planned = plan(jobs, limits)
        still_waiting = sum(view.places for view in jobs) - len(planned.join)
        has_big = any(
            view.places > planned.join.count(view.id) and (view.running or view.id in planned.join)
            for view in jobs
        )
        staying = len(planned.join) + sum(
            left > limits.prepare_steps for view in jobs for left in view.running
        )
        assert has_big or planned.claim == max(0, limits.places - staying - still_waiting)

    @settings(deadline=None)
    @given(
        held_jobs,
        st.builds(
            Limits, places=st.integers(1, 16), batching=st.just("request"), prepare_steps=st.integers(0, 5)
        ),
    )
    def test_whole_requests_join_together_or_not_at_all(self, jobs: list[JobView], limits: Limits) -> None:
        planned = plan(jobs, limits)
        if running_items(jobs):
            assert planned.join == ()
        if planned.join:
            assert planned.claim == 0
            assert len(planned.join) == min(limits.places, sum(view.ready for view in jobs))

    @settings(deadline=None)
    @given(held_jobs, step_limits)
    def test_after_the_surplus_has_left_the_limit_holds_and_no_place_is_empty(
        self, jobs: list[JobView], limits: Limits
    ) -> None:
        leaving = surplus(jobs, limits)
        assert running_items(jobs) - len(leaving) == min(limits.places, running_items(jobs))
        assert all(leaving.count(view.id) <= len(view.running) for view in jobs)
