"""One lane of one service on one shard: claims what is due, as many at once as it has slots."""

import asyncio
import random
from collections.abc import Callable, Coroutine
from contextlib import suppress
from datetime import timedelta
from typing import Any
from uuid import uuid4

import structlog

from dana.platform.bus import pace
from dana.platform.bus.binding import Release
from dana.platform.bus.nouns import MOST_OF_ONE, SLOTS, Delivery, Envelope, Lane
from dana.platform.shards import Shards

log = structlog.get_logger(__name__)

_CLAIM = """
select c.*, case when c.org_id is null then platform.due_in($1, $2) end as due_in
  from (select) one left join platform.claim($1, $2, $3, $4, $5, $6) c on true"""

Deliver = Callable[[Lane, Delivery], Coroutine[Any, Any, None]]


class Queue:
    """Sleeps until it is woken, or the poll; then claims for its free slots, and delivers."""

    def __init__(
        self, shards: Shards, deliver: Deliver, *, shard: str, group: str, lane: Lane, types: frozenset[str]
    ) -> None:
        self.shard = shard
        self.group = group
        self.lane = lane
        self.types = types
        self.slots = SLOTS[lane]
        self.is_over = False
        """Whether its shard was removed, or its process stops."""
        self._shards = shards
        self._deliver = deliver
        self._woken = asyncio.Event()
        self._releases: list[Release] = []
        self._running: dict[asyncio.Task[None], Release | None] = {}
        self._is_failing = False

    def wake(self, release: Release | None = None) -> None:
        """Look at once; a token that comes while work without one is running belongs to that."""
        if release is not None:
            bare = next((task for task, held in self._running.items() if held is None), None)
            if bare is None:
                self._releases.append(release)
            else:
                self._running[bare] = release
        self._woken.set()

    def end(self) -> None:
        """Claim nothing more."""
        self.is_over = True
        self._woken.set()

    @property
    def running(self) -> list[asyncio.Task[None]]:
        """What is being delivered now."""
        return list(self._running)

    async def consume(self, poll_seconds: Callable[[], float]) -> None:
        """Claim and deliver until it is over."""
        while not self.is_over:
            self._woken.clear()
            releases, self._releases = self._releases, []
            free = self.slots - len(self._running)
            claimed, due_seconds = await self._claim(free) if free else ([], None)
            for delivery in claimed:
                task = asyncio.create_task(self._deliver(self.lane, delivery))
                self._running[task] = releases.pop() if releases else None
                task.add_done_callback(self._done)
            for release in releases:
                release()
            if not claimed:
                pause = poll_seconds() * random.uniform(0.8, 1.2)  # noqa: S311 - so that they don't all look at once
                with suppress(TimeoutError):
                    async with asyncio.timeout(min(pause, due_seconds or pause)):
                        await self._woken.wait()
        for release in self._releases:
            release()

    def _done(self, task: asyncio.Task[None]) -> None:
        release = self._running.pop(task)
        if release is not None:
            release()
        self._woken.set()

    async def _claim(self, at_most: int) -> tuple[list[Delivery], float | None]:
        """Return what was claimed; if that is nothing, also in how many seconds something is due."""
        token = uuid4()
        try:
            pool = await self._shards.pool(self.shard)
            rows = await pool.fetch(
                _CLAIM,
                self.group,
                self.lane.value,
                at_most,
                timedelta(seconds=pace.LEASE_SECONDS),
                token,
                MOST_OF_ONE[self.lane],
            )
        except Exception as error:  # noqa: BLE001 - whatever is wrong with the database, the next poll tries again
            self._note_failure(error)
            return [], None
        self._note_success()
        if rows[0]["org_id"] is None:
            due_in: timedelta | None = rows[0]["due_in"]
            return [], due_in.total_seconds() if due_in else None
        return [
            Delivery(
                envelope=Envelope(
                    row["id"], row["org_id"], row["cursor"], row["attempts"], row["created_at"]
                ),
                shard=self.shard,
                token=token,
                type=row["type"],
                payload=row["payload"],
            )
            for row in rows
        ], None

    def _note_failure(self, error: Exception) -> None:
        """Say it once; an outage is looked at twice a second, by each lane."""
        if not self._is_failing:
            log.warning("claim_failed", group=self.group, lane=self.lane, shard=self.shard, error=repr(error))
        self._is_failing = True

    def _note_success(self) -> None:
        if self._is_failing:
            log.warning("claim_works_again", group=self.group, lane=self.lane, shard=self.shard)
        self._is_failing = False
