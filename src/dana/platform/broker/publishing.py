"""Publishing with confirms: a batch is in the broker, whole and in order, or it is sent again, whole."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import aiormq
from aio_pika.abc import AbstractChannel
from aio_pika.exceptions import PublishError

from dana.contracts.ids import EventId, OrgId
from dana.platform.broker.connection import Connection, answers_in_time
from dana.platform.broker.measures import REFUSED, UNCONFIRMED
from dana.platform.broker.topology import EXCHANGE, declare_streams, partition_of
from dana.platform.errors import Unavailable

PERSISTENT = 2
CONFIRM_SECONDS = 15.0  # the election of a stream's leader may take eleven; a blocked connection, for ever


@dataclass(frozen=True, slots=True)
class Outgoing:
    """An event as it stands in the log of its shard."""

    org_id: OrgId
    cursor: int
    id: EventId
    type: str
    key: str
    payload: str
    created_at: datetime
    shard: str

    def routing_key(self) -> str:
        """Say by partition and type who gets it."""
        return f"{partition_of(self.org_id)}.{self.type}"

    def properties(self) -> aiormq.spec.Basic.Properties:
        """Return what stands around its payload in the streams."""
        return aiormq.spec.Basic.Properties(
            headers={
                "id": str(self.id),
                "org": str(self.org_id),
                "cursor": self.cursor,
                "type": self.type,
                "key": self.key,
                "created_at": self.created_at.isoformat(),
                "shard": self.shard,
            },
            content_type="application/json",
            delivery_mode=PERSISTENT,
            message_id=f"{self.org_id}/{self.cursor}",
            app_id="dana",
        )


class Publisher:
    """Sends batches over one channel of a connection of its own; callers take turns."""

    def __init__(self, url: str) -> None:
        self._connection = Connection(url, "publishing")
        self._connection.on_change.append(self._begin_anew)
        self._channel: AbstractChannel | None = None
        self._turn = asyncio.Lock()

    @property
    def is_connected(self) -> bool:
        """Whether it is worth trying."""
        return self._connection.is_connected

    async def start(self) -> None:
        """Connect and stay connected."""
        await self._connection.start()

    async def stop(self) -> None:
        """Disconnect."""
        await self._connection.stop()

    async def publish(self, batch: Sequence[Outgoing]) -> None:
        """Return when the broker has all of it; raises Unavailable when that isn't certain.

        Then a part of it may be there, always from the first on: sent again whole, only doubles come of it.
        """
        async with self._turn:
            channel = self._channel
            if channel is None:
                await declare_streams(self._connection)
                channel = self._channel = await self._connection.channel(returns=True)
            UNCONFIRMED.set(len(batch))
            try:
                await self._send(channel, batch)
            except BaseException:
                self._channel = None
                raise
            finally:
                UNCONFIRMED.set(0)

    async def _send(self, channel: AbstractChannel, batch: Sequence[Outgoing]) -> None:
        async with answers_in_time():
            underlay = await channel.get_underlay_channel()
        # Each waits for its confirmation, but all are written in this order: the channel's lock is fair.
        sending = [
            asyncio.create_task(
                underlay.basic_publish(
                    outgoing.payload.encode(),
                    exchange=EXCHANGE,
                    routing_key=outgoing.routing_key(),
                    properties=outgoing.properties(),
                    mandatory=True,
                )
            )
            for outgoing in batch
        ]
        try:
            _, late = await asyncio.wait(
                sending, timeout=CONFIRM_SECONDS, return_when=asyncio.FIRST_EXCEPTION
            )
        finally:
            for task in sending:
                task.cancel()
            outcomes = await asyncio.gather(*sending, return_exceptions=True)
        if all(isinstance(outcome, aiormq.spec.Basic.Ack) for outcome in outcomes):
            return
        failures = [outcome for outcome in outcomes if isinstance(outcome, Exception)]
        await self._refused(failures, is_late=bool(late) and not failures)

    async def _refused(self, failures: list[Exception], *, is_late: bool) -> None:
        if is_late:
            REFUSED.labels("unconfirmed").inc()
            await self._connection.renew()  # what waits in the old one must not pile up
            raise Unavailable("RabbitMQ didn't confirm in time: it is short of memory, or a node is down.")
        if any(isinstance(failure, PublishError) for failure in failures):
            REFUSED.labels("unroutable").inc()
            raise Unavailable("A stream is missing in RabbitMQ; it is made anew.") from failures[0]
        REFUSED.labels("lost").inc()
        raise Unavailable("RabbitMQ was lost while it took events.") from next(iter(failures), None)

    def _begin_anew(self, is_connected: bool) -> None:
        self._channel = None
