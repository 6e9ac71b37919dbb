"""The newest events of one organization in this node's memory: replays of whoever was away briefly.

A node that comes to an organization fills it once, from what Valkey remembers, else from the log, so that a
thousand clients who lost their node don't ask the database a thousand times.
"""

import asyncio
from collections import deque

import structlog
from prometheus_client import Counter

from dana.contracts.ids import OrgId
from dana.platform.errors import Unavailable
from dana.platform.fanout import Fanout
from dana.services.realtime import models
from dana.services.realtime.actions.log import PAGE, EventLog, Newest
from dana.services.realtime.models import LoggedEvent

log = structlog.get_logger(__name__)

MAX_RECENT = 256
MAX_RECENT_BYTES = 512 * 1024

REMEMBERED = Counter("dana_realtime_history_events_total", "Events taken from Valkey's history, not the log.")


class Memory:
    """Some events up to the feed's cursor, without a gap."""

    def __init__(self, org_id: OrgId, event_log: EventLog, fanout: Fanout) -> None:
        self._org_id = org_id
        self._log = event_log
        self._fanout = fanout
        self._events: deque[LoggedEvent] = deque()
        self._bytes = 0
        self._cursor = 0
        self._filling: asyncio.Task[None] | None = None

    def start_at(self, cursor: int) -> None:
        """Forget everything; the next event is the one after this cursor."""
        self._events.clear()
        self._bytes = 0
        self._cursor = cursor
        self._filling = None

    def add(self, event: LoggedEvent) -> None:
        """Keep the next event, and forget old ones for it."""
        self._cursor = event.cursor
        self._events.append(event)
        self._bytes += event.size_bytes
        while len(self._events) > MAX_RECENT or self._bytes > MAX_RECENT_BYTES:
            self._bytes -= self._events.popleft().size_bytes

    def after(self, cursor: int) -> list[LoggedEvent] | None:
        """Return all events after a cursor; None when they reach back less far."""
        missing = self._cursor - cursor
        if missing > len(self._events):
            return None
        return list(self._events)[len(self._events) - missing :]

    async def recall(self, cursor: int) -> list[LoggedEvent] | None:
        """Return all events after a cursor; memory is filled first if that may help."""
        events = self.after(cursor)
        if events is not None or self._cursor - cursor > MAX_RECENT:
            return events
        if self._filling is None:
            self._filling = asyncio.create_task(self._fill())
        await asyncio.shield(self._filling)
        return self.after(cursor)

    async def history(self, newest: Newest, after: int) -> list[LoggedEvent]:
        """Return what Valkey remembers of the events after a cursor, up to the log's newest."""
        if newest.id is None or newest.cursor <= after:
            return []
        remembered = await self._fanout.history(self._org_id, after)
        events = models.believed(remembered, newest.cursor, str(newest.id))
        REMEMBERED.inc(len(events))
        return events

    def close(self) -> None:
        """Fill it no longer."""
        if self._filling is not None:
            self._filling.cancel()

    async def _fill(self) -> None:
        oldest = self._oldest
        try:
            found = await self.history(await self._log.newest(self._org_id), oldest - 1 - MAX_RECENT)
            if not found or found[0].cursor >= oldest:
                found = await self._log.page(self._org_id, max(0, oldest - 1 - PAGE), oldest - 1)
        except Unavailable as problem:
            log.warning("memory_not_filled", organization_id=str(self._org_id), error=repr(problem))
            return
        oldest = self._oldest  # which may have moved on meanwhile
        for event in reversed(found):
            if event.cursor == oldest - 1 and self._has_room_for(event):
                self._events.appendleft(event)
                self._bytes += event.size_bytes
                oldest = event.cursor

    @property
    def _oldest(self) -> int:
        return self._events[0].cursor if self._events else self._cursor + 1

    def _has_room_for(self, event: LoggedEvent) -> bool:
        return len(self._events) < MAX_RECENT and self._bytes + event.size_bytes <= MAX_RECENT_BYTES
