"""The transport in plain Python, for where picows fails: the `websockets` library parses, asyncio carries.

The library's protocol knows nothing of the network: bytes go in, events and bytes come out. What every socket
is told is put into a frame once, however many there are.
"""

import asyncio
import logging
from collections.abc import Sequence
from contextlib import suppress
from http import HTTPStatus
from typing import cast

import structlog
from websockets.frames import Frame, Opcode
from websockets.http11 import Request
from websockets.protocol import State
from websockets.server import ServerProtocol

from dana.platform.errors import Invalid
from dana.services.realtime.adapters.sockets import (
    BACKLOG,
    GOODBYE_SECONDS,
    HANDSHAKE_SECONDS,
    MAX_FRAME_BYTES,
    MAX_UNSENT_BYTES,
    PROBE_PATH,
    Arrivals,
    BufferedSocket,
    Fragments,
    Wish,
)
from dana.services.realtime.models import Client, Close

log = structlog.get_logger(__name__)

_quiet = logging.getLogger("dana.websockets")
_quiet.setLevel(logging.CRITICAL)  # it tells of each connection, and of each scan of a port as an error


class WebsocketsServer:
    """Listens for WebSockets."""

    def __init__(self, arrivals: Arrivals, host: str, port: int) -> None:
        self._arrivals = arrivals
        self._host = host
        self._port = port
        self._server: asyncio.Server | None = None
        self._connections: set[_Connection] = set()
        self._none_left = asyncio.Event()

    @property
    def port(self) -> int:
        """The port it listens on."""
        if self._server is None:
            return self._port
        port: int = self._server.sockets[0].getsockname()[1]
        return port

    async def start(self) -> None:
        """Begin to listen."""
        self._server = await asyncio.get_running_loop().create_server(
            lambda: _Connection(self), self._host, self._port, backlog=BACKLOG
        )
        log.info("realtime_listening", port=self.port, transport="websockets")

    def stop_listening(self) -> None:
        """Let nobody new in."""
        if self._server is not None:
            self._server.close()

    async def closed(self) -> None:
        """Return when all connections have ended, or after the time of a goodbye."""
        with suppress(TimeoutError):
            async with asyncio.timeout(GOODBYE_SECONDS + 1):
                while self._connections:
                    self._none_left.clear()
                    await self._none_left.wait()

    def begun(self, connection: "_Connection") -> None:
        """Note a connection."""
        self._connections.add(connection)

    def over(self, connection: "_Connection") -> None:
        """Note that it has ended."""
        self._connections.discard(connection)
        if not self._connections:
            self._none_left.set()

    @property
    def arrivals(self) -> Arrivals:
        """Who is told about sockets."""
        return self._arrivals


class WebsocketsSocket(BufferedSocket):
    """A `Socket` on a protocol of the library and a transport of asyncio."""

    __slots__ = ("_connection",)

    def __init__(self, connection: "_Connection") -> None:
        super().__init__()
        self._connection = connection

    @property
    def unsent_bytes(self) -> int:
        """How much has piled up here."""
        return self._connection.transport.get_write_buffer_size()

    def send(self, frame: bytes) -> None:
        """Queue a text frame, or cut a client that doesn't keep up."""
        if not self.is_open:
            return
        if self.is_paused and self.unsent_bytes > MAX_UNSENT_BYTES:
            self.close(Close.TOO_SLOW, "too slow")
            return
        self._connection.transport.write(_framed(frame))

    def send_all(self, frames: Sequence[bytes]) -> None:
        """Queue several."""
        for frame in frames:
            self.send(frame)

    def _say_goodbye(self, code: int, reason: str, frame: bytes) -> None:
        self._connection.say_goodbye(code, reason, frame)

    def _ask(self) -> None:
        self._connection.ask()

    def _cut(self) -> None:
        self._connection.transport.abort()


class _Connection(asyncio.Protocol):
    """One connection: the handshake, then frames, then goodbye."""

    __slots__ = (
        "_client",
        "_clock",
        "_fragments",
        "_loop",
        "_protocol",
        "_server",
        "_socket",
        "transport",
    )

    def __init__(self, server: WebsocketsServer) -> None:
        self._server = server
        self._loop = asyncio.get_running_loop()
        self._protocol = ServerProtocol(max_size=MAX_FRAME_BYTES, logger=_quiet)
        self._socket: WebsocketsSocket | None = None
        self._client: Client | None = None
        self._fragments = Fragments()
        self._clock: asyncio.TimerHandle | None = None
        self.transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Wait for the handshake, not for ever."""
        self.transport = cast("asyncio.Transport", transport)
        self._end_within(HANDSHAKE_SECONDS)
        self._server.begun(self)

    def data_received(self, data: bytes) -> None:
        """Take in what has come, and answer what the protocol answers by itself."""
        if self._socket is not None:
            self._socket.heard()
        self._protocol.receive_data(data)
        for event in self._protocol.events_received():
            if isinstance(event, Request):
                self._welcome(event)
            elif isinstance(event, Frame):
                self._take(event)
        if self._socket is not None and self._protocol.state is not State.OPEN:
            self._socket.ended()
        self._flush()

    def eof_received(self) -> None:
        """Note that the other side says nothing more, and close."""
        self._protocol.receive_eof()
        self._flush()

    def connection_lost(self, error: Exception | None) -> None:
        """Forget it."""
        self._end_within(None)
        if self._socket is not None:
            self._socket.ended()
        if self._client is not None:
            self._server.arrivals.leave(self._client)
            self._client = None
        self._server.over(self)

    def pause_writing(self) -> None:
        """Note that the client reads more slowly than we write."""
        if self._socket is not None:
            self._socket.pause()

    def resume_writing(self) -> None:
        """Note that it has caught up."""
        if self._socket is not None:
            self._socket.resume()

    def say_goodbye(self, code: int, reason: str, frame: bytes) -> None:
        """Send a last frame and a close frame, unless one has been sent."""
        if self._protocol.state is State.OPEN:
            self._protocol.send_text(frame)
            self._protocol.send_close(code, reason)
            self._flush()

    def ask(self) -> None:
        """Send a ping."""
        self._protocol.send_ping(b"")
        self._flush()

    def _welcome(self, request: Request) -> None:
        wish = Wish.at(request.path)
        if wish is None:
            is_probe = request.path == PROBE_PATH
            status, text = (HTTPStatus.OK, "ok") if is_probe else (HTTPStatus.NOT_FOUND, "")
            self._protocol.send_response(self._protocol.reject(status, text))
            return
        response = self._protocol.accept(request)
        if response.status_code != HTTPStatus.SWITCHING_PROTOCOLS:
            response = self._protocol.reject(HTTPStatus.BAD_REQUEST, "This is for WebSockets.")
        self._protocol.send_response(response)
        self._flush()
        if self._protocol.state is State.OPEN:
            self._end_within(None)
            self._socket = WebsocketsSocket(self)
            self._client = self._server.arrivals.arrive(self._socket, wish.token, wish.cursor, wish.channels)

    def _take(self, frame: Frame) -> None:
        if self._client is None or self._socket is None or not self._socket.is_open:
            return
        if frame.opcode is Opcode.BINARY:
            self._socket.close(Close.BAD_FRAME, "text frames only")
        elif frame.opcode in (Opcode.TEXT, Opcode.CONT):
            try:
                is_first = frame.opcode is Opcode.TEXT
                whole = self._fragments.add(bytes(frame.data), is_first=is_first, is_last=frame.fin)
            except Invalid as problem:
                self._socket.close(Close.BAD_FRAME, problem.detail)
                return
            if whole is not None:
                self._server.arrivals.hear(self._client, whole)

    def _flush(self) -> None:
        for part in self._protocol.data_to_send():
            if part:
                self.transport.write(part)
            elif self.transport.can_write_eof():
                self.transport.write_eof()
        if self._protocol.close_expected():
            self._end_within(GOODBYE_SECONDS)

    def _end_within(self, seconds: float | None) -> None:
        """Cut the connection after some time, or not at all."""
        if self._clock is not None:
            self._clock.cancel()
        self._clock = None if seconds is None else self._loop.call_later(seconds, self.transport.abort)


class _Framed:
    """The text that was sent last, as a frame: what goes to thousands goes one after the other."""

    text = b""
    frame = b""


def _framed(text: bytes) -> bytes:
    if _Framed.text is not text:
        _Framed.frame = Frame(Opcode.TEXT, text).serialize(mask=False)
        _Framed.text = text
    return _Framed.frame
