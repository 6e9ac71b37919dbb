"""Bring one client from its own cursor to the feed's, then let it in: nothing missed, nothing twice."""

import msgspec
import structlog
from prometheus_client import Counter

from dana.platform.identity import Visitor
from dana.services.realtime import models
from dana.services.realtime.actions.backlog import Backlog
from dana.services.realtime.actions.feed import RESYNCS, Feed
from dana.services.realtime.actions.log import PAGE, EventLog
from dana.services.realtime.models import ChangedMember, Client, LoggedEvent, frame_for

log = structlog.get_logger(__name__)

MAX_REPLAYED = 2_000  # beyond, fetching the state anew is cheaper for everybody

REPLAYED = Counter("dana_realtime_replayed_total", "Events sent to clients that had been away.")


class Replay:
    """One client's way from its cursor to the feed's."""

    def __init__(self, feed: Feed, event_log: EventLog, backlog: Backlog, client: Client) -> None:
        self._feed = feed
        self._log = event_log
        self._backlog = backlog
        self._client = client
        self._changed: ChangedMember | None = None

    async def run(self, cursor: int) -> None:
        """Send what the client has missed since its cursor, and add it to the feed; raises Unavailable.

        The last look at the feed's cursor and the joining happen without a pause between them, so no event
        can fall between what was replayed and what is live.
        """
        feed, socket = self._feed, self._client.socket
        if cursor > feed.cursor:
            await feed.catch_up()
        position = cursor
        while socket.is_open and position != feed.cursor:
            events, goal = await self._recall(position)
            if events is None and self._is_worth_it(cursor):
                events, goal = await self._read(position)
            if events is None or not self._send(events):
                RESYNCS.inc()
                socket.send(models.resync(feed.cursor, feed.position))
                break
            position = goal
            if goal != feed.cursor or len(events) == PAGE:
                await socket.drained()
        if socket.is_open:
            socket.send(models.heartbeat(feed.cursor))
            feed.add(self._client)
            if self._changed is not None:
                feed.apply(self._client, self._changed)

    async def _recall(self, position: int) -> tuple[list[LoggedEvent] | None, int]:
        feed = self._feed
        events = await feed.memory.recall(position) if position < feed.cursor else None
        return events, feed.cursor

    def _is_worth_it(self, cursor: int) -> bool:
        # A visitor's own conversation has few events, however many the organization has.
        missing = self._feed.cursor - cursor
        return missing > 0 and (isinstance(self._client.who, Visitor) or missing <= MAX_REPLAYED)

    async def _read(self, position: int) -> tuple[list[LoggedEvent] | None, int]:
        """Read the next page, and up to which cursor it goes; None when the log doesn't reach back so far."""
        feed, who = self._feed, self._client.who
        goal = feed.cursor
        if isinstance(who, Visitor):
            events = await self._log.page_about(feed.org_id, who.conversation_id, position, goal)
            if events is None:
                return None, position
            return events, events[-1].cursor if len(events) == PAGE else goal
        events = await self._log.page(feed.org_id, position, goal)
        if not events or events[0].cursor != position + 1:
            return None, position
        return events, events[-1].cursor

    def _send(self, events: list[LoggedEvent]) -> bool:
        """Send a page; returns whether all of it could be read."""
        try:
            self._send_all(events)
        except msgspec.ValidationError:
            log.exception("event_unreadable", organization_id=str(self._feed.org_id))
            return False
        return True

    def _send_all(self, events: list[LoggedEvent]) -> None:
        client, frames, sent_bytes = self._client, 0, 0
        for event in events:
            if (frame := frame_for(client, event)) is not None:
                client.socket.send(frame)
                client.sent += 1
                client.last_sent = event.cursor
                frames += 1
                sent_bytes += len(frame)
            if (changed := event.changed_member()) is not None:
                self._feed.note(event.cursor, changed)
                if changed.user_id == client.person:
                    self._changed = changed  # only the last says how it is now
        self._backlog.add(frames, sent_bytes)
        REPLAYED.inc(len(events))
