"""Reading along: the events of a partition, or of all, from the first, the next, an offset or a time on.

Doubles are left out by (organization, cursor), so each event comes once, in order within its organization.
Who must not miss or repeat one even when it is killed, reads with `following.follow`.
"""

import asyncio
from collections.abc import AsyncGenerator, Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import structlog
from aio_pika.abc import AbstractChannel, AbstractIncomingMessage

from dana.contracts.ids import OrgId
from dana.platform.broker.connection import BROKER_ERRORS, Connection, answers_in_time
from dana.platform.broker.topology import PARTITIONS, declare_streams, stream_name
from dana.platform.errors import Problem, Unavailable

AHEAD = 500  # events on their way to a reader; a stream gives them in chunks of about a hundred
ACKNOWLEDGE_EVERY = 50
TRY_AGAIN_SECONDS = 0.5
REMEMBERED_ORGANIZATIONS = 100_000  # whose newest cursor a reader keeps, to know doubles

Start = int | datetime | str
"""An offset, a time, `first` or `next`."""

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class StreamedEvent:
    """An event as it stands in a stream."""

    partition: int
    offset: int
    id: UUID
    org_id: OrgId
    cursor: int
    type: str
    key: UUID | None
    created_at: datetime
    shard: str
    payload: bytes


class Newest:
    """The newest cursor seen of each organization; of those that were quiet longest, nothing is known."""

    def __init__(self, at_most: int = REMEMBERED_ORGANIZATIONS) -> None:
        self._cursors: dict[OrgId, int] = {}
        self._at_most = at_most

    def is_new(self, event: StreamedEvent) -> bool:
        """Tell whether this is not a double, and remember it."""
        known = self._cursors.pop(event.org_id, 0)
        self._cursors[event.org_id] = max(known, event.cursor)
        if len(self._cursors) > self._at_most:
            del self._cursors[next(iter(self._cursors))]
        return event.cursor > known


async def tail(
    connection: Connection, start: Start, partitions: Collection[int] = range(PARTITIONS)
) -> AsyncGenerator[StreamedEvent, None]:
    """Yield the events of some partitions as they come, without end; a lost broker costs time only."""
    events: asyncio.Queue[StreamedEvent] = asyncio.Queue(maxsize=AHEAD)
    newest = Newest()

    async def gather(partition: int) -> None:
        async for event in read(connection, partition, start):
            await events.put(event)

    tasks = [asyncio.create_task(gather(partition)) for partition in partitions]
    try:
        while True:
            event = await events.get()
            if newest.is_new(event):
                yield event
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def read(connection: Connection, partition: int, start: Start) -> AsyncGenerator[StreamedEvent, None]:
    """Yield one partition's events, doubles too, without end; goes on where it was after an outage."""
    position = start
    while True:
        reading = _Reading(connection, partition)
        try:
            await reading.begin(position)
            while (event := await reading.next()) is not None:
                position = event.offset + 1
                if not isinstance(start, datetime) or event.created_at >= start:
                    yield event
        except (Problem, *BROKER_ERRORS) as error:
            log.info("stream_away", partition=partition, error=str(error))
        finally:
            await reading.end()
        await asyncio.sleep(TRY_AGAIN_SECONDS)


class _Reading:
    """One consumer of a stream, which ends with its channel."""

    def __init__(self, connection: Connection, partition: int) -> None:
        self._connection = connection
        self._partition = partition
        self._arrived: asyncio.Queue[AbstractIncomingMessage | None] = asyncio.Queue()  # bounded by AHEAD
        self._channel: AbstractChannel | None = None
        self._taken = 0

    async def begin(self, start: Start) -> None:
        await declare_streams(self._connection)
        channel = self._channel = await self._connection.channel()
        async with answers_in_time():
            channel.close_callbacks.add(self._note_end)
            underlay: Any = await channel.get_underlay_channel()
            underlay.on_consumer_cancel_callbacks.add(self._note_end)
            await channel.set_qos(prefetch_count=AHEAD)
            queue = await channel.get_queue(stream_name(self._partition), ensure=False)
            await queue.consume(self._arrived.put, arguments={"x-stream-offset": start})

    async def next(self) -> StreamedEvent | None:
        message = await self._arrived.get()
        if message is None:
            return None
        self._taken += 1
        if self._taken % ACKNOWLEDGE_EVERY == 0:
            await message.ack(multiple=True)
        return _event(self._partition, message)

    async def end(self) -> None:
        if self._channel is not None and not self._channel.is_closed:
            try:
                async with answers_in_time():
                    await self._channel.close()
            except Unavailable as problem:
                log.debug("stream_not_closed", error=str(problem))

    def _note_end(self, *_: object) -> None:
        self._arrived.put_nowait(None)


def _event(partition: int, message: AbstractIncomingMessage) -> StreamedEvent:
    headers: dict[str, Any] = dict(message.headers)
    return StreamedEvent(
        partition=partition,
        offset=headers["x-stream-offset"],
        id=UUID(headers["id"]),
        org_id=OrgId(UUID(headers["org"])),
        cursor=headers["cursor"],
        type=headers["type"],
        key=UUID(headers["key"]) if headers["key"] else None,
        created_at=datetime.fromisoformat(headers["created_at"]),
        shard=headers["shard"],
        payload=message.body,
    )
