"""Events waiting for their transaction to commit, encoded once for the log, the fan-out and the consumers."""

from datetime import datetime

import msgspec

from dana.contracts.events import Event, event_type
from dana.contracts.ids import EventId, new_id
from dana.platform.identity import Actor

_encoder = msgspec.json.Encoder()


class Outbox:
    """What one transaction has to say."""

    __slots__ = ("encoded", "types")

    def __init__(self) -> None:
        self.encoded: list[bytes] = []
        """Each event as JSON: id, type, version, aggregate_type, key, created_at, payload."""
        self.types: list[str] = []

    def add(self, event: Event, created_at: datetime) -> None:
        """Put an event in, in the order in which it is to be seen."""
        kind = event_type(type(event))
        self.types.append(kind)
        self.encoded.append(
            _encoder.encode(
                {
                    "id": EventId(new_id()),
                    "type": kind,
                    "version": event.version,
                    "aggregate_type": kind.partition("_")[0],
                    "key": event.key(),
                    "created_at": created_at,
                    "payload": event,
                }
            )
        )

    def as_json(self) -> str:
        """All events as one JSON array."""
        return (b"[" + b",".join(self.encoded) + b"]").decode()

    def __bool__(self) -> bool:
        return bool(self.encoded)


def actor_json(actor: Actor) -> str:
    """Encode who did it."""
    return _encoder.encode({"kind": actor.kind, "id": actor.id, "name": actor.name}).decode()
