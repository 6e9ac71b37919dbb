"""Events waiting for their transaction to commit, encoded once for the log, the fan-out and the consumers."""

from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

import msgspec

from dana.contracts.events import Event, event_type
from dana.contracts.ids import EventId, new_id
from dana.platform.identity import Actor
from dana.platform.positions import Position

_encoder = msgspec.json.Encoder()

EMIT = "select platform.emit($1, $2, $3, $4, $5, $6, $7, $8, $9)"


class Pending(NamedTuple):
    """An event as it will stand in the log; `payload` is the event as JSON."""

    id: EventId
    type: str
    version: int
    aggregate_type: str
    key: UUID | None
    payload: bytes
    due: datetime | None = None


class Outbox:
    """What one transaction has to say, in the order in which it is to be seen."""

    __slots__ = ("created_at", "events", "position", "shard")

    def __init__(self, created_at: datetime, shard: str) -> None:
        self.created_at = created_at
        self.shard = shard
        self.events: list[Pending] = []
        self.position: Position | None = None
        """Where a replica must have come to show it; known after the commit, on shards with replicas."""

    def add(self, event: Event, due: datetime | None = None) -> None:
        """Put an event in; consumers get it when it is due, at once by default."""
        kind = event_type(type(event))
        aggregate = kind.partition("_")[0]
        payload = _encoder.encode(event)
        self.events.append(
            Pending(EventId(new_id()), kind, event.version, aggregate, event.key(), payload, due)
        )

    def arguments(self, actor: Actor) -> tuple[Any, ...]:
        """Return the arguments of `EMIT`."""
        ids, types, versions, aggregates, keys, payloads, dues = zip(*self.events, strict=True)
        texts = [payload.decode() for payload in payloads]
        who = _encoder.encode({"kind": actor.kind, "id": actor.id, "name": actor.name}).decode()
        return ids, types, versions, aggregates, keys, texts, self.created_at, who, dues

    def __bool__(self) -> bool:
        return bool(self.events)
