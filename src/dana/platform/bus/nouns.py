"""The nouns of the bus: lanes, who consumes, and what they are given."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from dana.contracts.events import Event
from dana.contracts.ids import EventId, OrgId
from dana.platform.database import Tx


class Lane(StrEnum):
    """Priority classes; each has its own pool, so that none waits behind another."""

    LIVE = "live"
    SEND = "send"
    AI = "ai"
    ANALYTICS = "analytics"
    BULK = "bulk"


# An answer mostly waits for a model server, so many may wait at once.
SLOTS = {Lane.LIVE: 8, Lane.SEND: 8, Lane.AI: 48, Lane.ANALYTICS: 2, Lane.BULK: 3}
# How many deliveries of one organization a lane works on at once, all processes together. Half of what one
# process has, so that even there a newcomer finds a free slot beside whoever floods the lane; in the bulk
# lane, where a delivery may take a minute and one at a time is slow for everybody, two of three.
MOST_OF_ONE = {Lane.LIVE: 4, Lane.SEND: 4, Lane.AI: 24, Lane.ANALYTICS: 1, Lane.BULK: 2}


@dataclass(frozen=True, slots=True)
class Envelope:
    """What stands around an event."""

    id: EventId
    org_id: OrgId
    cursor: int
    attempt: int
    created_at: datetime


@dataclass(frozen=True, slots=True)
class Consumer:
    """Runs in a transaction that also finishes the delivery: its effects happen exactly once."""

    event: type[Event]
    run: Callable[[Tx, Any], Awaitable[None]]
    lane: Lane = Lane.LIVE
    delay_seconds: float = 0


@dataclass(frozen=True, slots=True)
class Worker:
    """Runs outside any transaction, may take long, and must bear being run twice."""

    event: type[Event]
    run: Callable[[Envelope, Any], Awaitable[None]]
    lane: Lane
    delay_seconds: float = 0


@dataclass(frozen=True, slots=True)
class Delivery:
    """One claimed event."""

    envelope: Envelope
    shard: str
    token: UUID
    type: str
    payload: str
