"""The base of all events."""

import re
from functools import cache
from typing import ClassVar
from uuid import UUID

import msgspec

from dana.contracts.views import LongJobView


class Event(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A fact. Its organization, id, time and cursor stand in the log beside it, not inside it."""

    version: ClassVar[int] = 1

    def key(self) -> UUID | None:
        """Name the thing whose events must be consumed in order, such as the conversation."""
        return None


class LongJobAdvanced(Event, frozen=True):
    """A long job was asked for, has come one chunk further, or has ended.

    Each service that has long jobs publishes a class of its own, and consumes it to do the next chunk.
    """

    job: LongJobView

    def key(self) -> UUID:
        """Order by job."""
        return self.job.id


@cache
def event_type(event: type[Event]) -> str:
    """Name an event class on the wire: `MessageAppended` is `message_appended`."""
    return re.sub(r"(?<!^)(?=[A-Z])", "_", event.__name__).lower()
