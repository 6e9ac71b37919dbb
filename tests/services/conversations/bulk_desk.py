"""Long jobs at a desk, done chunk by chunk by hand, so that a test may look between two of them."""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime

import msgspec

from dana.contracts.events import ConversationsJobAdvanced
from dana.contracts.ids import EventId, LongJobId, new_id
from dana.contracts.views import JobState, LongJobView
from dana.platform import longjobs
from dana.platform.bus import Envelope
from dana.platform.database import Tx
from dana.platform.longjobs import JobProblem
from dana.services.conversations import actions
from tests.services.conversations.desk import Desk

Asked = Callable[[Tx], Awaitable[tuple[LongJobView, bool]]]
MOST_CHUNKS = 500


async def ask(desk: Desk, request: Asked) -> LongJobView:
    """Ask for a job."""
    async with desk.by_ana() as tx:
        return (await request(tx))[0]


async def do_chunk(desk: Desk, job_id: LongJobId) -> LongJobView:
    """Do the next chunk, as the bus would."""
    async with desk.read() as tx:
        payload = await tx.fetchval(
            "select payload::text from platform.event_log where org_id = $1 and aggregate_id = $2"
            " and type = 'conversations_job_advanced' order by cursor desc limit 1",
            desk.org_id,
            job_id,
        )
    event = msgspec.json.decode(payload, type=ConversationsJobAdvanced)
    envelope = Envelope(EventId(new_id()), desk.org_id, 1, 1, datetime.now(UTC))
    await actions.long_jobs(desk.shards).worker().run(envelope, event)
    async with desk.read() as tx:
        return (await longjobs.find(tx, job_id)).view


async def finish(desk: Desk, job_id: LongJobId) -> LongJobView:
    """Do all chunks of a job."""
    for _ in range(MOST_CHUNKS):
        job = await do_chunk(desk, job_id)
        if job.state in longjobs.ENDED:
            return job
    raise AssertionError("the job does not end")


async def problems(desk: Desk, job: LongJobView) -> list[JobProblem]:
    """List what a job could not deal with."""
    assert job.state is JobState.DONE
    async with desk.read() as tx:
        return await longjobs.list_problems(tx, job.id, -1, 1_000)
