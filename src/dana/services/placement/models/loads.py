"""How busy an organization is: a moving average of its events, so that no single minute decides. Pure."""

import math
from datetime import datetime
from typing import NamedTuple

import msgspec

from dana.contracts.ids import OrgId

SECONDS_PER_HOUR = 3600.0
MEMORY_SECONDS = SECONDS_PER_HOUR  # after so long, a former rate counts for a third


class Sample(msgspec.Struct, frozen=True, kw_only=True):
    """An organization as its shard shows it."""

    org_id: OrgId
    cursor: int
    size_bytes: int


class Load(NamedTuple):
    """What is known of an organization's events."""

    cursor: int
    events_per_hour: float
    sampled_at: datetime


def updated(known: Load | None, cursor: int, at: datetime) -> Load:
    """Take one more look into account. The first says nothing yet: since when the events are is unknown."""
    if known is None:
        return Load(cursor, 0.0, at)
    seconds = (at - known.sampled_at).total_seconds()
    if seconds <= 0:
        return known
    rate = max(0, cursor - known.cursor) / seconds * SECONDS_PER_HOUR  # a restored shard may be behind
    kept = math.exp(-seconds / MEMORY_SECONDS)
    return Load(cursor, kept * known.events_per_hour + (1 - kept) * rate, at)
