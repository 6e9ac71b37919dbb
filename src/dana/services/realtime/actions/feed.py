"""One organization's events on this node, in order, without a gap and without a double.

The fan-out is fast and may lose or swap messages; the log is slower and complete. So: the next cursor is
sent at once, an older one ignored, a later one held back for a moment and then read from the log.
"""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Protocol
from uuid import UUID

import structlog
from prometheus_client import Counter

from dana.contracts.ids import OrgId
from dana.platform.fanout import Changed, Events, Fanout, Fleeting, Poke, parse
from dana.platform.identity import Member
from dana.services.realtime import models
from dana.services.realtime.actions.backlog import Backlog
from dana.services.realtime.actions.log import EventLog, Newest
from dana.services.realtime.actions.memory import Memory
from dana.services.realtime.actions.outgoing import DROPPED, Outgoing
from dana.services.realtime.actions.rounds import Rounds, Sender
from dana.services.realtime.models import (
    ORGANIZATION,
    ChangedMember,
    Channel,
    Client,
    Close,
    Following,
    LoggedEvent,
    may_follow,
)

log = structlog.get_logger(__name__)

PATIENCE_SECONDS = 0.03  # commits of two connections may announce themselves in the wrong order
MAX_HELD = 1_000
MAX_BEHIND = 5_000  # further behind, fetching the state anew is cheaper than every event
MAX_CHANGED = 1_000
MAX_FLEETING_PER_SECOND = 1_000  # of one organization, from all processes; each sends half of it at most

GAPS = Counter("dana_realtime_gaps_total", "Times that a feed had to read missed events from the log.")
RESYNCS = Counter("dana_realtime_resyncs_total", "Times that clients were told to fetch everything anew.")


class Watcher(Protocol):
    """Who is told what happens at a feed beside its events."""

    def follow(self, feed: "Feed", client: Client, channel: Channel) -> None:
        """Note that a client follows one more channel."""
        ...

    def unfollow(self, feed: "Feed", client: Client, channel: Channel) -> None:
        """Note that it follows one less."""
        ...

    def changed(self, feed: "Feed", channel: str) -> None:
        """Note that some node has changed who is in a channel."""
        ...

    def gap(self, feed: "Feed") -> None:
        """Note that messages may have been missed."""
        ...


@dataclass(frozen=True, slots=True)
class Ties:
    """What all feeds of a node share."""

    log: EventLog
    fanout: Fanout
    rounds: Rounds
    backlog: Backlog
    watcher: Watcher
    end: Callable[[Client, int, str], None]


class Feed:
    """Follows one organization and sends to the sockets that have joined."""

    def __init__(self, org_id: OrgId, ties: Ties) -> None:
        self.org_id = org_id
        self.position: str | None = None
        """What a replica must show to have all events up to the cursor; the greatest that was met."""
        self.pins = 0
        self.following = Following()
        self._log = ties.log
        self._fanout = ties.fanout
        self._rounds = ties.rounds
        self.memory = Memory(org_id, ties.log, ties.fanout)
        self._watcher = ties.watcher
        self._end = ties.end
        self._outgoing = Outgoing(self.following, ties.rounds, ties.backlog, self._finished)
        self._outgoing.watch(self._began)
        self._arriving: dict[Client, list[Callable[[], None]]] = {}
        self._held: dict[int, LoggedEvent] = {}
        self._changed: dict[UUID, tuple[int, ChangedMember]] = {}
        self._patience: asyncio.TimerHandle | None = None
        self._catching_up: asyncio.Task[None] | None = None
        self._is_behind = False
        self._second = self._flashed = 0
        self._opened: asyncio.Task[None] | None = None

    @property
    def cursor(self) -> int:
        """The newest event that is being sent, or has been; negative until opened."""
        return self._outgoing.cursor

    @property
    def accepted(self) -> int:
        """The newest event that waits to be sent, or the cursor."""
        return self._outgoing.accepted

    @property
    def settled(self) -> int:
        """Up to where everybody has been sent everything."""
        return self._outgoing.settled

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
        self.memory.close()

    def expect(self, client: Client) -> None:
        """Note that a client is on its way in, and what of its rights has changed meanwhile."""
        self._arriving[client] = []
        if (known := self._changed.get(client.person)) is not None:
            self.apply(client, known[1])

    def add(self, client: Client) -> None:
        """Send to this client from the next event on."""
        waiting = self._arriving.pop(client, [])
        self.following.add(client)
        for act in waiting:
            act()

    def remove(self, client: Client) -> None:
        """Send to it no more."""
        self._arriving.pop(client, None)
        self.following.remove(client)

    def follow(self, client: Client, channel: Channel) -> None:
        """Let a client have one more channel, between two events, and tell it."""

        def act() -> None:
            if client in self.following:
                self._refile(client, client.channels.add, channel)
                client.socket.send(models.subscribed(channel.name, self.cursor))
                self._watcher.follow(self, client, channel)

        self._when_in(client, act)

    def unfollow(self, client: Client, channel: Channel, frame: bytes) -> None:
        """Take a channel from a client, between two events, and tell it by a frame."""

        def act() -> None:
            if client in self.following:
                self._refile(client, client.channels.discard, channel)
                client.socket.send(frame)
                self._watcher.unfollow(self, client, channel)

        self._when_in(client, act)

    def flash(self, sender: Sender) -> None:
        """Let somebody with fleeting frames for these sockets have its turn."""
        self._rounds.flash(sender)

    def note(self, cursor: int, changed: ChangedMember) -> None:
        """Keep what a member's rights are since an event, for who comes with a token from before."""
        known = self._changed.pop(changed.user_id, None)
        self._changed[changed.user_id] = (
            known if known is not None and known[0] > cursor else (cursor, changed)
        )
        if len(self._changed) > MAX_CHANGED:
            del self._changed[next(iter(self._changed))]

    def apply(self, client: Client, changed: ChangedMember) -> None:
        """Let a member have the rights that she now has."""
        if not isinstance(client.who, Member):
            return
        if not changed.is_active:
            self._end(client, Close.TOKEN, "no longer a member")
            return
        client.who = replace(client.who, role=changed.role, name=changed.name)
        client.has_current_role = True
        for channel in [channel for channel in client.channels if not may_follow(client.who, channel)]:
            frame = models.refused(channel.name, "You may not follow this any longer.")
            self.unfollow(client, channel, frame)

    def seconds_since(self, cursor: int) -> float | None:
        """Return how long ago an event was sent; None when that isn't known any more."""
        return self._outgoing.seconds_since(cursor)

    def wake(self) -> None:
        """Read from the log what is missing; once more when that is already going on."""
        self._is_behind = True
        if self.cursor >= 0 and (self._catching_up is None or self._catching_up.done()):
            self._catching_up = asyncio.create_task(self._catch_up())

    async def catch_up(self) -> None:
        """Return when everything committed before this call is being sent, or the log can't be read."""
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
                if cursor > self._outgoing.accepted:
                    self._offer(LoggedEvent.published(cursor, event))
        elif isinstance(parsed, Poke):
            if parsed.cursor > self._outgoing.accepted:
                self.wake()
        elif isinstance(parsed, Changed):
            self._watcher.changed(self, parsed.channel)
        else:
            self._flash(parsed)

    async def _open(self) -> None:
        await self._fanout.subscribe(self.org_id, self.receive, self._lost_touch)
        newest = await self._log.newest(self.org_id)
        self._note(newest.position)
        self.memory.start_at(newest.cursor)
        self._outgoing.start_at(newest.cursor)
        self._accept_held()

    def _lost_touch(self) -> None:
        self.wake()
        self._watcher.gap(self)

    def _offer(self, event: LoggedEvent) -> None:
        if self._outgoing.is_full:
            self._is_behind = True  # read from the log when there is room
        elif event.cursor == self._outgoing.accepted + 1:
            self._outgoing.push(event)
            if self._held:
                self._accept_held()
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

    def _accept_held(self) -> None:
        while (event := self._held.pop(self._outgoing.accepted + 1, None)) is not None:
            self._outgoing.push(event)
        for cursor in [cursor for cursor in self._held if cursor <= self._outgoing.accepted]:
            del self._held[cursor]
        if self._held:
            self._wait_for_the_missing()

    async def _catch_up(self) -> None:
        try:
            while self._is_behind:
                self._is_behind = False
                newest = await self._log.newest(self.org_id)
                self._note(newest.position)
                await self._read_up_to(newest)
                self._accept_held()
                await self._outgoing.reached(newest.cursor)
        except Exception as error:  # noqa: BLE001 - whatever it was, the look for gaps tries again
            log.warning("event_log_unreadable", organization_id=str(self.org_id), error=repr(error))

    async def _read_up_to(self, up_to: Newest) -> None:
        newest = up_to.cursor
        if newest - self._outgoing.accepted > MAX_BEHIND:
            self._skip_to(newest)
        for event in await self.memory.history(up_to, self._outgoing.accepted):
            if event.cursor == self._outgoing.accepted + 1:
                self._outgoing.push(event)
        while (accepted := self._outgoing.accepted) < newest:
            for event in await self._log.page(self.org_id, accepted, newest):
                if event.cursor == self._outgoing.accepted + 1:
                    self._outgoing.push(event)  # the others have arrived meanwhile
            if self._outgoing.accepted == accepted:
                self._skip_to(newest)  # the log itself has a hole: it doesn't reach back so far
            await self._outgoing.reached(self._outgoing.accepted)  # a page at a time in memory

    def _began(self, event: LoggedEvent) -> None:
        self._note(event.position)
        self.memory.add(event)
        if self._is_behind and not self._outgoing.is_full:
            self.wake()

    def _finished(self, event: LoggedEvent) -> None:
        if (changed := event.changed_member()) is None:
            return
        self.note(event.cursor, changed)
        for client in (*self.following, *self._arriving):
            if client.person == changed.user_id:
                self.apply(client, changed)

    def _refile(self, client: Client, change: Callable[[Channel], None], channel: Channel) -> None:
        self.following.remove(client)
        change(channel)
        self.following.add(client)
        if channel == ORGANIZATION:
            client.acked = None  # what it is sent is counted in another way from here on

    def _when_in(self, client: Client, act: Callable[[], None]) -> None:
        if (waiting := self._arriving.get(client)) is not None:
            waiting.append(lambda: self._outgoing.between(act))
        else:
            self._outgoing.between(act)

    def _note(self, position: str | None) -> None:
        if position is not None:
            self.position = max(self.position or "", position)

    def _skip_to(self, cursor: int) -> None:
        """Give up on single events: let everybody fetch the state anew."""
        RESYNCS.inc()
        cursor = max(self.cursor, cursor)
        self.memory.start_at(cursor)
        self._outgoing.start_anew(cursor, self.position)

    def _flash(self, message: Fleeting) -> None:
        second = int(time.monotonic())
        self._flashed = self._flashed + 1 if second == self._second else 1
        self._second = second
        if self._flashed > MAX_FLEETING_PER_SECOND:
            DROPPED.inc()
            return
        watching = self.following.watching(message.conversation_id, with_visitors=message.is_for_visitors)
        self._outgoing.flash(message.frame, message.origin, list(watching))
