"""One delivery after its claim: decode, consume, finish; or postpone, with the reason."""

import asyncio
from datetime import timedelta

import msgspec
import structlog

from dana.contracts.events import EVENTS_BY_TYPE, Event
from dana.platform.bus import pace
from dana.platform.bus.nouns import Consumer, Delivery, Lane, Worker
from dana.platform.database import Tx
from dana.platform.errors import Problem
from dana.platform.identity import SYSTEM
from dana.platform.shards import Shards
from dana.platform.telemetry import DELIVERIES

ERROR_CHARACTERS = 2000  # of a reason; enough for any message, too little for a dump

log = structlog.get_logger(__name__)


class LeaseLostError(RuntimeError):
    """The lease ran out while the event was being consumed, and somebody else took it."""


class Consuming:
    """The consumers of one service, by type and lane."""

    def __init__(
        self, group: str, shards: Shards, consumers: dict[tuple[str, Lane], Consumer | Worker]
    ) -> None:
        self._group = group
        self._shards = shards
        self._consumers = consumers

    async def deliver(self, lane: Lane, delivery: Delivery) -> None:
        """Consume one event; never raises."""
        consumer = self._consumers.get((delivery.type, lane))
        outcome = "done"
        try:
            if consumer is None:
                await self._finish(lane, delivery)
                return
            event = msgspec.json.decode(delivery.payload, type=EVENTS_BY_TYPE[delivery.type])
            if isinstance(consumer, Worker):
                await self._work(lane, delivery, consumer, event)
            else:
                async with self._shards.tx(delivery.envelope.org_id, SYSTEM) as tx:
                    await consumer.run(tx, event)
                    await self._finish_in(tx, lane, delivery)
        except LeaseLostError:
            outcome = "lost"  # somebody else has it; our effects were rolled back
        except Exception as error:  # noqa: BLE001 - a failing consumer must not stop the others
            outcome = "failed"
            await self._postpone(lane, delivery, error)
        finally:
            DELIVERIES.labels(self._group, lane.value, outcome).inc()

    async def _work(self, lane: Lane, delivery: Delivery, worker: Worker, event: Event) -> None:
        running = asyncio.ensure_future(worker.run(delivery.envelope, event))
        try:
            while True:
                done, _ = await asyncio.wait([running], timeout=pace.LEASE_SECONDS / 3)
                if done:
                    break
                await self._renew(lane, delivery)
            await running
        finally:
            running.cancel()
        await self._finish(lane, delivery)

    async def _renew(self, lane: Lane, delivery: Delivery) -> None:
        async with self._shards.tx(delivery.envelope.org_id, SYSTEM) as tx:  # where it lives by now
            is_ours = await tx.fetchval(
                "select platform.renew($1, $2, $3, $4, $5, $6)",
                tx.org_id,
                delivery.envelope.cursor,
                self._group,
                lane.value,
                delivery.token,
                timedelta(seconds=pace.LEASE_SECONDS),
            )
        if not is_ours:
            raise LeaseLostError

    async def _finish(self, lane: Lane, delivery: Delivery) -> None:
        async with self._shards.tx(delivery.envelope.org_id, SYSTEM) as tx:
            await self._finish_in(tx, lane, delivery)

    async def _finish_in(self, tx: Tx, lane: Lane, delivery: Delivery) -> None:
        is_ours = await tx.fetchval(
            "select platform.finish($1, $2, $3, $4, $5)",
            tx.org_id,
            delivery.envelope.cursor,
            self._group,
            lane.value,
            delivery.token,
        )
        if not is_ours:
            raise LeaseLostError

    async def _postpone(self, lane: Lane, delivery: Delivery, error: Exception) -> None:
        attempt = delivery.envelope.attempt
        is_dead = attempt >= pace.MAX_ATTEMPTS
        log.log(
            40 if is_dead else 30,
            "delivery_failed",
            group=self._group,
            lane=lane,
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
                    lane.value,
                    delivery.token,
                    f"{type(error).__name__}: {error}"[:ERROR_CHARACTERS].replace("\0", ""),
                    timedelta(seconds=pace.pause_seconds(attempt)),
                    is_dead,
                )
        except Exception as later:  # noqa: BLE001 - the lease runs out by itself, and the event comes again
            log.warning("postpone_failed", error=repr(later))
