"""All sockets of this node: who may come in, and how they leave."""

import asyncio
import random
from uuid import UUID

import structlog

from dana.contracts.ids import OrgId
from dana.platform.ephemera import Ephemera, origin_of
from dana.platform.errors import Invalid, Unauthenticated
from dana.platform.fanout import Fanout
from dana.platform.identity import Keys, Member, Visitor
from dana.platform.shards import Shards
from dana.services.realtime import models
from dana.services.realtime.actions.backlog import Backlog
from dana.services.realtime.actions.feed import Feed, Ties
from dana.services.realtime.actions.hearing import Hearing
from dana.services.realtime.actions.log import EventLog
from dana.services.realtime.actions.presence import Presence
from dana.services.realtime.actions.replay import Replay
from dana.services.realtime.actions.rounds import Rounds
from dana.services.realtime.actions.seats import CLOSED, Seats
from dana.services.realtime.models import MAX_CHANNELS, Client, Close, RefusedError, Socket, Typing

log = structlog.get_logger(__name__)

LINGER_SECONDS = 15.0  # a reload should find the feed still there
DRAIN_SECONDS = 20.0  # at most, for all goodbyes; who stops this process waits a little longer
BEATS_PER_TURN = 500
JITTER_MS = 1_000


class Hub:
    """Knows every client and every feed of this node."""

    def __init__(
        self, shards: Shards, fanout: Fanout, ephemera: Ephemera, keys: Keys, presence: Presence
    ) -> None:
        self._keys = keys
        self._ephemera = ephemera
        self._fanout = fanout
        self._presence = presence
        self._log = EventLog(shards)
        self._feeds: dict[OrgId, Feed] = {}
        self._seats = Seats()
        self._backlog = Backlog(self._seats, self._seats.end)
        self._ties = Ties(self._log, fanout, Rounds(), self._backlog, presence, self._seats.end)
        self._hearing = Hearing(self._seats, keys, ephemera, presence)
        self._joining: set[asyncio.Task[None]] = set()
        self._last_seen: dict[OrgId, int] = {}
        self._is_closing = False

    def arrive(
        self, socket: Socket, token: str, cursor: str | None, channels: str | None = None
    ) -> Client | None:
        """Let a socket in, or close it and say why."""
        try:
            client, position = self._admit(socket, token, cursor)
        except RefusedError as refusal:
            CLOSED.labels(str(refusal.code)).inc()
            socket.close(refusal.code, refusal.reason)
            return None
        refusals = _choose(client, channels)
        feed = self._feed(client.who.org_id)
        feed.pins += 1
        self._seats.take(client, feed)
        feed.expect(client)
        task = asyncio.create_task(self._join(client, feed, position, refusals))
        self._joining.add(task)
        task.add_done_callback(self._joining.discard)
        return client

    def hear(self, client: Client, frame: bytes) -> None:
        """Take in what a client says."""
        self._hearing.hear(client, frame)

    def show_typing(self, who: Member | Visitor, typing: Typing) -> None:
        """Show what somebody says who has no socket to say it on."""
        self._ephemera.show_typing(who, typing.conversation_id, is_typing=typing.is_typing)

    def leave(self, client: Client) -> None:
        """Forget a client whose socket has ended."""
        seat = self._seats.free(client)
        if seat is None:
            return
        if client in seat.feed.following:
            self._presence.leave(seat.feed, client)
        seat.feed.remove(client)
        self._unpin(seat.feed)
        self._hearing.stop_typing(client)

    async def beat(self) -> None:
        """Send a heartbeat to the next of the groups of clients; called every second."""
        self._backlog.look()
        due = self._seats.next_beating()
        self._seats.look_for_the_dead()
        for number, (client, feed) in enumerate(due, 1):
            if client in feed.following:
                client.socket.send(models.heartbeat(feed.settled))
            if number % BEATS_PER_TURN == 0:
                await asyncio.sleep(0)

    async def look_for_gaps(self) -> None:
        """Compare all feeds with their databases, and let those read that have fallen behind.

        While messages flow, a feed is behind only if it hasn't reached what was seen the last time.
        """
        feeds = {org_id: feed for org_id, feed in self._feeds.items() if feed.cursor >= 0}
        newest = await self._log.cursors(list(feeds)) if feeds else {}
        for org_id, cursor in newest.items():
            expected = self._last_seen.get(org_id, 0) if self._fanout.is_listening else cursor
            if feeds[org_id].accepted < expected:
                feeds[org_id].wake()
        self._last_seen = newest

    async def drain(self) -> None:
        """Let nobody new in, and ask everybody to come back, in even portions: not all at once.

        Those who still wait for their turn are sent what happens meanwhile.
        """
        self._is_closing = True
        clients = list(self._seats)
        random.shuffle(clients)
        loop = asyncio.get_running_loop()
        began = loop.time()
        for number, client in enumerate(clients):
            told_after, away = models.leave_and_return(number, len(clients), DRAIN_SECONDS)
            if (ahead := began + told_after - loop.time()) > 0:
                await asyncio.sleep(ahead)
            jitter = random.randrange(JITTER_MS)  # noqa: S311 - spreads, and keeps no secret
            self._seats.end(client, Close.RESTART, "restarting", int(away * 1_000) + jitter)

    async def close(self) -> None:
        """End what is still under way."""
        for task in tuple(self._joining):
            task.cancel()
        await asyncio.gather(*self._joining, return_exceptions=True)
        for feed in self._feeds.values():
            feed.close()
        self._feeds.clear()

    async def _join(self, client: Client, feed: Feed, position: int | None, refusals: list[bytes]) -> None:
        try:
            await feed.open()
            client.start = feed.cursor if position is None else position
            names = sorted(channel.name for channel in client.channels)
            client.socket.send(models.hello(client.start, self._seats.valid_seconds(client), names))
            for refusal in refusals:
                client.socket.send(refusal)
            await Replay(feed, self._log, self._backlog, client).run(client.start)
            if client in feed.following:
                self._presence.arrive(feed, client)
        except Exception as error:  # noqa: BLE001 - whatever it was, the client comes back and tries again
            log.warning("join_failed", organization_id=str(feed.org_id), error=repr(error))
            self._seats.end(client, Close.TRY_LATER, "try again in a moment")

    def _admit(self, socket: Socket, token: str, cursor: str | None) -> tuple[Client, int | None]:
        if self._is_closing:
            raise RefusedError(Close.RESTART, "restarting")
        try:
            who = self._keys.verify_realtime(token)
            position = models.parse_cursor(cursor)
        except Unauthenticated as problem:
            raise RefusedError(Close.TOKEN, problem.detail) from None
        except Invalid as problem:
            raise RefusedError(Close.BAD_FRAME, problem.detail) from None
        person = _person(who)
        self._seats.check_room(who, person)
        return Client(who, socket, origin_of(person)), position

    def _feed(self, org_id: OrgId) -> Feed:
        feed = self._feeds.get(org_id)
        if feed is None:
            feed = self._feeds[org_id] = Feed(org_id, self._ties)
        return feed

    def _unpin(self, feed: Feed) -> None:
        feed.pins -= 1
        if not feed.pins:
            asyncio.get_running_loop().call_later(LINGER_SECONDS, self._retire, feed)

    def _retire(self, feed: Feed) -> None:
        if not feed.pins and self._feeds.get(feed.org_id) is feed:
            del self._feeds[feed.org_id]
            feed.close()


def _choose(client: Client, channels: str | None) -> list[bytes]:
    """Let a client follow what it asks for, and return what it is told of the rest."""
    names = models.defaults(client.who) if channels is None else channels.split(",", 2 * MAX_CHANNELS)
    refusals = []
    for name in dict.fromkeys(names):
        try:
            if name:
                client.channels.add(models.channel_for(client.who, name, client.channels))
        except Invalid as problem:
            refusals.append(models.refused(name, problem.detail))
    return refusals


def _person(who: Member | Visitor) -> UUID:
    return who.user_id if isinstance(who, Member) else who.contact_id
