"""The board of one organization on this node: which of its people are here, and the lists shown to them.

    own    (channel, person) → sockets, and what stands in Valkey of them
    shown  channel → the newest list, and the sockets that are still to get it

Visitors are on the lists of their conversations but aren't shown any: who looks on is not their business.
"""

import time
from collections import deque
from dataclasses import dataclass, field

from prometheus_client import Gauge

from dana.contracts.ids import OrgId
from dana.platform.identity import Member
from dana.services.realtime import models
from dana.services.realtime.actions.feed import Feed
from dana.services.realtime.actions.roster import Line
from dana.services.realtime.models import ORGANIZATION, Client

GRACE_SECONDS = 3.0  # a reload of a page is no departure
REWRITE_SECONDS = 30.0  # for what Valkey may have lost without anybody's noticing
LIST_SECONDS = 1.0  # at most one list of a channel in this time
LIST_BYTES_PER_SECOND = 8 * 1024 * 1024  # of a channel: a list of 200 for 400 sockets is one a second
MAX_LIST_SECONDS = 30.0

PRESENT = Gauge("dana_realtime_present", "People with a socket on this node.", ["audience"])

UNSURE = b""
Spot = tuple[str, str]
"""A channel, and a person in it."""


@dataclass(slots=True)
class Own:
    """One person in one channel, at sockets of this node."""

    audience: str | None
    """As what they are counted; None where they aren't, because they are counted elsewhere."""
    clients: dict[Client, None] = field(default_factory=dict)
    written: bytes | None = None
    """What Valkey has been told; None when nothing, UNSURE when it may have forgotten."""
    left_at: float = 0.0

    @property
    def is_over(self) -> bool:
        """Whether they are gone, and not just for a moment."""
        return not self.clients and self.left_at + GRACE_SECONDS <= time.monotonic()


@dataclass(slots=True)
class Shown:
    """One channel's list, as far as members on this node follow it."""

    clients: dict[Client, None] = field(default_factory=dict)
    frame: bytes | None = None
    nodes: frozenset[str] = frozenset()
    """Who has said something that is in it."""
    is_due: bool = True
    not_before: float = 0.0
    pending: dict[Client, None] = field(default_factory=dict)
    late: dict[Client, None] = field(default_factory=dict)
    """Those who don't keep up: they get the list, whatever it then is, when they do."""


class Board:
    """Who is here, and who is shown what; it sends lists by itself when nothing durable waits."""

    is_busy = False

    def __init__(self, org_id: OrgId, feed: Feed) -> None:
        self.org_id = org_id
        self.feed = feed
        self.shown: dict[str, Shown] = {}
        self._own: dict[Spot, Own] = {}
        self._dirty: dict[Spot, None] = {}
        self._leaving: deque[tuple[float, Spot]] = deque()
        self._rewrites: deque[tuple[float, Spot, Own]] = deque()
        self._unsent: dict[str, None] = {}

    @property
    def is_empty(self) -> bool:
        """Whether nobody is here, and nothing is left to say of anybody."""
        return not (self._own or self.shown)

    @property
    def is_flashing(self) -> bool:
        """Whether lists wait to be sent."""
        return bool(self._unsent)

    def enter(self, client: Client, channel: str) -> None:
        """Note that a client has come to a channel."""
        spot = (channel, str(client.person))
        own = self._own.get(spot)
        if own is None:
            own = self._own[spot] = Own(_audience(client, channel))
            self._rewrites.append((time.monotonic() + REWRITE_SECONDS, spot, own))
            if own.audience is not None:
                PRESENT.labels(own.audience).inc()
        own.clients[client] = None
        self._dirty[spot] = None

    def exit(self, client: Client, channel: str) -> None:
        """Note that it has gone from there; who has no other socket is missed after the grace."""
        spot = (channel, str(client.person))
        own = self._own.get(spot)
        if own is None or client not in own.clients:
            return
        del own.clients[client]
        self._dirty[spot] = None
        if not own.clients:
            own.left_at = time.monotonic()
            self._leaving.append((own.left_at + GRACE_SECONDS, spot))

    def turn(self, client: Client, channel: str) -> None:
        """Note that a client there has turned away from the screen, or is back."""
        self._dirty[channel, str(client.person)] = None

    def show(self, client: Client, channel: str) -> None:
        """Show a client who is in a channel, from now on."""
        shown = self.shown.setdefault(channel, Shown())
        shown.clients[client] = None
        shown.pending[client] = None
        self._send(channel, shown)

    def hide(self, client: Client, channel: str) -> None:
        """Show it no longer."""
        shown = self.shown.get(channel)
        if shown is None:
            return
        for those in (shown.clients, shown.pending, shown.late):
            those.pop(client, None)
        if not shown.clients:
            del self.shown[channel]

    def changed(self, channel: str) -> None:
        """Have a list read again, soon."""
        if (shown := self.shown.get(channel)) is not None:
            shown.is_due = True

    def died(self, nodes: frozenset[str]) -> None:
        """Have the lists read again in which dead nodes have said something."""
        for shown in self.shown.values():
            if not nodes.isdisjoint(shown.nodes):
                shown.is_due = True

    def doubt(self) -> None:
        """Take it that Valkey has forgotten everything."""
        for spot, own in self._own.items():
            own.written = UNSURE
            self._dirty[spot] = None
        for shown in self.shown.values():
            shown.is_due = True

    def due(self) -> list[tuple[str, Shown]]:
        """Return the lists that are to be read now; those who didn't keep up get another chance meanwhile."""
        now = time.monotonic()
        found = []
        for channel, shown in self.shown.items():
            if shown.is_due and shown.not_before <= now:
                found.append((channel, shown))
            if shown.late:
                shown.pending |= shown.late
                shown.late = {}
                self._send(channel, shown)
        return found

    def listed(self, channel: str, frame: bytes, nodes: frozenset[str]) -> None:
        """Show a list that has been read, to everybody if it has changed, else to who has none yet."""
        shown = self.shown.get(channel)
        if shown is None:
            return
        if frame != shown.frame:
            shown.pending = dict(shown.clients)
            shown.late = {}
        shown.frame, shown.nodes = frame, nodes
        shown.not_before = time.monotonic() + _pause(len(frame) * len(shown.clients))
        self._send(channel, shown)

    def lines(self) -> list[Line]:
        """Take out what is to be written now."""
        now = time.monotonic()
        while self._leaving and self._leaving[0][0] <= now:
            self._dirty[self._leaving.popleft()[1]] = None
        dirty, self._dirty = self._dirty, {}
        lines = [line for spot in dirty if (line := self._line(spot)) is not None]
        while self._rewrites and self._rewrites[0][0] <= now:
            _, spot, own = self._rewrites.popleft()
            if self._own.get(spot) is own:
                self._rewrites.append((now + REWRITE_SECONDS, spot, own))
                if own.written is not None and spot not in dirty and own.clients:
                    lines.append(Line(self.org_id, *spot, models.present(own.clients)))
        return lines

    def wrote(self, line: Line) -> bool:
        """Note that Valkey has taken a line; returns whether it says something else than before."""
        spot = (line.channel, line.person)
        own = self._own.get(spot)
        if own is None:
            return False
        before, own.written = own.written, line.entry
        if line.entry is None and own.is_over:
            del self._own[spot]
            if own.audience is not None:
                PRESENT.labels(own.audience).dec()
        return before is not None and before != line.entry

    def failed(self, line: Line) -> None:
        """Note that Valkey may not have taken a line."""
        spot = (line.channel, line.person)
        if (own := self._own.get(spot)) is not None:
            own.written = UNSURE
            self._dirty[spot] = None

    def send_some(self, most: int) -> int:
        """Send nothing: nobody waits for a list."""
        return 0

    def flash_some(self, most: int) -> int:
        """Send lists to at most so many clients, and return to how many."""
        used = 0
        while self._unsent and used < most:
            channel = next(iter(self._unsent))
            shown = self.shown.get(channel)
            if shown is None or shown.frame is None or not shown.pending:
                del self._unsent[channel]
                continue
            client = next(iter(shown.pending))
            del shown.pending[client]
            used += 1
            if client.socket.is_paused:
                shown.late[client] = None
            else:
                client.socket.send(shown.frame)
        return used

    def _line(self, spot: Spot) -> Line | None:
        own = self._own.get(spot)
        if own is None or (not own.clients and not own.is_over):
            return None
        entry = models.present(own.clients) if own.clients else None
        return None if entry is not None and entry == own.written else Line(self.org_id, *spot, entry)

    def _send(self, channel: str, shown: Shown) -> None:
        if shown.frame is not None and shown.pending:
            self._unsent[channel] = None
            self.feed.flash(self)


def _pause(list_bytes: int) -> float:
    """Return how long a list stands that has cost so much: everybody gets all of it each time."""
    return min(max(LIST_SECONDS, list_bytes / LIST_BYTES_PER_SECOND), MAX_LIST_SECONDS)


def _audience(client: Client, channel: str) -> str | None:
    if not isinstance(client.who, Member):
        return "visitor"
    return "member" if channel == ORGANIZATION.name else None
