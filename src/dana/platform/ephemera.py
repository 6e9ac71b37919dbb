"""Ephemera: what is worth showing now and nothing later, such as who is typing and a half-written answer.

It goes straight to the sockets and never touches the database. Of each thing only the newest state counts,
so a fast writer is slowed down to what an eye can follow, an organization with many writers to what its nodes
can show, and the last state arrives all the same.
"""

import asyncio
import time
from collections import Counter
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import msgspec
import prometheus_client

from dana.contracts.ids import ConversationId, OrgId
from dana.platform.fanout import NOBODY, Fanout, Fleeting
from dana.platform.identity import Member, Visitor

PAUSE_SECONDS = 0.05  # 20 frames a second for each draft or typist
MAX_THINGS = 20_000
MAX_THINGS_OF_ORGANIZATION = 2_000  # so that ten of them have to do the same before others are turned away
MAX_SHOWN_PER_SECOND = 500  # of one organization, by this process: 25 drafts at full speed
LATER_SECONDS = 0.5  # until an organization that shows too much tries again

UNSHOWN = prometheus_client.Counter(
    "dana_ephemera_unshown_total", "Fleeting states that were not published, as there were too many."
)

_Thing = tuple[OrgId, UUID | None, str, str, bytes]


@dataclass(slots=True)
class _Newest:
    """A state that waits for its turn; None while the thing is only resting."""

    message: Fleeting | None = None


class Ephemera:
    """Publishes fleeting states to the sockets of an organization."""

    def __init__(self, fanout: Fanout) -> None:
        self._fanout = fanout
        self._resting: dict[_Thing, _Newest] = {}
        self._things_of: Counter[OrgId] = Counter()
        self._shown_of: Counter[OrgId] = Counter()
        self._second = 0

    def publish(
        self,
        org_id: OrgId,
        conversation_id: ConversationId | None,
        payload: dict[str, Any],
        *,
        origin: UUID | None = None,
    ) -> None:
        """Show a state to the members, and to the conversation's visitor unless he is its author.

        `payload` has a `name` ("typing", "draft") and its fields; `origin` is the person who doesn't need
        to see it. Never waits, never fails.
        """
        message = Fleeting(
            is_for_visitors=conversation_id is not None and payload.get("who") != "customer",
            origin=origin_of(origin),
            conversation_id=conversation_id,
            frame=msgspec.json.encode({"type": "ephemeral", "conversation_id": conversation_id, **payload}),
        )
        thing = (
            org_id,
            conversation_id,
            str(payload.get("name")),
            str(payload.get("message_id") or payload.get("who")),
            message.origin,
        )
        newest = self._resting.get(thing)
        if newest is not None:
            newest.message = message
        elif len(self._resting) < MAX_THINGS and self._things_of[org_id] < MAX_THINGS_OF_ORGANIZATION:
            self._show(thing, message)
        else:
            UNSHOWN.inc()

    def show_typing(self, who: Member | Visitor, conversation_id: ConversationId, *, is_typing: bool) -> None:
        """Show that somebody is typing, or has stopped."""
        self.publish(
            who.org_id,
            conversation_id,
            {
                "name": "typing",
                "who": "agent" if isinstance(who, Member) else "customer",
                "author_name": who.name,
                "is_typing": is_typing,
            },
            origin=who.user_id if isinstance(who, Member) else who.contact_id,
        )

    def _show(self, thing: _Thing, message: Fleeting) -> None:
        org_id, pause = thing[0], PAUSE_SECONDS
        newest = self._resting[thing] = _Newest()
        self._things_of[org_id] += 1
        if self._may_show(org_id):
            self._fanout.fleeting(org_id, message)
        else:
            newest.message, pause = message, LATER_SECONDS
        asyncio.get_running_loop().call_later(pause, self._wake, thing)

    def _may_show(self, org_id: OrgId) -> bool:
        """Count one more; false when the organization has shown enough in this second."""
        second = int(time.monotonic())
        if second != self._second:
            self._second = second
            self._shown_of.clear()
        self._shown_of[org_id] += 1
        return self._shown_of[org_id] <= MAX_SHOWN_PER_SECOND

    def _wake(self, thing: _Thing) -> None:
        newest = self._resting.pop(thing)
        self._things_of[thing[0]] -= 1
        if not self._things_of[thing[0]]:
            del self._things_of[thing[0]]
        if newest.message is not None:
            self._show(thing, newest.message)


def origin_of(person: UUID | None) -> bytes:
    """Shorten a person's id to the random bits at its end, as a mark in a message."""
    return NOBODY if person is None else person.bytes[8:]
