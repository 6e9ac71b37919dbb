"""Bring one client from its own cursor to the feed's, then let it in: nothing missed, nothing twice."""

from prometheus_client import Counter

from dana.platform.identity import Visitor
from dana.services.realtime import models
from dana.services.realtime.actions.feed import RESYNCS, Feed
from dana.services.realtime.actions.log import PAGE, EventLog
from dana.services.realtime.models import Client, LoggedEvent

MAX_REPLAYED = 2_000  # beyond, fetching the state anew is cheaper for everybody

REPLAYED = Counter("dana_realtime_replayed_total", "Events sent to clients that had been away.")


async def replay(feed: Feed, event_log: EventLog, client: Client, cursor: int) -> None:
    """Send what the client has missed since its cursor, and add it to the feed; raises Unavailable.

    The last look at the feed's cursor and the joining happen without a pause between them, so no event can
    fall between what was replayed and what is live.
    """
    if cursor > feed.cursor:
        await feed.catch_up()
    position = cursor
    while client.socket.is_open and position != feed.cursor:
        events = feed.recent_after(position) if position < feed.cursor else None
        goal = feed.cursor
        if events is None and _is_worth_it(client, cursor, feed):
            events, goal = await _read(feed, event_log, client, position)
        if events is None:
            RESYNCS.inc()
            client.socket.send(models.resync(feed.cursor, feed.position))
            break
        _send(client, events)
        position = goal
        if goal != feed.cursor or len(events) == PAGE:
            await client.socket.drained()
    if client.socket.is_open:
        client.socket.send(models.heartbeat(feed.cursor))
        feed.add(client)


def _is_worth_it(client: Client, cursor: int, feed: Feed) -> bool:
    # A visitor's own conversation has few events, however many the organization has.
    return cursor < feed.cursor and (isinstance(client.who, Visitor) or feed.cursor - cursor <= MAX_REPLAYED)


async def _read(
    feed: Feed, event_log: EventLog, client: Client, position: int
) -> tuple[list[LoggedEvent] | None, int]:
    """Read the next page, and up to which cursor it goes; None when the log doesn't reach back so far."""
    goal = feed.cursor
    if isinstance(client.who, Visitor):
        events = await event_log.page_about(feed.org_id, client.who.conversation_id, position, goal)
        if events is None:
            return None, position
        return events, events[-1].cursor if len(events) == PAGE else goal
    events = await event_log.page(feed.org_id, position, goal)
    if not events or events[0].cursor != position + 1:
        return None, position
    return events, events[-1].cursor


def _send(client: Client, events: list[LoggedEvent]) -> None:
    if isinstance(client.who, Visitor):
        mine = [event.for_visitor for event in events if event.key == client.who.conversation_id]
    else:
        mine = [event.for_members for event in events]
    frames = [frame for frame in mine if frame is not None]
    for frame in frames:
        client.socket.send(frame)
    REPLAYED.inc(len(frames))
