"""A job that says a number in each chunk: what it said are its effects, to be counted."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime

import msgspec

from dana.contracts.events import LongJobAdvanced, OrganizationCreated
from dana.contracts.ids import EventId, LongJobId, OrgId, UserId, new_id
from dana.contracts.views import LongJobView
from dana.platform import longjobs
from dana.platform.bus import Bus, Envelope, PostgresBinding
from dana.platform.database import Tx
from dana.platform.identity import Actor
from dana.platform.longjobs import Advance, JobProblem, Kind, LongJob, LongJobs, Request
from dana.platform.shards import Shards

ANA = Actor("user", UserId(new_id()), "Ana")
GROUP = "rehearsal"


class RehearsalAdvanced(LongJobAdvanced, frozen=True):
    """An event that no service consumes."""


class CrashError(RuntimeError):
    """The process died here."""


class Counting:
    """A job that says a number in each chunk; what it said are its effects."""

    def __init__(self, shards: Shards, numbers: int) -> None:
        self.shards = shards
        self.numbers = numbers
        self.seconds = 0.0
        """How long a chunk takes."""
        self.on_chunk: Callable[[], None] = lambda: None
        self.prepared: list[int] = []
        self.foreseen = numbers
        self.crashes: list[Exception] = []
        """Raised one after the other, each at the end of a chunk."""
        self.expires_at: datetime | None = None
        self.tidied: list[LongJobId] = []
        kind = Kind("counting", self._chunk, self._prepare, self._tidy)
        self.jobs = LongJobs(shards, RehearsalAdvanced, [kind])

    async def _prepare(self, org_id: OrgId, job: LongJob) -> int:
        number = 1 + (job.resume or 0)
        self.prepared.append(number)
        return number

    async def _chunk(self, tx: Tx, job: LongJob, number: int) -> Advance:
        tx.emit(OrganizationCreated(name=f"{job.arguments['word']} {number}"))
        self.on_chunk()
        await asyncio.sleep(self.seconds)
        if self.crashes:
            raise self.crashes.pop(0)
        return Advance(
            more=1,
            resume=number,
            total=self.foreseen,
            is_finished=number == self.numbers,
            problems=[JobProblem(number=number, reason="is even")] if number % 2 == 0 else [],
            file_expires_at=self.expires_at if number == self.numbers else None,
        )

    async def _tidy(self, tx: Tx, job_id: LongJobId) -> None:
        self.tidied.append(job_id)

    async def ask(self, org_id: OrgId, word: str = "number", key: str | None = None) -> LongJobView:
        async with self.shards.tx(org_id, ANA) as tx:
            asked = Request("counting", "numbers", {"word": word}, key)
            return (await longjobs.request(tx, RehearsalAdvanced, asked))[0]

    async def find(self, org_id: OrgId, job_id: LongJobId) -> LongJobView:
        async with self.shards.read(org_id) as tx:
            return (await longjobs.find(tx, job_id)).view

    async def newest_event(self, org_id: OrgId) -> RehearsalAdvanced:
        async with self.shards.read(org_id) as tx:
            payload = await tx.fetchval(
                "select payload::text from platform.event_log where org_id = $1"
                " and type = 'rehearsal_advanced' order by cursor desc limit 1",
                org_id,
            )
        return msgspec.json.decode(payload, type=RehearsalAdvanced)

    async def deliver(self, org_id: OrgId, event: RehearsalAdvanced, attempt: int = 1) -> None:
        envelope = Envelope(EventId(new_id()), org_id, 1, attempt, datetime.now(UTC))
        await self.jobs.worker().run(envelope, event)

    async def step(self, org_id: OrgId, attempt: int = 1) -> None:
        await self.deliver(org_id, await self.newest_event(org_id), attempt)

    async def said(self, org_id: OrgId) -> list[str]:
        async with self.shards.read(org_id) as tx:
            rows = await tx.fetch(
                "select payload->>'name' as name from platform.event_log where org_id = $1"
                " and type = 'organization_created' order by cursor",
                org_id,
            )
        return [row["name"] for row in rows]


@asynccontextmanager
async def working(shards: Shards, counting: Counting) -> AsyncIterator[None]:
    """Let a bus do the chunks."""
    binding = PostgresBinding()
    bus = Bus(GROUP, shards, [counting.jobs.worker()], binding)
    shards.on_commit.append(binding.committed)
    await binding.start()
    await bus.start()
    try:
        yield
    finally:
        await bus.stop()
        await binding.stop()
        shards.on_commit.remove(binding.committed)
        for shard in await shards.names():
            await (await shards.pool(shard)).execute("select platform.subscribe($1, '{}', '{}')", GROUP)
