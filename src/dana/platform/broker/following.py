"""A durable reader of the streams: each event is applied exactly once, in order within its organization.

Its place, and the newest cursor it has of each organization, are written in the transaction of its effects.
Cursors have no gaps: what a stream doesn't have any more, or has lost, is read from PostgreSQL's log.
"""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import aclosing

import structlog

from dana.contracts.ids import OrgId
from dana.platform.broker.connection import Connection
from dana.platform.broker.measures import GAPS
from dana.platform.broker.streams import StreamedEvent, read
from dana.platform.database import DRIVER_ERRORS, CatalogTx, outages_are_problems
from dana.platform.errors import Missing, Problem
from dana.platform.pools import connection_of, finished
from dana.platform.shards import Shards

AT_ONCE = 200  # events in one transaction
GATHER_SECONDS = 0.02  # how long a transaction waits for more of them
TRY_AGAIN_SECONDS = 0.5

Apply = Callable[[CatalogTx, list[StreamedEvent]], Awaitable[None]]
"""Does what is to be done about some events, on the catalog, in the transaction given."""

_PLACE = "select next_offset from platform.stream_offsets where reader = $1 and partition = $2"
_MAKE_PLACE = """
  insert into platform.stream_offsets (reader, partition, next_offset) values ($1, $2, 0)
      on conflict do nothing"""
_MOVE_ON = """
  update platform.stream_offsets set next_offset = $4, updated_at = now()
   where reader = $1 and partition = $2 and next_offset = $3"""
_KNOWN = "select org_id, cursor from platform.stream_cursors where reader = $1 and org_id = any ($2)"
_REMEMBER = """
  insert into platform.stream_cursors (reader, org_id, cursor)
  select $1, o, c from unnest($2::uuid[], $3::bigint[]) as u (o, c)
      on conflict (reader, org_id) do update set cursor = excluded.cursor"""
_MISSED = """
  select cursor, id, type, aggregate_id, created_at, payload::text from platform.event_log
   where org_id = $1 and cursor > $2 and cursor < $3 order by cursor"""

log = structlog.get_logger(__name__)


class OvertakenError(RuntimeError):
    """Another process reads under the same name, and was faster."""


async def follow(connection: Connection, shards: Shards, reader: str, partition: int, apply: Apply) -> None:
    """Apply the events of a partition, from its first on, until cancelled.

    Two processes may read under one name: what one has applied, the other leaves out.
    """
    following = _Following(connection, shards, reader, partition)
    while True:
        try:
            await following.go_on(apply)
        except OvertakenError:
            log.info("reader_overtaken", reader=reader, partition=partition)
        except (Problem, *DRIVER_ERRORS) as error:
            log.warning("reader_interrupted", reader=reader, partition=partition, error=str(error))
        await asyncio.sleep(TRY_AGAIN_SECONDS)


class _Following:
    def __init__(self, connection: Connection, shards: Shards, reader: str, partition: int) -> None:
        self._connection = connection
        self._shards = shards
        self._reader = reader
        self._partition = partition

    async def go_on(self, apply: Apply) -> None:
        """Apply from the place that is kept."""
        pool = await self._shards.catalog.pool()
        with outages_are_problems():
            await pool.execute(_MAKE_PLACE, self._reader, self._partition)
            place = int(await pool.fetchval(_PLACE, self._reader, self._partition))
        async with aclosing(_in_batches(read(self._connection, self._partition, place))) as batches:
            async for some in batches:
                events = [event for event in some if event.offset >= place]
                if events:
                    await self._apply(apply, place, events)
                    place = events[-1].offset + 1

    async def _apply(self, apply: Apply, place: int, events: list[StreamedEvent]) -> None:
        pool = await self._shards.catalog.pool()
        orgs = list({event.org_id for event in events})
        with outages_are_problems():
            rows = await pool.fetch(_KNOWN, self._reader, orgs)
        known = {OrgId(row["org_id"]): int(row["cursor"]) for row in rows}
        fresh: list[StreamedEvent] = []
        for event in events:
            newest = known.get(event.org_id)
            if newest is not None and event.cursor > newest + 1:
                fresh += await self._missed(event, newest)
            if newest is None or event.cursor > newest:
                fresh.append(event)
                known[event.org_id] = event.cursor
        async with connection_of(pool) as connection:
            with outages_are_problems():
                await connection.execute("BEGIN")
            async with finished(connection):
                tag = await connection.execute(
                    _MOVE_ON, self._reader, self._partition, place, events[-1].offset + 1
                )
                if tag == "UPDATE 0":
                    raise OvertakenError
                if fresh:
                    await connection.execute(_REMEMBER, self._reader, orgs, [known[org] for org in orgs])
                    await apply(CatalogTx(connection), fresh)

    async def _missed(self, event: StreamedEvent, newest: int) -> list[StreamedEvent]:
        """Read from the log what lies between; of an organization that has gone, nothing."""
        GAPS.labels(self._reader).inc()
        log.warning("stream_gap", reader=self._reader, organization=str(event.org_id), after=newest)
        try:
            async with self._shards.read(event.org_id) as tx:
                rows = await tx.fetch(_MISSED, event.org_id, newest, event.cursor)
        except Missing:
            return []
        return [
            StreamedEvent(
                partition=event.partition,
                offset=event.offset,
                id=row["id"],
                org_id=event.org_id,
                cursor=row["cursor"],
                type=row["type"],
                key=row["aggregate_id"],
                created_at=row["created_at"],
                shard=event.shard,
                payload=row["payload"].encode(),
            )
            for row in rows
        ]


async def _in_batches(events: AsyncIterator[StreamedEvent]) -> AsyncGenerator[list[StreamedEvent], None]:
    """Yield what has come, as much as there is at once."""
    arrived: asyncio.Queue[StreamedEvent] = asyncio.Queue(maxsize=AT_ONCE)

    async def gather() -> None:
        async for event in events:
            await arrived.put(event)

    gathering = asyncio.create_task(gather())
    try:
        while True:
            some = [await arrived.get()]
            await asyncio.sleep(GATHER_SECONDS)
            while len(some) < AT_ONCE and not arrived.empty():
                some.append(arrived.get_nowait())
            yield some
    finally:
        gathering.cancel()
        await asyncio.gather(gathering, return_exceptions=True)
