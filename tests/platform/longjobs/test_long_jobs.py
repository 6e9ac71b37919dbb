"""Long jobs: each chunk once, whoever dies; cancelled at the next chunk; and nobody's job stops another's."""

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from dana.contracts.events import EVENTS_BY_TYPE
from dana.contracts.ids import LongJobId, OrgId
from dana.contracts.views import JobState
from dana.platform import longjobs
from dana.platform.bus import pace
from dana.platform.database import Tx
from dana.platform.errors import Conflict, Missing, Unavailable
from dana.platform.longjobs.running import LAST_ATTEMPT
from dana.platform.shards import Shards
from tests.platform.longjobs.rehearsal import ANA, Counting, CrashError, RehearsalAdvanced, working

ShardsOf = Callable[[str], Shards]


@pytest.fixture(autouse=True)
def _rehearsal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(EVENTS_BY_TYPE, "rehearsal_advanced", RehearsalAdvanced)


@pytest.fixture
def counting(shards_of: ShardsOf) -> Counting:
    """A job of three chunks."""
    return Counting(shards_of("conversations"), 3)


async def test_a_job_goes_from_chunk_to_chunk_and_says_how_far_it_is(counting: Counting, org: OrgId) -> None:
    job = await counting.ask(org)
    assert (job.state, job.done, job.total, job.requested_by_name) == (JobState.QUEUED, 0, None, "Ana")
    await counting.step(org)
    running = await counting.find(org, job.id)
    assert (running.state, running.done, running.total) == (JobState.RUNNING, 1, 3)
    await counting.step(org)
    await counting.step(org)
    done = await counting.find(org, job.id)
    assert (done.state, done.done, done.problems) == (JobState.DONE, 3, 1)
    assert done.finished_at is not None
    assert await counting.said(org) == ["number 1", "number 2", "number 3"]
    async with counting.shards.read(org) as tx:
        [problem] = await longjobs.list_problems(tx, job.id, 0, 10)
    assert (problem.number, problem.reason) == (2, "is even")


async def test_what_came_while_it_ran_makes_the_whole_larger(counting: Counting, org: OrgId) -> None:
    counting.foreseen = 2
    job = await counting.ask(org)
    shown = []
    for _ in range(3):
        await counting.step(org)
        found = await counting.find(org, job.id)
        shown.append((found.done, found.total))
    assert shown == [(1, 2), (2, 2), (3, 3)]


async def test_what_is_delivered_again_does_nothing_again(counting: Counting, org: OrgId) -> None:
    await counting.ask(org)
    first = await counting.newest_event(org)
    await counting.deliver(org, first)
    await counting.deliver(org, first, attempt=2)
    await counting.step(org)
    await counting.deliver(org, first, attempt=3)
    assert await counting.said(org) == ["number 1", "number 2"]
    assert counting.prepared == [1, 2]


async def test_two_who_do_the_same_chunk_at_once_do_it_once(counting: Counting, org: OrgId) -> None:
    await counting.ask(org)
    event = await counting.newest_event(org)
    await asyncio.gather(*(counting.deliver(org, event) for _ in range(4)))
    assert await counting.said(org) == ["number 1"]


async def test_a_chunk_that_dies_leaves_nothing_and_is_done_by_the_next(
    counting: Counting, org: OrgId
) -> None:
    job = await counting.ask(org)
    counting.crashes = [CrashError("killed"), CrashError("killed again")]
    for attempt in (1, 2):
        with pytest.raises(CrashError):
            await counting.step(org, attempt)
    assert await counting.said(org) == []
    assert (await counting.find(org, job.id)).done == 0
    for _ in range(3):
        await counting.step(org, attempt=3)
    assert await counting.said(org) == ["number 1", "number 2", "number 3"]


@pytest.mark.parametrize(
    ("crash", "words"),
    [(Unavailable("The shelf is on fire."), "The shelf is on fire."), (CrashError("x"), "tell the operator")],
)
async def test_a_job_that_fails_again_and_again_says_why(
    counting: Counting, org: OrgId, crash: Exception, words: str
) -> None:
    job = await counting.ask(org)
    counting.crashes = [crash]
    await counting.step(org, LAST_ATTEMPT)
    failed = await counting.find(org, job.id)
    assert failed.state is JobState.FAILED
    assert words in (failed.error or "")
    await counting.step(org)
    assert await counting.said(org) == []
    assert (await counting.newest_event(org)).job == failed


async def test_a_cancelled_job_does_no_further_chunk(counting: Counting, org: OrgId) -> None:
    job = await counting.ask(org)
    await counting.step(org)
    waiting = await counting.newest_event(org)
    async with counting.shards.tx(org, ANA) as tx:
        cancelled = await longjobs.cancel(tx, job.id)
    assert (cancelled.state, cancelled.done) == (JobState.CANCELLED, 1)
    await counting.deliver(org, waiting)
    await counting.step(org)
    assert await counting.said(org) == ["number 1"]
    async with counting.shards.tx(org, ANA) as tx:
        assert await longjobs.cancel(tx, job.id) == cancelled


async def test_what_has_ended_cannot_be_cancelled(counting: Counting, org: OrgId) -> None:
    job = await counting.ask(org)
    for _ in range(3):
        await counting.step(org)
    with pytest.raises(Conflict, match="done"):
        async with counting.shards.tx(org, ANA) as tx:
            await longjobs.cancel(tx, job.id)


async def test_the_same_key_is_the_same_job(counting: Counting, org: OrgId) -> None:
    first = await counting.ask(org, key="once")
    assert await counting.ask(org, key="once") == first
    with pytest.raises(Conflict, match="Idempotency-Key"):
        await counting.ask(org, word="another", key="once")
    assert (await counting.ask(org)).id != (await counting.ask(org)).id


async def test_too_many_at_once_are_refused_and_a_repeat_is_not(
    counting: Counting, org: OrgId, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(longjobs.records, "MOST_ACTIVE", 2)
    first = await counting.ask(org, key="first")
    await counting.ask(org)
    with pytest.raises(Conflict, match="wait for one to end"):
        await counting.ask(org)
    assert await counting.ask(org, key="first") == first


async def test_another_organization_sees_and_ends_nothing(
    counting: Counting, org: OrgId, other_org: OrgId
) -> None:
    job = await counting.ask(org)
    async with counting.shards.tx(other_org, ANA) as tx:
        assert await longjobs.list_jobs(tx, None, 10) == []
        for act in (longjobs.find, longjobs.cancel):
            look: Callable[[Tx, LongJobId], Any] = act
            with pytest.raises(Missing):
                await look(tx, job.id)
        with pytest.raises(Missing):
            await longjobs.list_problems(tx, job.id, 0, 10)
    assert await counting.find(org, job.id) == job


async def test_files_go_when_their_time_is_over_and_jobs_after_months(
    counting: Counting, org: OrgId, monkeypatch: pytest.MonkeyPatch
) -> None:
    counting.expires_at = datetime.now(UTC) - timedelta(seconds=1)
    job = await counting.ask(org)
    for _ in range(3):
        await counting.step(org)
    shard = (await counting.shards.route(org)).shard
    await counting.jobs.tidy(shard)
    assert counting.tidied.count(job.id) == 1
    assert (await counting.find(org, job.id)).file_expires_at is None
    await counting.jobs.tidy(shard)
    assert counting.tidied.count(job.id) == 1
    async with counting.shards.tx(org, ANA) as tx:
        await tx.execute(
            "update platform.long_jobs set finished_at = finished_at - interval '91 days', tidy_at = now()"
        )
    await counting.jobs.tidy(shard)
    with pytest.raises(Missing):
        await counting.find(org, job.id)


async def test_what_is_tidied_unseen_is_not_a_change(counting: Counting, org: OrgId) -> None:
    job = await counting.ask(org)
    for _ in range(3):
        await counting.step(org)
    ended = await counting.find(org, job.id)
    await counting.jobs.tidy((await counting.shards.route(org)).shard)
    assert counting.tidied.count(job.id) == 1
    assert await counting.find(org, job.id) == ended, "nobody was told of a change"


async def test_a_short_job_does_not_wait_for_a_long_one_of_others(
    shards_of: ShardsOf, org: OrgId, other_org: OrgId
) -> None:
    shards = shards_of("conversations")
    long, short = Counting(shards, 400), Counting(shards, 3)
    async with working(shards, long):
        first = await long.ask(org)
        second = await short.ask(other_org, word="short")
        async with asyncio.timeout(30):
            while (await long.find(other_org, second.id)).done < 3:
                await asyncio.sleep(0.02)
        progress = await long.find(org, first.id)
        assert progress.state in {JobState.QUEUED, JobState.RUNNING}
        for of, job in ((org, first), (other_org, second)):
            async with shards.tx(of, ANA) as tx:
                await longjobs.cancel(tx, job.id)


def test_a_job_fails_before_its_delivery_is_laid_aside() -> None:
    assert LAST_ATTEMPT < pace.MAX_ATTEMPTS
