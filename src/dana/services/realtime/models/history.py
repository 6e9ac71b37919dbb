"""What Valkey remembers of an organization's newest events, and how much of it is to be believed."""

from collections.abc import Iterable

from dana.platform.fanout import Events
from dana.services.realtime.models.events import LoggedEvent


def believed(remembered: Iterable[Events], cursor: int, event_id: str) -> list[LoggedEvent]:
    """Return the events without a gap up to the log's newest, oldest first; none unless they agree with it.

    Valkey is no log: it forgets, and after a restore of databases it may know events that never were. So the
    newest event must be the one that the log names, and no cursor may have been given twice.
    """
    found: dict[int, LoggedEvent] = {}
    for message in remembered:
        for at, committed in enumerate(message.events, message.first_cursor):
            event = LoggedEvent.published(at, committed)
            if at in found and found[at].id != event.id:
                return []
            found[at] = event
    if cursor not in found or found[cursor].id != event_id:
        return []
    first = cursor
    while first - 1 in found:
        first -= 1
    return [found[at] for at in range(first, cursor + 1)]
