"""The WebSocket server: picows behind the `Socket` and `Arrivals` of this service.

picows frames and masks; here fragments are put together, buffers are bounded, and slow clients are cut.
"""

import asyncio
from contextlib import suppress
from typing import Protocol, cast
from urllib.parse import parse_qs, urlsplit

import structlog
from picows import (
    WSCloseCode,
    WSFrame,
    WSListener,
    WSMsgType,
    WSTransport,
    WSUpgradeRequest,
    WSUpgradeResponse,
    WSUpgradeResponseWithListener,
    ws_create_server,
)

from dana.services.realtime.models import Client, Close, Socket

log = structlog.get_logger(__name__)

PATH = "/api/v1/realtime"
MAX_INCOMING_BYTES = 4 * 1024  # clients only say that they are typing
MAX_UNSENT_BYTES = 1024 * 1024
DRAIN_SECONDS = 20.0
GOODBYE_SECONDS = 3.0  # then the connection is cut without waiting for the other side
IDLE_SECONDS = 25.0
PONG_SECONDS = 20.0
BACKLOG = 2_048

_TEXT = WSMsgType.TEXT


class Arrivals(Protocol):
    """Who is told about sockets."""

    def arrive(self, socket: Socket, token: str, cursor: str | None) -> Client | None:
        """Let a socket in, or close it."""
        ...

    def hear(self, client: Client, frame: bytes) -> None:
        """Take in a text frame."""
        ...

    def leave(self, client: Client) -> None:
        """Forget a client."""
        ...


class PicowsSocket:
    """A `Socket` on a picows transport."""

    __slots__ = ("_can_write", "_is_paused", "_loop", "_transport", "is_open")

    def __init__(self, transport: WSTransport) -> None:
        self._transport = transport
        self._loop = asyncio.get_running_loop()
        self._is_paused = False
        self._can_write = asyncio.Event()
        self.is_open = True

    def send(self, frame: bytes) -> None:
        """Queue a text frame, or cut a client that doesn't keep up."""
        if not self.is_open:
            return
        if (
            self._is_paused
            and self._transport.underlying_transport.get_write_buffer_size() > MAX_UNSENT_BYTES
        ):
            self.close(Close.TOO_SLOW, "too slow")
            return
        self._transport.send(_TEXT, frame)

    def close(self, code: int, reason: str) -> None:
        """Say goodbye; cut the connection if the other side doesn't answer."""
        if not self.is_open:
            return
        self.ended()
        self._transport.send_close(cast("WSCloseCode", code), reason.encode()[:120])
        self._loop.call_later(GOODBYE_SECONDS, self._transport.disconnect, False)

    async def drained(self) -> None:
        """Wait until the client has taken most of it; a client that takes nothing for long is cut."""
        if self._is_paused and self.is_open:
            self._can_write.clear()
            try:
                await asyncio.wait_for(self._can_write.wait(), DRAIN_SECONDS)
            except TimeoutError:
                self.close(Close.TOO_SLOW, "too slow")

    def pause(self) -> None:
        """Note that the system's buffer is full."""
        self._is_paused = True

    def resume(self) -> None:
        """Note that there is room again."""
        self._is_paused = False
        self._can_write.set()

    def ended(self) -> None:
        """Note that nothing leaves any more."""
        self.is_open = False
        self._can_write.set()


class _Listener(WSListener):
    """One connection, as picows tells about it."""

    def __init__(self, arrivals: Arrivals, token: str, cursor: str | None) -> None:
        self._arrivals = arrivals
        self._token = token
        self._cursor = cursor
        self._client: Client | None = None
        self._socket: PicowsSocket | None = None
        self._parts = b""

    def on_ws_connected(self, transport: WSTransport) -> None:
        """Let it in."""
        self._socket = PicowsSocket(transport)
        self._client = self._arrivals.arrive(self._socket, self._token, self._cursor)
        self._token = ""

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        """Put fragments together; answer a goodbye."""
        kind = frame.msg_type
        if kind == WSMsgType.CLOSE:
            self._say_goodbye(transport, frame)
        elif kind in (WSMsgType.TEXT, WSMsgType.CONTINUATION):
            self._collect(frame)
        elif kind == WSMsgType.BINARY and self._socket is not None:
            self._socket.close(Close.BAD_FRAME, "text frames only")

    def on_ws_disconnected(self, transport: WSTransport) -> None:
        """Forget it."""
        if self._socket is not None:
            self._socket.ended()
        if self._client is not None:
            self._arrivals.leave(self._client)
            self._client = None

    def pause_writing(self) -> None:
        """Note that the client reads more slowly than we write."""
        if self._socket is not None:
            self._socket.pause()

    def resume_writing(self) -> None:
        """Note that it has caught up."""
        if self._socket is not None:
            self._socket.resume()

    def _collect(self, frame: WSFrame) -> None:
        if self._client is None or self._socket is None or not self._socket.is_open:
            return
        self._parts += frame.get_payload_as_bytes()
        if len(self._parts) > MAX_INCOMING_BYTES:
            self._socket.close(Close.BAD_FRAME, "frame too big")
        elif frame.fin:
            whole, self._parts = self._parts, b""
            self._arrivals.hear(self._client, whole)

    def _say_goodbye(self, transport: WSTransport, frame: WSFrame) -> None:
        if self._socket is not None and self._socket.is_open:
            self._socket.ended()
            transport.send_close(frame.get_close_code())
        transport.disconnect()


class SocketServer:
    """Listens for WebSockets."""

    def __init__(self, arrivals: Arrivals, host: str, port: int) -> None:
        self._arrivals = arrivals
        self._host = host
        self._port = port
        self._server: asyncio.Server | None = None

    @property
    def port(self) -> int:
        """The port it listens on."""
        if self._server is None:
            return self._port
        port: int = self._server.sockets[0].getsockname()[1]
        return port

    async def start(self) -> None:
        """Begin to listen."""
        self._server = await ws_create_server(
            self._welcome,
            self._host,
            self._port,
            use_aiofastnet=False,
            read_buffer_init_size=1024,
            max_frame_size=2 * MAX_INCOMING_BYTES,
            enable_auto_ping=True,
            auto_ping_idle_timeout=IDLE_SECONDS,
            auto_ping_reply_timeout=PONG_SECONDS,
            backlog=BACKLOG,
        )
        log.info("realtime_listening", port=self.port)

    def stop_listening(self) -> None:
        """Let nobody new in."""
        if self._server is not None:
            self._server.close()

    async def closed(self) -> None:
        """Return when all connections have ended, or after the time of a goodbye."""
        if self._server is not None:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._server.wait_closed(), GOODBYE_SECONDS + 1)

    def _welcome(self, request: WSUpgradeRequest) -> WSListener | WSUpgradeResponseWithListener | None:
        url = urlsplit(request.path.decode("latin-1"))
        if url.path == "/healthz":
            return WSUpgradeResponseWithListener(WSUpgradeResponse.create_ok_response(b"ok"), None)
        if url.path != PATH:
            return None
        query = parse_qs(url.query)
        return _Listener(self._arrivals, query.get("access_token", [""])[0], query.get("cursor", [None])[0])
