"""All sockets of this node: who may come in, what they say, and how they leave."""

import asyncio
import time
from collections import defaultdict
from dataclasses import dataclass
from uuid import UUID

import structlog
from prometheus_client import Counter, Gauge

from dana.contracts.ids import OrgId
from dana.platform.ephemera import Ephemera, origin_of
from dana.platform.errors import Invalid, Unauthenticated
from dana.platform.fanout import Fanout
from dana.platform.identity import Keys, Member, Visitor
from dana.platform.shards import Shards
from dana.services.realtime import models
from dana.services.realtime.actions.feed import Feed
from dana.services.realtime.actions.log import EventLog
from dana.services.realtime.actions.replay import replay
from dana.services.realtime.models import Client, Close, RefusedError, Socket, Typing

log = structlog.get_logger(__name__)

MAX_SOCKETS = 15_000  # below the 20,000 descriptors that a small machine allows
MAX_SOCKETS_OF_ORGANIZATION = 10_000
MAX_SOCKETS_OF_PERSON = 40  # tabs and devices
MAX_FRAMES_PER_SECOND = 40
MAX_TYPING_IN = 20  # conversations at once, by one person
LINGER_SECONDS = 15.0  # a reload should find the feed still there
FAREWELLS_AT_ONCE = 500
FAREWELL_PAUSE_SECONDS = 0.05

SOCKETS = Gauge("dana_realtime_sockets", "Open sockets.", ["audience"])
CLOSED = Counter("dana_realtime_closed_total", "Sockets closed by us, by their close code.", ["code"])


@dataclass(slots=True)
class _Seat:
    """What the hub keeps for one client."""

    feed: Feed
    expiry: asyncio.TimerHandle
    beat: set[Client]


class Hub:
    """Knows every client and every feed of this node."""

    def __init__(self, shards: Shards, fanout: Fanout, ephemera: Ephemera, keys: Keys) -> None:
        self._keys = keys
        self._fanout = fanout
        self._ephemera = ephemera
        self._log = EventLog(shards)
        self._feeds: dict[OrgId, Feed] = {}
        self._seats: dict[Client, _Seat] = {}
        self._sockets_of: defaultdict[UUID, int] = defaultdict(int)
        self._beats: list[set[Client]] = [set() for _ in range(models.HEARTBEAT_SECONDS)]
        self._now_beating = 0
        self._joining: set[asyncio.Task[None]] = set()
        self._last_seen: dict[OrgId, int] = {}
        self._is_closing = False

    def arrive(self, socket: Socket, token: str, cursor: str | None) -> Client | None:
        """Let a socket in, or close it and say why."""
        try:
            client, position = self._admit(socket, token, cursor)
        except RefusedError as refusal:
            CLOSED.labels(str(refusal.code)).inc()
            socket.close(refusal.code, refusal.reason)
            return None
        feed = self._seat(client)
        task = asyncio.create_task(self._join(client, feed, position))
        self._joining.add(task)
        task.add_done_callback(self._joining.discard)
        return client

    def hear(self, client: Client, frame: bytes) -> None:
        """Take in what a client says."""
        if client.is_flooding(int(time.monotonic()), MAX_FRAMES_PER_SECOND):
            _close(client, Close.BAD_FRAME, "too many frames")
            return
        try:
            typing = models.parse_frame(frame)
        except Invalid as problem:
            _close(client, Close.BAD_FRAME, problem.detail)
            return
        if isinstance(client.who, Visitor) and typing.conversation_id != client.who.conversation_id:
            _close(client, Close.BAD_FRAME, "not your conversation")
            return
        self._show_typing(client, typing)

    def leave(self, client: Client) -> None:
        """Forget a client whose socket has ended."""
        seat = self._seats.pop(client, None)
        if seat is None:
            return
        seat.expiry.cancel()
        seat.beat.discard(client)
        seat.feed.remove(client)
        self._unpin(seat.feed)
        for counted in (client.who.org_id, client.person):
            self._sockets_of[counted] -= 1
            if not self._sockets_of[counted]:
                del self._sockets_of[counted]
        SOCKETS.labels(_audience(client)).dec()
        for conversation_id in tuple(client.typing_in):
            self._show_typing(client, Typing(conversation_id=conversation_id, is_typing=False))

    def beat(self) -> None:
        """Send a heartbeat to the next of the groups of clients; called every second."""
        self._now_beating = (self._now_beating + 1) % len(self._beats)
        for client in self._beats[self._now_beating]:
            feed = self._seats[client].feed
            if feed.has(client):
                client.socket.send(models.heartbeat(feed.cursor))

    async def look_for_gaps(self) -> None:
        """Compare all feeds with their databases, and let those read that have fallen behind.

        While messages flow, a feed is behind only if it hasn't reached what was seen the last time.
        """
        feeds = {org_id: feed for org_id, feed in self._feeds.items() if feed.cursor >= 0}
        newest = await self._log.cursors(list(feeds)) if feeds else {}
        for org_id, cursor in newest.items():
            expected = self._last_seen.get(org_id, 0) if self._fanout.is_listening else cursor
            if feeds[org_id].cursor < expected:
                feeds[org_id].wake()
        self._last_seen = newest

    async def close(self) -> None:
        """Ask everybody to come back at once, a few at a time so that they don't come all together."""
        self._is_closing = True
        for number, client in enumerate(list(self._seats), 1):
            _close(client, Close.RESTART, "restarting")
            if number % FAREWELLS_AT_ONCE == 0:
                await asyncio.sleep(FAREWELL_PAUSE_SECONDS)
        for task in tuple(self._joining):
            task.cancel()
        await asyncio.gather(*self._joining, return_exceptions=True)
        for feed in self._feeds.values():
            feed.close()
        self._feeds.clear()

    async def _join(self, client: Client, feed: Feed, position: int | None) -> None:
        try:
            await feed.open()
            start = feed.cursor if position is None else position
            client.socket.send(models.hello(start))
            await replay(feed, self._log, client, start)
        except Exception as error:  # noqa: BLE001 - whatever it was, the client comes back and tries again
            log.warning("join_failed", organization_id=str(feed.org_id), error=repr(error))
            _close(client, Close.TRY_LATER, "try again in a moment")

    def _admit(self, socket: Socket, token: str, cursor: str | None) -> tuple[Client, int | None]:
        try:
            who = self._keys.verify_any(token)
            position = models.parse_cursor(cursor)
        except Unauthenticated as problem:
            raise RefusedError(Close.TOKEN, problem.detail) from None
        except Invalid as problem:
            raise RefusedError(Close.BAD_FRAME, problem.detail) from None
        client = Client(who, socket, origin_of(_person(who)))
        if self._is_closing:
            raise RefusedError(Close.RESTART, "restarting")
        if self._is_too_much(client):
            raise RefusedError(Close.TOO_MANY, "too many connections")
        return client, position

    def _seat(self, client: Client) -> Feed:
        org_id = client.who.org_id
        feed = self._feeds.get(org_id)
        if feed is None:
            feed = self._feeds[org_id] = Feed(org_id, self._log, self._fanout)
        feed.pins += 1
        remaining = client.who.expires_at - time.time()
        expiry = asyncio.get_running_loop().call_later(
            max(remaining, 0.0), _close, client, Close.TOKEN, "token expired"
        )
        beat = min(self._beats, key=len)
        beat.add(client)
        self._seats[client] = _Seat(feed, expiry, beat)
        self._sockets_of[org_id] += 1
        self._sockets_of[client.person] += 1
        SOCKETS.labels(_audience(client)).inc()
        return feed

    def _is_too_much(self, client: Client) -> bool:
        return (
            len(self._seats) >= MAX_SOCKETS
            or self._sockets_of.get(client.who.org_id, 0) >= MAX_SOCKETS_OF_ORGANIZATION
            or self._sockets_of.get(client.person, 0) >= MAX_SOCKETS_OF_PERSON
        )

    def _show_typing(self, client: Client, typing: Typing) -> None:
        if typing.is_typing and len(client.typing_in) < MAX_TYPING_IN:
            client.typing_in.add(typing.conversation_id)
        elif not typing.is_typing:
            client.typing_in.discard(typing.conversation_id)
        self._ephemera.publish(
            client.who.org_id,
            typing.conversation_id,
            {
                "name": "typing",
                "who": "agent" if isinstance(client.who, Member) else "customer",
                "author_name": client.who.name,
                "is_typing": typing.is_typing,
            },
            origin=client.person,
        )

    def _unpin(self, feed: Feed) -> None:
        feed.pins -= 1
        if not feed.pins:
            asyncio.get_running_loop().call_later(LINGER_SECONDS, self._retire, feed)

    def _retire(self, feed: Feed) -> None:
        if not feed.pins and self._feeds.get(feed.org_id) is feed:
            del self._feeds[feed.org_id]
            feed.close()


def _person(who: Member | Visitor) -> UUID:
    return who.user_id if isinstance(who, Member) else who.contact_id


def _audience(client: Client) -> str:
    return "member" if isinstance(client.who, Member) else "visitor"


def _close(client: Client, code: int, reason: str) -> None:
    CLOSED.labels(str(code)).inc()
    client.socket.close(code, reason)
