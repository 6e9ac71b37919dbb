"""What clients say, and what comes of it."""

import time

from prometheus_client import Histogram

from dana.platform.ephemera import Ephemera
from dana.platform.errors import Invalid, Unauthenticated
from dana.platform.identity import Keys, Member, Visitor
from dana.services.realtime import models
from dana.services.realtime.actions.feed import Feed
from dana.services.realtime.actions.presence import Presence
from dana.services.realtime.actions.seats import Seats
from dana.services.realtime.models import (
    Ack,
    Client,
    Close,
    Renew,
    Said,
    State,
    Subscribe,
    Typing,
    Unsubscribe,
)

MAX_FRAMES_PER_SECOND = 40
RENEWAL_COST = 10  # frames: a signature takes as long to verify as so many frames to read
MAX_TYPING_IN = 20  # conversations at once, by one person

ACKED = Histogram(
    "dana_realtime_ack_seconds",
    "From when an event was sent until its client said that it has applied it.",
    buckets=(0.01, 0.05, 0.1, 0.25, 0.5, 1, 2, 5, 10, 25),
)


class Hearing:
    """Understands frames of clients."""

    def __init__(self, seats: Seats, keys: Keys, ephemera: Ephemera, presence: Presence) -> None:
        self._seats = seats
        self._keys = keys
        self._ephemera = ephemera
        self._presence = presence

    def hear(self, client: Client, frame: bytes) -> None:
        """Take in a frame."""
        seat = self._seats.of(client)
        if seat is None:
            return
        client.heard_at = time.monotonic()
        try:
            said = models.parse_frame(frame)
        except Invalid as problem:
            self._seats.end(client, Close.BAD_FRAME, problem.detail)
            return
        cost = RENEWAL_COST if isinstance(said, Renew) else 1
        if client.is_flooding(int(client.heard_at), MAX_FRAMES_PER_SECOND, cost):
            self._seats.end(client, Close.BAD_FRAME, "too many frames")
            return
        self._act(seat.feed, client, said)

    def stop_typing(self, client: Client) -> None:
        """Take back what a client that is gone was typing."""
        for conversation_id in tuple(client.typing_in):
            self._type(client, Typing(conversation_id=conversation_id, is_typing=False))

    def _act(self, feed: Feed, client: Client, said: Said) -> None:
        if isinstance(said, Ack):
            self._ack(feed, client, said.cursor)
        elif isinstance(said, Typing):
            self._type(client, said)
        elif isinstance(said, Subscribe):
            self._subscribe(feed, client, said.channel)
        elif isinstance(said, Unsubscribe):
            self._unsubscribe(feed, client, said.channel)
        elif isinstance(said, State):
            client.is_away = said.state == "away"
            self._presence.state(feed, client, is_away=client.is_away)
        else:
            self._renew(client, said.token)

    def _ack(self, feed: Feed, client: Client, cursor: int) -> None:
        if cursor > max(feed.cursor, client.start):
            self._seats.end(client, Close.BAD_FRAME, "this cursor has not been sent yet")
            return
        last = feed.following.last_sent_to(client, feed.cursor)
        is_new = client.acked is None or cursor > client.acked
        if is_new and cursor <= last and (seconds := feed.seconds_since(cursor)) is not None:
            ACKED.observe(seconds)
        client.ack(cursor, feed.following.sent_to(client), last)

    def _type(self, client: Client, typing: Typing) -> None:
        if isinstance(client.who, Visitor) and typing.conversation_id != client.who.conversation_id:
            self._seats.end(client, Close.BAD_FRAME, "not your conversation")
            return
        if typing.is_typing and len(client.typing_in) < MAX_TYPING_IN:
            client.typing_in.add(typing.conversation_id)
        elif not typing.is_typing:
            client.typing_in.discard(typing.conversation_id)
        self._ephemera.show_typing(client.who, typing.conversation_id, is_typing=typing.is_typing)

    def _subscribe(self, feed: Feed, client: Client, name: str) -> None:
        try:
            channel = models.channel_for(client.who, name, client.channels)
        except Invalid as problem:
            client.socket.send(models.refused(name, problem.detail))
            return
        feed.follow(client, channel)

    def _unsubscribe(self, feed: Feed, client: Client, name: str) -> None:
        try:
            channel = models.parse_channel(client.who, name)
        except Invalid as problem:
            client.socket.send(models.refused(name, problem.detail))
            return
        feed.unfollow(client, channel, models.unsubscribed(channel.name))

    def _renew(self, client: Client, token: str) -> None:
        try:
            who = self._keys.verify_realtime(token)
        except Unauthenticated as problem:
            self._seats.end(client, Close.TOKEN, problem.detail)
            return
        if not _is_same(client.who, who):
            self._seats.end(client, Close.TOKEN, "this token is of somebody else")
            return
        self._seats.renew(client, who)
        client.socket.send(models.renewed(self._seats.valid_seconds(client)))


def _is_same(one: Member | Visitor, other: Member | Visitor) -> bool:
    if isinstance(one, Visitor) and isinstance(other, Visitor):
        return (one.org_id, one.conversation_id, one.contact_id) == (
            other.org_id,
            other.conversation_id,
            other.contact_id,
        )
    if isinstance(one, Member) and isinstance(other, Member):
        return (one.org_id, one.user_id) == (other.org_id, other.user_id)
    return False
