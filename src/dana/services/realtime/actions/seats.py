"""Who sits where: each client with its feed, its end of time and its place in the rounds of heartbeats."""

import asyncio
import time
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, replace
from uuid import UUID

from prometheus_client import Counter, Gauge

from dana.platform.identity import Member, Visitor
from dana.services.realtime import models
from dana.services.realtime.actions.feed import Feed
from dana.services.realtime.models import Client, Close, RefusedError

MAX_SOCKETS = 15_000  # below the 20,000 descriptors that a small machine allows
MAX_SOCKETS_OF_ORGANIZATION = 10_000
MAX_SOCKETS_OF_PERSON = 40  # tabs and devices
SILENT_SECONDS = 25.0  # two and a half heartbeats: who acknowledges must have done so by then
LOOK_SECONDS = 5  # how often each client is looked at, so that the dead are gone within 30 s

SOCKETS = Gauge("dana_realtime_sockets", "Open sockets.", ["audience"])
CLOSED = Counter("dana_realtime_closed_total", "Sockets closed by us, by their close code.", ["code"])


@dataclass(slots=True)
class Seat:
    """What is kept for one client."""

    feed: Feed
    expiry: asyncio.TimerHandle
    beat: set[Client]


class Seats:
    """All clients of this node."""

    def __init__(self) -> None:
        self._seats: dict[Client, Seat] = {}
        self._sockets_of: defaultdict[UUID, int] = defaultdict(int)
        self._beats: list[set[Client]] = [set() for _ in range(models.HEARTBEAT_SECONDS)]
        self._now_beating = 0

    def __iter__(self) -> Iterator[Client]:
        return iter(tuple(self._seats))

    def __len__(self) -> int:
        return len(self._seats)

    def of(self, client: Client) -> Seat | None:
        """Return a client's seat; None when it is gone."""
        return self._seats.get(client)

    def check_room(self, who: Member | Visitor, person: UUID) -> None:
        """Raise RefusedError when there are too many already."""
        if len(self._seats) >= MAX_SOCKETS:
            raise RefusedError(Close.TOO_MANY, "too many connections to this node")
        if self._sockets_of.get(who.org_id, 0) >= MAX_SOCKETS_OF_ORGANIZATION:
            raise RefusedError(Close.TOO_MANY, "too many connections of this organization")
        if self._sockets_of.get(person, 0) >= MAX_SOCKETS_OF_PERSON:
            raise RefusedError(Close.TOO_MANY, "too many connections of this person")

    def take(self, client: Client, feed: Feed) -> None:
        """Give a client its seat."""
        beat = min(self._beats, key=len)
        beat.add(client)
        self._seats[client] = Seat(feed, self._expiry(client), beat)
        for counted in (client.who.org_id, client.person):
            self._sockets_of[counted] += 1
        client.heard_at = time.monotonic()
        SOCKETS.labels(_audience(client)).inc()

    def free(self, client: Client) -> Seat | None:
        """Take it back; returns the seat, unless that has happened before."""
        seat = self._seats.pop(client, None)
        if seat is None:
            return None
        seat.expiry.cancel()
        seat.beat.discard(client)
        for counted in (client.who.org_id, client.person):
            self._sockets_of[counted] -= 1
            if not self._sockets_of[counted]:
                del self._sockets_of[counted]
        SOCKETS.labels(_audience(client)).dec()
        return seat

    def end(self, client: Client, code: int, reason: str, retry_ms: int | None = None) -> None:
        """Close a client's socket."""
        if client.socket.is_open:
            CLOSED.labels(str(code)).inc()
            client.socket.close(code, reason, retry_ms)

    def renew(self, client: Client, who: Member | Visitor) -> None:
        """Let a client stay as long as a newer token says."""
        if isinstance(who, Member) and isinstance(client.who, Member) and client.has_current_role:
            who = replace(who, role=client.who.role, name=client.who.name)
        client.who = who
        if (seat := self._seats.get(client)) is not None:
            seat.expiry.cancel()
            seat.expiry = self._expiry(client)

    def valid_seconds(self, client: Client) -> int:
        """Return for how long a client may stay."""
        return max(0, int(client.who.expires_at - time.time()))

    def next_beating(self) -> list[tuple[Client, Feed]]:
        """Return whose heartbeat is due; called every second, each time another tenth of all."""
        self._now_beating = (self._now_beating + 1) % len(self._beats)
        return [(client, self._seats[client].feed) for client in self._beats[self._now_beating]]

    def look_for_the_dead(self) -> None:
        """End those who acknowledge but have fallen silent, or far behind; called after `next_beating`."""
        silent = time.monotonic() - SILENT_SECONDS
        for group in range(0, len(self._beats), LOOK_SECONDS):
            for client in tuple(self._beats[(self._now_beating + group) % len(self._beats)]):
                if client.acked is None:
                    continue
                sent = self._seats[client].feed.following.sent_to(client)
                if client.heard_at < silent:
                    self.end(client, Close.TOO_SLOW, "silent")
                elif client.unacked(sent) > models.MAX_UNACKED:
                    self.end(client, Close.TOO_SLOW, "too slow")

    def _expiry(self, client: Client) -> asyncio.TimerHandle:
        remaining = max(client.who.expires_at - time.time(), 0.0)
        loop = asyncio.get_running_loop()
        return loop.call_later(remaining, self.end, client, Close.TOKEN, "token expired")


def _audience(client: Client) -> str:
    return "member" if isinstance(client.who, Member) else "visitor"
