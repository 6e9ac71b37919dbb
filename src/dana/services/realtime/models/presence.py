"""Presence: who is there in a channel, put together from what each node says of its own people. Pure."""

from collections.abc import Iterable, Mapping
from typing import Literal

import msgspec

from dana.platform.identity import Member
from dana.services.realtime.models.clients import Client

MAX_PEOPLE = 200  # in a list; a screen shows fewer, and everybody who looks gets all of them anew


class Person(msgspec.Struct, frozen=True):
    """Somebody who is there, as one node sees it: all their sockets on it together."""

    kind: Literal["member", "visitor"]
    name: str
    state: Literal["online", "away"]


People = dict[str, Person]
"""By the id of the member or contact."""


def present(clients: Iterable[Client]) -> bytes:
    """Write down somebody who is there with these sockets: away only when away at all of them."""
    clients = list(clients)
    person = Person(
        kind="member" if isinstance(clients[0].who, Member) else "visitor",
        name=clients[-1].who.name,
        state="away" if all(client.is_away for client in clients) else "online",
    )
    return msgspec.json.encode(person)


def add_people(people: People, entries: Mapping[str, bytes]) -> None:
    """Add what one more node says; whoever is online anywhere is online."""
    for person, entry in entries.items():
        try:
            added = _person.decode(entry)
        except msgspec.DecodeError:
            continue  # of a version that isn't known here
        known = people.get(person)
        if known is None or known.state == "away":
            people[person] = added


def presence(channel: str, people: People) -> bytes:
    """Make the frame with a channel's whole list: those online first, then by name."""
    listed = sorted(people.items(), key=lambda each: (each[1].state != "online", each[1].name, each[0]))
    shown = [{"id": person, **msgspec.structs.asdict(is_there)} for person, is_there in listed[:MAX_PEOPLE]]
    frame: dict[str, object] = {"type": "presence", "channel": channel, "people": shown}
    if len(listed) > MAX_PEOPLE:
        frame["count"] = len(listed)
    return msgspec.json.encode(frame)


_person = msgspec.json.Decoder(Person)
