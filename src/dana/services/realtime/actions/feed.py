"""One organization's events on this node, in order, without a gap and without a double.

The fan-out is fast and may lose or swap messages; the log is slower and complete. So: the next cursor is
delivered at once, an older one ignored, a later one held back for a moment and then read from the log.
"""

import asyncio
from collections import deque
from uuid import UUID

import structlog
from prometheus_client import Counter

from dana.contracts.ids import OrgId
from dana.platform.fanout import Events, Fanout, Fleeting, Poke, parse
from dana.platform.identity import Member
from dana.services.realtime import models
from dana.services.realtime.actions.log import EventLog
from dana.services.realtime.models import Client, Close, LoggedEvent

log = structlog.get_logger(__name__)

PATIENCE_SECONDS = 0.03  # commits of two connections may announce themselves in the wrong order
MAX_HELD = 1_000
MAX_RECENT = 256
MAX_RECENT_BYTES = 512 * 1024
MAX_BEHIND = 5_000  # further behind, fetching the state anew is cheaper than every event

DELIVERED = Counter("dana_realtime_frames_total", "Event frames sent to sockets.")
GAPS = Counter("dana_realtime_gaps_total", "Times that a feed had to read missed events from the log.")
RESYNCS = Counter("dana_realtime_resyncs_total", "Times that clients were told to fetch everything anew.")


class Feed:
    """Follows one organization and delivers to the sockets that have joined."""

    def __init__(self, org_id: OrgId, event_log: EventLog, fanout: Fanout) -> None:
        self.org_id = org_id
        self.cursor = -1  # unknown until opened
        self.position: str | None = None
        """What a replica must show to have all events up to the cursor; the greatest that was met."""
        self.pins = 0
        self._log = event_log
        self._fanout = fanout
        self._held: dict[int, LoggedEvent] = {}
        self._recent: deque[LoggedEvent] = deque()
        self._recent_bytes = 0
        self._members: set[Client] = set()
        self._visitors: dict[UUID, set[Client]] = {}
        self._patience: asyncio.TimerHandle | None = None
        self._catching_up: asyncio.Task[None] | None = None
        self._is_behind = False
        self._opened: asyncio.Task[None] | None = None

    async def open(self) -> None:
        """Follow the organization; raises Unavailable. Subscribes first, so that nothing slips between."""
        if self._opened is None or (self._opened.done() and self.cursor < 0):
            self._opened = asyncio.create_task(self._open())
        await asyncio.shield(self._opened)

    def close(self) -> None:
        """Follow it no longer."""
        self._fanout.unsubscribe(self.org_id)
        for running in (self._patience, self._opened, self._catching_up):
            if running is not None:
                running.cancel()

    def add(self, client: Client) -> None:
        """Deliver to this client from the next event on."""
        if isinstance(client.who, Member):
            self._members.add(client)
        else:
            self._visitors.setdefault(client.who.conversation_id, set()).add(client)

    def remove(self, client: Client) -> None:
        """Deliver to it no more."""
        if isinstance(client.who, Member):
            self._members.discard(client)
        elif clients := self._visitors.get(client.who.conversation_id):
            clients.discard(client)
            if not clients:
                del self._visitors[client.who.conversation_id]

    def has(self, client: Client) -> bool:
        """Tell whether events are being delivered to this client."""
        if isinstance(client.who, Member):
            return client in self._members
        return client in self._visitors.get(client.who.conversation_id, ())

    def recent_after(self, cursor: int) -> list[LoggedEvent] | None:
        """Return all events after a cursor from memory; None when memory doesn't reach back so far."""
        missing = self.cursor - cursor
        if missing > len(self._recent):
            return None
        return list(self._recent)[len(self._recent) - missing :]

    def wake(self) -> None:
        """Read from the log what is missing; once more when that is already going on."""
        self._is_behind = True
        if self.cursor >= 0 and (self._catching_up is None or self._catching_up.done()):
            self._catching_up = asyncio.create_task(self._catch_up())

    async def catch_up(self) -> None:
        """Return when everything committed before this call has been delivered, or the log can't be read."""
        self.wake()
        if self._catching_up is not None:
            await asyncio.shield(self._catching_up)

    def receive(self, message: bytes) -> None:
        """Take in a message of the fan-out."""
        try:
            parsed = parse(message)
        except ValueError:
            log.exception("fanout_message_unreadable", organization_id=str(self.org_id))
            return
        if isinstance(parsed, Events):
            for cursor, event in enumerate(parsed.events, parsed.first_cursor):
                if cursor > self.cursor:
                    self._offer(LoggedEvent.published(cursor, event))
        elif isinstance(parsed, Poke):
            if parsed.cursor > self.cursor:
                self.wake()
        else:
            self._flash(parsed)

    async def _open(self) -> None:
        await self._fanout.subscribe(self.org_id, self.receive, self.wake)
        self.cursor, position = await self._log.cursor(self.org_id)
        self._note(position)
        self._deliver_held()

    def _offer(self, event: LoggedEvent) -> None:
        if event.cursor == self.cursor + 1:
            self._deliver(event)
            if self._held:
                self._deliver_held()
        elif len(self._held) < MAX_HELD:
            self._held[event.cursor] = event
            self._wait_for_the_missing()

    def _wait_for_the_missing(self) -> None:
        if self._patience is None and self.cursor >= 0:
            self._patience = asyncio.get_running_loop().call_later(PATIENCE_SECONDS, self._lose_patience)

    def _lose_patience(self) -> None:
        self._patience = None
        if self._held:
            GAPS.inc()
            self.wake()

    def _deliver_held(self) -> None:
        while (event := self._held.pop(self.cursor + 1, None)) is not None:
            self._deliver(event)
        for cursor in [cursor for cursor in self._held if cursor <= self.cursor]:
            del self._held[cursor]
        if self._held:
            self._wait_for_the_missing()

    async def _catch_up(self) -> None:
        try:
            while self._is_behind:
                self._is_behind = False
                newest, position = await self._log.cursor(self.org_id)
                self._note(position)
                await self._read_up_to(newest)
                self._deliver_held()
        except Exception as error:  # noqa: BLE001 - whatever it was, the look for gaps tries again
            log.warning("event_log_unreadable", organization_id=str(self.org_id), error=repr(error))

    async def _read_up_to(self, newest: int) -> None:
        if newest - self.cursor > MAX_BEHIND:
            self._skip_to(newest)
        while self.cursor < newest:
            position = self.cursor
            for event in await self._log.page(self.org_id, position, newest):
                if event.cursor == self.cursor + 1:
                    self._deliver(event)  # the others have arrived meanwhile
            if self.cursor == position:
                self._skip_to(newest)  # the log itself has a hole: it doesn't reach back so far

    def _deliver(self, event: LoggedEvent) -> None:
        self.cursor = event.cursor
        self._note(event.position)
        self._remember(event)
        sent = 0
        if self._members and (frame := event.for_members):
            for client in self._members:
                client.socket.send(frame)
            sent = len(self._members)
        if self._visitors and event.key in self._visitors and (frame := event.for_visitor):
            for client in self._visitors[event.key]:
                client.socket.send(frame)
                sent += 1
        if sent:
            DELIVERED.inc(sent)
        if (person := event.lost_access()) is not None:
            self._turn_out(person)

    def _note(self, position: str | None) -> None:
        if position is not None:
            self.position = max(self.position or "", position)

    def _remember(self, event: LoggedEvent) -> None:
        self._recent.append(event)
        self._recent_bytes += event.size_bytes
        while len(self._recent) > MAX_RECENT or self._recent_bytes > MAX_RECENT_BYTES:
            self._recent_bytes -= self._recent.popleft().size_bytes

    def _skip_to(self, cursor: int) -> None:
        """Give up on single events: let everybody fetch the state anew."""
        self.cursor = max(self.cursor, cursor)
        self._recent.clear()
        self._recent_bytes = 0
        RESYNCS.inc()
        for client in self._everybody():
            client.socket.send(models.resync(self.cursor, self.position))

    def _flash(self, message: Fleeting) -> None:
        for client in self._members:
            if client.origin != message.origin:
                client.socket.send(message.frame)
        if message.is_for_visitors and message.conversation_id in self._visitors:
            for client in self._visitors[message.conversation_id]:
                if client.origin != message.origin:
                    client.socket.send(message.frame)

    def _turn_out(self, person: UUID) -> None:
        for client in [client for client in self._members if client.person == person]:
            client.socket.close(Close.TOKEN, "no longer a member")

    def _everybody(self) -> list[Client]:
        return [*self._members, *(client for some in self._visitors.values() for client in some)]
