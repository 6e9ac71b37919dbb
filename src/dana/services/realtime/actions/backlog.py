"""How much waits in this node for clients that read too slowly; bounded for all of them together."""

from collections.abc import Callable, Iterable

import structlog
from prometheus_client import Counter, Gauge

from dana.services.realtime.models import Client, Close

log = structlog.get_logger(__name__)

MAX_UNSENT_BYTES_OF_NODE = 256 * 1024 * 1024  # each may have 1 MiB, but not thousands of them at once
LOOK_EVERY_BYTES = 32 * 1024 * 1024  # sent since the last look: so much may the bound be passed by

SENT = Counter("dana_realtime_frames_total", "Event frames sent to sockets.")
UNSENT = Gauge("dana_realtime_unsent_bytes", "What waited for slow clients, when last looked.")

End = Callable[[Client, int, str], None]


class Backlog:
    """Looks at the sockets that are paused, and ends the slowest when there is too much."""

    def __init__(self, clients: Iterable[Client], end: End) -> None:
        self._clients = clients
        self._end = end
        self._since_look = 0
        self._frames = 0

    def add(self, frames: int, sent_bytes: int) -> None:
        """Note what has been given to sockets."""
        self._frames += frames
        self._since_look += sent_bytes
        if self._since_look >= LOOK_EVERY_BYTES:
            self.look()

    def look(self) -> None:
        """Add up what waits, and end the slowest clients until it fits."""
        self._since_look = 0
        SENT.inc(self._frames)  # a counter takes a lock, which is too much for each event
        self._frames = 0
        paused = [client for client in tuple(self._clients) if client.socket.is_paused]
        waiting = {client: client.socket.unsent_bytes for client in paused}
        total = sum(waiting.values())
        for client in sorted(waiting, key=waiting.__getitem__, reverse=True):
            if total <= MAX_UNSENT_BYTES_OF_NODE:
                break
            self._end(client, Close.TOO_SLOW, "too slow, and many others are too")
            total -= waiting[client]
        UNSENT.set(total)
