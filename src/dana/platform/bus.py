"""The bus: brings each committed event to whoever consumes it, at least once, in order per key.

What is due stands in `platform.deliveries`, written by the same transaction as the event. A commit in this
process wakes its consumers at once; a poll finds what came from elsewhere or was left by a crash.

    emit ──commit──► deliveries ──claim (lease)──► Consumer: effects and `finish` in one transaction
                          ▲                   └──► Worker:   long work outside, lease renewed, then `finish`
                          └── postpone (backoff, then dead) ── failed
"""

import asyncio
import random
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any
from uuid import UUID, uuid4

import msgspec
import structlog

from dana.contracts.events import EVENTS_BY_TYPE, Event, event_type
from dana.contracts.ids import EventId, OrgId
from dana.platform.database import Tx, outages_are_problems
from dana.platform.errors import Problem
from dana.platform.identity import SYSTEM
from dana.platform.outbox import Outbox
from dana.platform.pools import connection_of
from dana.platform.shards import Shards
from dana.platform.telemetry import DELIVERIES

LEASE_SECONDS = 12.0  # a killed worker's delivery is taken up again after this long
POLL_SECONDS = 0.5  # the safety net; a commit in this process needs no poll
NEW_SHARDS_SECONDS = 5.0  # a shard that was added, or was away at the start, is consumed after this long
MAX_ATTEMPTS = 8
FIRST_PAUSE_SECONDS = 0.5
LONGEST_PAUSE_SECONDS = 300.0
DRAIN_SECONDS = 8.0

log = structlog.get_logger(__name__)


class Lane(StrEnum):
    """Priority classes; each has its own pool, so that none waits behind another."""

    LIVE = "live"
    SEND = "send"
    AI = "ai"
    ANALYTICS = "analytics"
    BULK = "bulk"


# An answer mostly waits for a model server, so many may wait at once.
SLOTS = {Lane.LIVE: 8, Lane.SEND: 8, Lane.AI: 48, Lane.ANALYTICS: 2, Lane.BULK: 2}


@dataclass(frozen=True, slots=True)
class Envelope:
    """What stands around an event."""

    id: EventId
    org_id: OrgId
    cursor: int
    attempt: int
    created_at: datetime


@dataclass(frozen=True, slots=True)
class Consumer:
    """Runs in a transaction that also finishes the delivery: its effects happen exactly once."""

    event: type[Event]
    run: Callable[[Tx, Any], Awaitable[None]]
    lane: Lane = Lane.LIVE


@dataclass(frozen=True, slots=True)
class Worker:
    """Runs outside any transaction, may take long, and must bear being run twice."""

    event: type[Event]
    run: Callable[[Envelope, Any], Awaitable[None]]
    lane: Lane


@dataclass(frozen=True, slots=True)
class Delivery:
    """One claimed event."""

    envelope: Envelope
    shard: str
    token: UUID
    type: str
    payload: str


@dataclass(slots=True)
class _Queue:
    """One lane of one service on one shard."""

    shard: str
    lane: Lane
    wake: asyncio.Event = field(default_factory=asyncio.Event)
    running: set[asyncio.Task[None]] = field(default_factory=set)
    is_over: bool = False
    """Whether its shard was removed."""


class Bus:
    """The consuming side of one service in this process."""

    def __init__(self, service: str, shards: Shards, consumers: list[Consumer | Worker]) -> None:
        self._group = service
        self._shards = shards
        self._by_type = {(event_type(c.event), c.lane): c for c in consumers}
        self._lanes = {c.lane for c in consumers}
        self._queues: list[_Queue] = []
        self._loops: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        """Subscribe on every shard that can be reached, then consume until `stop`."""
        if self._by_type:
            await self._take_up_shards()
            self._loops.append(asyncio.create_task(self._watch_shards()))

    async def stop(self) -> None:
        """Claim nothing more, let what runs end, and give back what doesn't end in time."""
        for loop in self._loops:
            loop.cancel()
        running = [task for queue in self._queues for task in queue.running]
        if running:
            _, late = await asyncio.wait(running, timeout=DRAIN_SECONDS)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)
        await asyncio.gather(*self._loops, return_exceptions=True)

    def committed(self, org_id: OrgId, first_cursor: int, outbox: Outbox) -> None:
        """Wake the lanes that consume one of these events; called after each commit in this process."""
        types = {event.type for event in outbox.events}
        lanes = {lane for kind, lane in self._by_type if kind in types}
        for queue in self._queues:
            if queue.lane in lanes:
                queue.wake.set()

    async def _watch_shards(self) -> None:
        while True:
            await asyncio.sleep(NEW_SHARDS_SECONDS)
            try:
                await self._take_up_shards()
            except Problem as problem:
                log.warning("shards_unknown", group=self._group, error=str(problem))

    async def _take_up_shards(self) -> None:
        """Subscribe on the shards that aren't consumed yet; one that is down is tried again later."""
        types, lanes = zip(*self._by_type, strict=True)
        names = await self._shards.names()
        for queue in self._queues:
            queue.is_over = queue.shard not in names
        self._queues = [queue for queue in self._queues if not queue.is_over]
        consumed = {queue.shard for queue in self._queues}
        for shard in names:
            if shard in consumed:
                continue
            try:
                async with connection_of(await self._shards.pool(shard)) as connection:
                    with outages_are_problems():
                        await connection.execute(
                            "select platform.subscribe($1, $2, $3)",
                            self._group,
                            list(types),
                            [str(lane) for lane in lanes],
                        )
            except Problem as problem:
                log.warning("shard_not_consumed", group=self._group, shard=shard, error=str(problem))
                continue
            queues = [_Queue(shard, lane) for lane in sorted(self._lanes)]
            self._queues += queues
            self._loops += [asyncio.create_task(self._consume(queue)) for queue in queues]

    async def _consume(self, queue: _Queue) -> None:
        while not queue.is_over:
            queue.wake.clear()
            free = SLOTS[queue.lane] - len(queue.running)
            claimed = await self._claim(queue, free) if free else []
            for delivery in claimed:
                task = asyncio.create_task(self._deliver(queue, delivery))
                queue.running.add(task)
                task.add_done_callback(lambda done: self._done(queue, done))
            if not claimed:
                with suppress(TimeoutError):
                    await asyncio.wait_for(queue.wake.wait(), POLL_SECONDS * random.uniform(0.8, 1.2))  # noqa: S311

    def _done(self, queue: _Queue, task: asyncio.Task[None]) -> None:
        queue.running.discard(task)
        queue.wake.set()

    async def _claim(self, queue: _Queue, at_most: int) -> list[Delivery]:
        token = uuid4()
        try:
            pool = await self._shards.pool(queue.shard)
            rows = await pool.fetch(
                "select * from platform.claim($1, $2, $3, $4, $5)",
                self._group,
                queue.lane.value,
                at_most,
                timedelta(seconds=LEASE_SECONDS),
                token,
            )
        except Exception as error:  # noqa: BLE001 - whatever is wrong with the database, the next poll tries again
            log.warning("claim_failed", group=self._group, lane=queue.lane, error=repr(error))
            return []
        return [
            Delivery(
                envelope=Envelope(
                    row["id"], row["org_id"], row["cursor"], row["attempts"], row["created_at"]
                ),
                shard=queue.shard,
                token=token,
                type=row["type"],
                payload=row["payload"],
            )
            for row in rows
        ]

    async def _deliver(self, queue: _Queue, delivery: Delivery) -> None:
        consumer = self._by_type.get((delivery.type, queue.lane))
        outcome = "done"
        try:
            if consumer is None:
                await self._finish(queue, delivery)
                return
            event = msgspec.json.decode(delivery.payload, type=EVENTS_BY_TYPE[delivery.type])
            if isinstance(consumer, Worker):
                await self._work(queue, delivery, consumer, event)
            else:
                async with self._shards.tx(delivery.envelope.org_id, SYSTEM) as tx:
                    await consumer.run(tx, event)
                    await _finish_in(tx, self._group, queue.lane, delivery)
        except LeaseLostError:
            outcome = "lost"  # somebody else has it; our effects were rolled back
        except Exception as error:  # noqa: BLE001 - a failing consumer must not stop the others
            outcome = "failed"
            await self._postpone(queue, delivery, error)
        finally:
            DELIVERIES.labels(self._group, queue.lane.value, outcome).inc()

    async def _work(self, queue: _Queue, delivery: Delivery, worker: Worker, event: Event) -> None:
        running = asyncio.ensure_future(worker.run(delivery.envelope, event))
        try:
            while True:
                done, _ = await asyncio.wait([running], timeout=LEASE_SECONDS / 3)
                if done:
                    break
                await self._renew(queue, delivery)
            await running
        finally:
            running.cancel()
        await self._finish(queue, delivery)

    async def _renew(self, queue: _Queue, delivery: Delivery) -> None:
        async with self._shards.tx(delivery.envelope.org_id, SYSTEM) as tx:  # where it lives by now
            is_ours = await tx.fetchval(
                "select platform.renew($1, $2, $3, $4, $5, $6)",
                tx.org_id,
                delivery.envelope.cursor,
                self._group,
                queue.lane.value,
                delivery.token,
                timedelta(seconds=LEASE_SECONDS),
            )
        if not is_ours:
            raise LeaseLostError

    async def _finish(self, queue: _Queue, delivery: Delivery) -> None:
        async with self._shards.tx(delivery.envelope.org_id, SYSTEM) as tx:
            await _finish_in(tx, self._group, queue.lane, delivery)

    async def _postpone(self, queue: _Queue, delivery: Delivery, error: Exception) -> None:
        attempt = delivery.envelope.attempt
        is_dead = attempt >= MAX_ATTEMPTS
        log.log(
            40 if is_dead else 30,
            "delivery_failed",
            group=self._group,
            lane=queue.lane,
            type=delivery.type,
            organization=str(delivery.envelope.org_id),
            cursor=delivery.envelope.cursor,
            attempt=attempt,
            is_dead=is_dead,
            exc_info=None if isinstance(error, Problem) else error,
            error=str(error),
        )
        try:
            async with self._shards.tx(delivery.envelope.org_id, SYSTEM) as tx:
                await tx.execute(
                    "select platform.postpone($1, $2, $3, $4, $5, $6, $7, $8)",
                    tx.org_id,
                    delivery.envelope.cursor,
                    self._group,
                    queue.lane.value,
                    delivery.token,
                    f"{type(error).__name__}: {error}"[:2000].replace("\0", ""),
                    timedelta(seconds=pause_seconds(attempt)),
                    is_dead,
                )
        except Exception as later:  # noqa: BLE001 - the lease runs out by itself, and the event comes again
            log.warning("postpone_failed", error=repr(later))


class LeaseLostError(RuntimeError):
    """The lease ran out while the event was being consumed, and somebody else took it."""


def pause_seconds(attempt: int) -> float:
    """Pause before the next attempt: doubling, with full jitter, capped."""
    longest = min(LONGEST_PAUSE_SECONDS, FIRST_PAUSE_SECONDS * 2**attempt)
    return random.uniform(longest / 2, longest)  # noqa: S311 - jitter is no secret


async def _finish_in(tx: Tx, group: str, lane: Lane, delivery: Delivery) -> None:
    is_ours = await tx.fetchval(
        "select platform.finish($1, $2, $3, $4, $5)",
        tx.org_id,
        delivery.envelope.cursor,
        group,
        lane.value,
        delivery.token,
    )
    if not is_ours:
        raise LeaseLostError
