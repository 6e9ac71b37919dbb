"""What one feed has to send, in order: an event begins only when the one before has gone to everybody.

Events that wait and go to the same sockets begin and leave together.

The sockets of an event are fixed when it begins. So whoever joins at the feed's cursor gets exactly what
comes after it, and what must fall between two events (a subscription) waits for that moment.
"""

import asyncio
import time
from collections import deque
from collections.abc import Callable

import structlog
from prometheus_client import Counter

from dana.services.realtime import models
from dana.services.realtime.actions.backlog import Backlog
from dana.services.realtime.actions.rounds import Rounds
from dana.services.realtime.models import Client, Following, LoggedEvent, Parcel

log = structlog.get_logger(__name__)

RIGHTS_EVENTS = frozenset({"member_changed"})  # what comes after one may be for others
MOST_TOGETHER = 16  # events in one system call
MOST_TOGETHER_BYTES = 32 * 1024
MAX_QUEUED = 2_000  # events; what comes beyond is read from the log later
MAX_FLEETING = 64  # a reader of drafts wants the newest, so the oldest go
TIMED = 512  # events of which it is known when they were sent

DROPPED = Counter(
    "dana_realtime_ephemera_dropped_total", "Fleeting frames not sent: to slow sockets, or too many."
)


class Outgoing:
    """The events of one organization on their way into sockets."""

    def __init__(
        self, following: Following, rounds: Rounds, backlog: Backlog, finished: Callable[[LoggedEvent], None]
    ) -> None:
        self.cursor = -1
        """Of the newest event that has begun."""
        self.accepted = -1
        """Of the newest event that waits here, or has begun."""
        self._following = following
        self._rounds = rounds
        self._backlog = backlog
        self._finished = finished
        self._began: Callable[[LoggedEvent], None] = lambda _: None
        self._queue: deque[LoggedEvent] = deque()
        self._current: list[LoggedEvent] = []
        self._parcels: list[Parcel] = []
        self._together: list[bytes] = []
        self._at = 0
        self._between: deque[Callable[[], None]] = deque()
        self._fleeting: deque[tuple[bytes, bytes, list[Client]]] = deque(maxlen=MAX_FLEETING)
        self._waiters: list[tuple[int, asyncio.Future[None]]] = []
        self._timed: deque[float] = deque(maxlen=TIMED)

    @property
    def settled(self) -> int:
        """Up to which cursor everybody has been sent everything."""
        return self.cursor - max(1, len(self._current)) if self._parcels else self.cursor

    @property
    def is_full(self) -> bool:
        """Whether no more is taken in."""
        return len(self._queue) >= MAX_QUEUED

    @property
    def is_busy(self) -> bool:
        """Whether durable frames wait."""
        return bool(self._queue or self._parcels or self._between)

    @property
    def is_flashing(self) -> bool:
        """Whether fleeting frames wait."""
        return bool(self._fleeting)

    def watch(self, began: Callable[[LoggedEvent], None]) -> None:
        """Tell somebody of each event that begins."""
        self._began = began

    def start_at(self, cursor: int) -> None:
        """Go on from a cursor; the next event is the one after it."""
        self.cursor = self.accepted = cursor

    def push(self, event: LoggedEvent) -> None:
        """Send an event, the next after the newest that was accepted."""
        self._queue.append(event)
        self.accepted = event.cursor
        self._rounds.join(self)

    def between(self, act: Callable[[], None]) -> None:
        """Do something when no event is half sent: at once, if that is now."""
        if self._parcels or self._between:
            self._between.append(act)
            self._rounds.join(self)
        else:
            act()

    def start_anew(self, cursor: int, position: str | None) -> None:
        """Give up on single events: let everybody fetch the state, and go on from a cursor."""
        self._queue.clear()
        self._parcels.clear()
        self._finish()
        self.start_at(cursor)
        self._timed.clear()
        self._at = 0
        self._parcels.append(self._following.parcel_for_all(models.resync(cursor, position)))
        self._rounds.join(self)
        self._tell_waiters()

    def flash(self, frame: bytes, origin: bytes, clients: list[Client]) -> None:
        """Send a frame that nobody will miss to those of these clients that keep up."""
        if clients:
            self._fleeting.append((frame, origin, clients))
            self._rounds.flash(self)

    async def reached(self, cursor: int) -> None:
        """Return when the event with this cursor has begun."""
        if self.cursor < cursor:
            waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._waiters.append((cursor, waiter))
            await waiter

    def seconds_since(self, cursor: int) -> float | None:
        """Return how long ago an event was sent; None when that isn't known any more."""
        back = self.cursor - cursor
        return time.monotonic() - self._timed[-1 - back] if 0 <= back < len(self._timed) else None

    def send_some(self, most: int) -> int:
        """Send at most so many durable frames, and return how many; an event of nobody counts as one."""
        used = 0
        while used < most:
            if self._parcels:
                used += self._send(most - used)
            elif self._between:
                self._between.popleft()()
                used += 1
            elif self._queue:
                self._begin(self._queue.popleft())
                used += not self._parcels
            else:
                break
        return used

    def flash_some(self, most: int) -> int:
        """Send at most so many fleeting frames, and return how many."""
        frame, origin, clients = self._fleeting.popleft()
        now, later = clients[:most], clients[most:]
        for client in now:
            if client.socket.is_paused:
                DROPPED.inc()
            elif client.origin != origin:
                client.socket.send(frame)
        if later:
            self._fleeting.appendleft((frame, origin, later))
        return len(now)

    def _begin(self, event: LoggedEvent) -> None:
        self._at = 0
        self._note(event)
        try:
            self._parcels = self._following.parcels(event)
        except Exception:  # nobody can be told of it as it is; what came of it can be fetched
            log.exception("event_unreadable", type=event.type, cursor=event.cursor)
            self._parcels = [self._following.parcel_for_all(models.resync(event.cursor, event.position))]
        else:
            self._gather(event)
        self._tell_waiters()
        if not self._parcels:
            self._finish()

    def _note(self, event: LoggedEvent) -> None:
        self.cursor = event.cursor
        self._timed.append(self._rounds.now)
        self._current.append(event)
        self._began(event)

    def _gather(self, event: LoggedEvent) -> None:
        """Send with an event those after it that go to the same sockets: one system call instead of each."""
        following, size = self._following, event.size_bytes
        while self._queue and len(self._current) < MOST_TOGETHER and not self._between:
            after = self._queue[0]
            size += after.size_bytes
            is_alike = size < MOST_TOGETHER_BYTES and event.type not in RIGHTS_EVENTS
            if not (is_alike and following.goes_to_all_alike(event) and following.goes_to_all_alike(after)):
                break
            if not self._together:
                self._together.append(self._parcels[0][0])
            event = self._queue.popleft()
            self._note(event)
            self._together.append(following.show_to_all(event))

    def _send(self, most: int) -> int:
        frame, clients = self._parcels[-1]
        some = clients[self._at : self._at + most] if len(clients) > most or self._at else clients
        frames = self._together
        for client in some:
            try:
                if frames:
                    client.socket.send_all(frames)
                else:
                    client.socket.send(frame)
            except Exception:  # one socket's trouble is not its neighbours'
                log.exception("socket_failed")
        self._at += len(some)
        size = sum(map(len, frames)) if frames else len(frame)
        self._backlog.add(len(some) * (len(frames) or 1), size * len(some))
        if self._at >= len(clients):
            self._at = 0
            self._parcels.pop()
            if not self._parcels:
                self._finish()
        return len(some)

    def _finish(self) -> None:
        events, self._current, self._together = self._current, [], []
        for event in events:
            self._finished(event)

    def _tell_waiters(self) -> None:
        if not self._waiters:
            return
        for cursor, waiter in self._waiters:
            if cursor <= self.cursor and not waiter.done():
                waiter.set_result(None)
        self._waiters = [(cursor, waiter) for cursor, waiter in self._waiters if not waiter.done()]
