"""The consuming side of one service in this process: its lanes on every shard, also on shards added later."""

import asyncio
from datetime import timedelta

import structlog

from dana.contracts.events import event_type
from dana.platform.bus import pace
from dana.platform.bus.binding import Binding
from dana.platform.bus.consuming import Consuming
from dana.platform.bus.nouns import Consumer, Lane, Worker
from dana.platform.bus.queue import Queue
from dana.platform.database import outages_are_problems
from dana.platform.errors import Problem
from dana.platform.pools import connection_of
from dana.platform.shards import Shards

log = structlog.get_logger(__name__)


class Bus:
    """Subscribes on every shard, and consumes until it is stopped."""

    def __init__(
        self, service: str, shards: Shards, consumers: list[Consumer | Worker], binding: Binding
    ) -> None:
        self._group = service
        self._shards = shards
        self._binding = binding
        self._by_type = {(event_type(c.event), c.lane): c for c in consumers}
        self._consuming = Consuming(service, shards, self._by_type)
        self._queues: dict[Queue, asyncio.Task[None]] = {}
        self._watch: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Subscribe on every shard that can be reached, then consume until `stop`."""
        if self._by_type:
            await self._take_up_shards()
            self._watch = asyncio.create_task(self._watch_shards())

    async def stop(self) -> None:
        """Claim nothing more, let what runs end, and give back what doesn't end in time."""
        if self._watch:
            self._watch.cancel()
            await asyncio.gather(self._watch, return_exceptions=True)
        for queue in self._queues:
            await self._binding.close(queue)
            queue.end()
        drain = asyncio.create_task(self._drain())
        await asyncio.wait([drain], timeout=pace.DRAIN_SECONDS)
        late = [drain, *self._queues.values(), *self._running()]
        for task in late:
            task.cancel()
        await asyncio.gather(*late, return_exceptions=True)

    async def _drain(self) -> None:
        await asyncio.gather(*self._queues.values(), return_exceptions=True)
        if running := self._running():
            await asyncio.wait(running)

    def _running(self) -> list[asyncio.Task[None]]:
        return [task for queue in self._queues for task in queue.running]

    async def _watch_shards(self) -> None:
        while True:
            await asyncio.sleep(pace.NEW_SHARDS_SECONDS)
            try:
                await self._take_up_shards()
            except Problem as problem:
                log.warning("shards_unknown", group=self._group, error=str(problem))

    async def _take_up_shards(self) -> None:
        """Subscribe on the shards that aren't consumed yet; one that is down is tried again later."""
        names = await self._shards.names()
        for queue, loop in list(self._queues.items()):
            if queue.shard not in names:
                await self._binding.close(queue)
                queue.end()
            if loop.done() and not queue.running:
                del self._queues[queue]
        consumed = {queue.shard for queue in self._queues if not queue.is_over}
        for shard in names:
            if shard in consumed:
                continue
            try:
                await self._subscribe(shard)
            except Problem as problem:
                log.warning("shard_not_consumed", group=self._group, shard=shard, error=str(problem))
                continue
            for lane in sorted({lane for _, lane in self._by_type}):
                await self._open(shard, lane)

    async def _subscribe(self, shard: str) -> None:
        types, lanes = zip(*self._by_type, strict=True)
        async with connection_of(await self._shards.pool(shard)) as connection:
            with outages_are_problems():
                await connection.execute(
                    "select platform.subscribe($1, $2, $3, $4)",
                    self._group,
                    list(types),
                    [str(lane) for lane in lanes],
                    [timedelta(seconds=consumer.delay_seconds) for consumer in self._by_type.values()],
                )

    async def _open(self, shard: str, lane: Lane) -> None:
        types = frozenset(kind for kind, its in self._by_type if its is lane)
        deliver = self._consuming.deliver
        queue = Queue(self._shards, deliver, shard=shard, group=self._group, lane=lane, types=types)
        await self._binding.open(queue)
        self._queues[queue] = asyncio.create_task(queue.consume(lambda: self._binding.poll_seconds))
