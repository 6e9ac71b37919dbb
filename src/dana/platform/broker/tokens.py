"""Tokens: job messages that wake a lane, each acknowledged when the work that it set off has ended.

One queue for each lane of each consuming service; a token names the shard on which something is due. Tokens
may be lost, doubled or come in any order: what is due, and whose turn it is, PostgreSQL says.
"""

import asyncio
from collections import deque
from contextlib import suppress
from functools import partial
from typing import Any, cast

import structlog
from aio_pika.abc import AbstractChannel
from aiormq.abc import DeliveredMessage

from dana.platform.broker.connection import BROKER_ERRORS, Connection, answers_in_time
from dana.platform.broker.measures import TOKENS
from dana.platform.broker.topology import declare_jobs, jobs_name
from dana.platform.bus import Listener
from dana.platform.errors import Problem

log = structlog.get_logger(__name__)


class Tokens:
    """The tokens of one lane of one service in this process, for all its shards."""

    def __init__(self, connection: Connection, group: str, lane: str) -> None:
        self._connection = connection
        self._group = group
        self._lane = lane
        self._listeners: dict[str, deque[Listener]] = {}
        self._channel: AbstractChannel | None = None
        self._is_stale = False
        self._acknowledging: asyncio.Task[None] | None = None

    @property
    def is_flowing(self) -> bool:
        """Whether this lane hears of what is due by tokens."""
        is_open = self._channel is not None and not self._channel.is_closed
        is_acknowledging = self._acknowledging is not None and not self._acknowledging.done()
        return is_open and is_acknowledging and not self._is_stale

    @property
    def name(self) -> str:
        """Name the queue."""
        return jobs_name(self._group, self._lane)

    @property
    def listeners(self) -> list[Listener]:
        """The lanes on all shards."""
        return [listener for its in self._listeners.values() for listener in its]

    def add(self, listener: Listener) -> None:
        """Wake this lane for tokens of its shard."""
        self._listeners.setdefault(listener.shard, deque()).append(listener)
        self._is_stale = True  # more slots: only a new consumer gets more tokens

    def remove(self, listener: Listener) -> None:
        """Wake it no more."""
        its = self._listeners.get(listener.shard, deque())
        if listener in its:
            its.remove(listener)

    async def flow(self) -> None:
        """Take tokens from now on, as many at once as there are slots; raises Unavailable."""
        await self.end()
        self._is_stale = False
        types = {event_type for listener in self.listeners for event_type in listener.types}
        await declare_jobs(self._connection, self._group, self._lane, types)
        channel = await self._connection.channel()
        ended: asyncio.Queue[int] = asyncio.Queue()
        async with answers_in_time():
            underlay: Any = await channel.get_underlay_channel()
            underlay.on_consumer_cancel_callbacks.add(self._note_cancel)  # its queue was deleted
            await channel.set_qos(prefetch_count=sum(listener.slots for listener in self.listeners))
            # The client's own objects around a message cost more than all the rest that a token takes.
            await underlay.basic_consume(self.name, partial(self._take, ended))
        self._channel = channel
        self._acknowledging = asyncio.create_task(_acknowledge(underlay, ended))

    async def end(self) -> None:
        """Take none any more; those held go back to the broker, and to others."""
        channel, self._channel = self._channel, None
        if self._acknowledging is not None:
            self._acknowledging.cancel()
            await asyncio.gather(self._acknowledging, return_exceptions=True)
        if channel is not None and not channel.is_closed:
            with suppress(Problem):
                async with answers_in_time():
                    await channel.close()

    def _note_cancel(self, *_: object) -> None:
        self._is_stale = True

    async def _take(self, ended: "asyncio.Queue[int]", message: DeliveredMessage) -> None:
        tag = cast("int", message.delivery_tag)
        headers: Any = message.header.properties.headers or {}
        its = self._listeners.get(str(headers.get("shard")))
        if not its:
            ended.put_nowait(tag)
            return
        its.rotate()  # those of one process take turns
        held = TOKENS.labels(self._group, self._lane)
        held.inc()
        is_released = False

        def release() -> None:
            nonlocal is_released
            if not is_released:
                is_released = True
                held.dec()
                ended.put_nowait(tag)

        its[0].wake(release)


async def _acknowledge(channel: Any, ended: "asyncio.Queue[int]") -> None:
    """Acknowledge one after the other; when the channel is gone, the broker gives the tokens to others."""
    with suppress(*BROKER_ERRORS):
        while True:
            await channel.basic_ack(await ended.get(), wait=False)
