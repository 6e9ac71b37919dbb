"""Server-sent events: a `Socket` that only speaks, for where something on the way lets no WebSocket through.

hub ─► StreamSocket (a bounded queue) ─► flow ─► the answer of one HTTP request, a frame an event
"""

import asyncio
import re
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress

from dana.platform.http.asgi import Receive, Send
from dana.services.realtime.adapters.sockets import (
    DRAIN_SECONDS,
    GOODBYE_SECONDS,
    MAX_UNSENT_BYTES,
    farewell,
)
from dana.services.realtime.models import Close

RETRY_MS = 2_000  # when a browser comes back by itself after a cut; `bye` says it better
PAUSED_BYTES = 64 * 1024  # what the system's buffer holds of a socket
CHUNK_BYTES = 64 * 1024
HEADERS = (
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-store, no-transform"),
    (b"x-accel-buffering", b"no"),  # nginx and its kin would wait for more otherwise
)
_CURSOR = re.compile(rb'\{"type":"(?:event|heartbeat|hello|resync)","cursor":([0-9]+)')
_LINE_BREAK = re.compile(rb"\r\n|\r|\n")


class StreamSocket:
    """A `Socket` whose frames wait in a queue for whoever answers the request."""

    __slots__ = ("_changed", "_loop", "_queue", "_taken", "is_open", "over", "unsent_bytes")

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._queue: deque[bytes] = deque()
        self._changed = asyncio.Event()
        self._taken = asyncio.Event()
        self.over = asyncio.Event()
        """Set when nobody waits for anything more from it."""
        self.unsent_bytes = 0
        self.is_open = True

    @property
    def is_paused(self) -> bool:
        """Whether the client reads more slowly than we write."""
        return self.unsent_bytes > PAUSED_BYTES

    def send(self, frame: bytes) -> None:
        """Queue a frame, or end a client that doesn't keep up."""
        if not self.is_open:
            return
        if self.unsent_bytes > MAX_UNSENT_BYTES:
            self.close(Close.TOO_SLOW, "too slow")
            return
        self._push(as_event(frame))

    def send_all(self, frames: Sequence[bytes]) -> None:
        """Queue several."""
        for frame in frames:
            self.send(frame)

    def close(self, code: int, reason: str, retry_ms: int | None = None) -> None:
        """Say goodbye; what is queued leaves first, if it leaves soon."""
        if not self.is_open:
            return
        self._push(as_event(farewell(code, reason, retry_ms)))
        self._end()
        self._loop.call_later(GOODBYE_SECONDS, self.abandon)

    async def drained(self) -> None:
        """Wait until the client has taken most of it; a client that takes nothing for long is cut."""
        with suppress(TimeoutError):
            async with asyncio.timeout(DRAIN_SECONDS):
                while self.is_paused and self.is_open:
                    self._taken.clear()
                    await self._taken.wait()
            return
        self.close(Close.TOO_SLOW, "too slow")

    async def next(self) -> bytes:
        """Return what has been queued, as one piece; nothing when it is over."""
        while self.is_open and not self._queue:
            self._changed.clear()
            await self._changed.wait()
        pieces, size = [], 0
        while self._queue and size < CHUNK_BYTES:
            pieces.append(self._queue.popleft())
            size += len(pieces[-1])
        self.unsent_bytes -= size
        self._taken.set()
        return b"".join(pieces)

    def abandon(self) -> None:
        """Forget what is queued: nobody takes it any more."""
        self.over.set()
        self._queue.clear()
        self.unsent_bytes = 0
        self._end()

    def _push(self, piece: bytes) -> None:
        self._queue.append(piece)
        self.unsent_bytes += len(piece)
        self._changed.set()

    def _end(self) -> None:
        self.is_open = False
        self._changed.set()
        self._taken.set()


async def flow(socket: StreamSocket, receive: Receive, send: Send, leave: Callable[[], None]) -> None:
    """Answer a request with all that its socket is told, until that is over or the client has left.

    A client that no longer reads holds up nothing but this task: it has left when its goodbye isn't taken in
    time, and its connection ends when the gateway, or the kernel, gives it up.
    """
    writing = asyncio.create_task(_write(socket, send))
    leaving = asyncio.create_task(_left(receive))
    over = asyncio.create_task(socket.over.wait())
    try:
        await asyncio.wait({writing, leaving, over}, return_when=asyncio.FIRST_COMPLETED)
        socket.abandon()
        leave()
        await asyncio.wait({writing, leaving}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        socket.abandon()
        leave()
        for task in (writing, leaving, over):
            task.cancel()
        await asyncio.gather(writing, leaving, over, return_exceptions=True)


def as_event(frame: bytes) -> bytes:
    """Write a frame as an event; its id is where the client continues, if the frame says that."""
    data = _LINE_BREAK.sub(b"\ndata: ", frame)
    cursor = _CURSOR.match(frame)
    return b"id: %b\ndata: %b\n\n" % (cursor[1], data) if cursor else b"data: %b\n\n" % data


async def _write(socket: StreamSocket, send: Send) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": list(HEADERS)})
    piece = b"retry: %d\n\n" % RETRY_MS
    while piece:
        await send({"type": "http.response.body", "body": piece, "more_body": True})
        piece = await socket.next()
    await send({"type": "http.response.body", "body": b"", "more_body": False})


async def _left(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
