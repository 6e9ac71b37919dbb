"""Who follows what, so that an event finds its sockets without touching any other."""

from collections.abc import Iterator
from typing import Any
from uuid import UUID

from dana.platform.identity import Member, Visitor
from dana.services.realtime.models.channels import (
    ADMIN_EVENTS,
    ORGANIZATION,
    SOMEBODYS,
    Channel,
    is_admin,
    may_see,
)
from dana.services.realtime.models.clients import Client
from dana.services.realtime.models.events import LoggedEvent

Clients = dict[Client, None]
"""In the order in which they came."""
Parcel = tuple[bytes, list[Client]]
"""One frame, and where it goes."""

_NOBODY: Clients = {}


class Following:
    """The sockets of one organization, by what they follow."""

    def __init__(self) -> None:
        self._clients: Clients = {}
        self._members: dict[Channel, Clients] = {}
        self._visitors: dict[UUID, Clients] = {}
        self._visitor_count = 0
        self._shown = 0  # events that those who follow the whole organization have been sent, so far

    def __contains__(self, client: Client) -> bool:
        return client in self._clients

    def __iter__(self) -> Iterator[Client]:
        return iter(tuple(self._clients))

    def add(self, client: Client) -> None:
        """Let a client have the events of its channels."""
        self._clients[client] = None
        if isinstance(client.who, Visitor):
            self._visitor_count += 1
            if client.channels:
                self._visitors.setdefault(client.who.conversation_id, {})[client] = None
            return
        for channel in client.channels:
            for key in _keys(channel):
                self._members.setdefault(key, {})[client] = None

    def remove(self, client: Client) -> None:
        """Let it have no more of them."""
        if client not in self._clients:
            return
        del self._clients[client]
        if isinstance(client.who, Visitor):
            self._visitor_count -= 1
            _drop(self._visitors, client.who.conversation_id, client)
            return
        for channel in client.channels:
            for key in _keys(channel):
                _drop(self._members, key, client)

    def parcels(self, event: LoggedEvent) -> list[Parcel]:
        """Return what is to be sent for an event, to each client once; it is counted as sent."""
        parcels: list[Parcel] = []
        if self._members and (frame := event.for_members) is not None:
            members = self._members_for(event)
            if members:
                parcels.append((frame, members))
        if event.key in self._visitors and (frame := event.for_visitor) is not None:
            visitors = self._visitors[event.key]
            _count(visitors, event.cursor)
            parcels.append((frame, list(visitors)))
        return parcels

    def goes_to_all_alike(self, event: LoggedEvent) -> bool:
        """Tell whether all sockets of members are sent an event, and nobody else: no need to look at each."""
        return (
            len(self._members.get(ORGANIZATION, _NOBODY)) == len(self._clients) - self._visitor_count > 0
            and event.key not in self._visitors
            and event.type not in ADMIN_EVENTS
            and event.for_members is not None
        )

    def show_to_all(self, event: LoggedEvent) -> bytes:
        """Return the frame of an event that goes to all alike; it is counted as sent."""
        self._shown += 1
        return event.for_members or b""

    def parcel_for_all(self, frame: bytes) -> Parcel:
        """Return a frame for everybody."""
        return frame, list(self._clients)

    def watching(self, conversation_id: UUID | None, *, with_visitors: bool) -> Iterator[Client]:
        """Return who may see what is fleeting in a conversation; without one, in the organization."""
        seen = self._members.get(ORGANIZATION, _NOBODY)
        yield from seen
        if conversation_id is not None:
            for client in self._members.get(Channel("conversation", conversation_id), _NOBODY):
                if client not in seen:
                    yield client
            if with_visitors:
                yield from self._visitors.get(conversation_id, _NOBODY)

    def sent_to(self, client: Client) -> int:
        """Return how many events a client has been sent so far."""
        return self._shown if ORGANIZATION in client.channels else client.sent

    def last_sent_to(self, client: Client, cursor: int) -> int:
        """Return the cursor of the last event that a client has been sent, when the feed is at this one."""
        return cursor if ORGANIZATION in client.channels else client.last_sent

    def _members_for(self, event: LoggedEvent) -> list[Client]:
        wide = self._members.get(ORGANIZATION, _NOBODY)
        narrow: Clients = {}
        if len(self._members) > (1 if wide else 0):
            for channel in event.channels:
                narrow.update(self._members.get(channel, _NOBODY))
            for client in [client for client in narrow if client in wide]:
                del narrow[client]
        if event.type in ADMIN_EVENTS:
            return [client for client in wide | narrow if _is_admin(client)]
        self._shown += 1
        if not narrow:
            return list(wide)
        _count(narrow, event.cursor)
        return [*wide, *narrow]


def frame_for(client: Client, event: LoggedEvent) -> bytes | None:
    """Return what a client is sent of an event, as `parcels` would; None when it is none of its business."""
    if isinstance(client.who, Visitor):
        is_his = event.key == client.who.conversation_id and bool(client.channels)
        return event.for_visitor if is_his else None
    if event.for_members is None or not may_see(client.who, event.type):
        return None
    if ORGANIZATION in client.channels or not client.channels.isdisjoint(event.channels):
        return event.for_members
    is_somebodys = SOMEBODYS in event.channels and any(channel.kind == "me" for channel in client.channels)
    return event.for_members if is_somebodys else None


def _is_admin(client: Client) -> bool:
    return isinstance(client.who, Member) and is_admin(client.who)


def _keys(channel: Channel) -> tuple[Channel, ...]:
    return (channel, SOMEBODYS) if channel.kind == "me" else (channel,)


def _count(clients: Clients, cursor: int) -> None:
    for client in clients:
        client.sent += 1
        client.last_sent = cursor


def _drop(clients_of: dict[Any, Clients], key: object, client: Client) -> None:
    clients = clients_of.get(key)
    if clients is not None:
        clients.pop(client, None)
        if not clients:
            del clients_of[key]
