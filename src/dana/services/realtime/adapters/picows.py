"""The transport on picows, which frames and masks in C: the least memory and time for each connection."""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from typing import cast

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

READ_BUFFER_BYTES = 1024  # of each connection; grows while a frame needs more
MOST_IN_BYTE, MOST_IN_TWO_BYTES = 125, 65_535  # how a frame says its size (RFC 6455, section 5.2)
MAX_REASON_BYTES = 120  # a control frame holds 125

_TEXT = WSMsgType.TEXT


class PicowsServer:
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
            read_buffer_init_size=READ_BUFFER_BYTES,
            max_frame_size=MAX_FRAME_BYTES,
            websocket_handshake_timeout=HANDSHAKE_SECONDS,
            backlog=BACKLOG,
        )
        log.info("realtime_listening", port=self.port, transport="picows")

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
        target = request.path.decode("latin-1")
        if target == PROBE_PATH:
            return WSUpgradeResponseWithListener(WSUpgradeResponse.create_ok_response(b"ok"), None)
        wish = Wish.at(target)
        if wish is None:
            return None
        if "upgrade" in {word.strip().lower() for word in request.headers.get("connection", "").split(",")}:
            request.headers["connection"] = "upgrade"  # picows takes no list, and Firefox sends one
        return _Listener(self._arrivals, wish)


class PicowsSocket(BufferedSocket):
    """A `Socket` on a picows transport.

    `send` is the transport's own while nothing is in its way: there are so many of them.
    """

    __slots__ = ("_transport", "send")

    def __init__(self, transport: WSTransport) -> None:
        super().__init__()
        self._transport = transport
        self.send: Callable[[bytes], None] = partial(transport.send, _TEXT)

    @property
    def unsent_bytes(self) -> int:
        """How much has piled up here."""
        return self._transport.underlying_transport.get_write_buffer_size()

    def send_all(self, frames: Sequence[bytes]) -> None:
        """Queue several in one piece, or cut a client that doesn't keep up."""
        if not self.is_open:
            return
        if self.is_paused and self.unsent_bytes > MAX_UNSENT_BYTES:
            self.close(Close.TOO_SLOW, "too slow")
        else:
            self._transport.underlying_transport.write(_Together.of(frames))

    def pause(self) -> None:
        """Note that the system's buffer is full."""
        super().pause()
        if self.is_open:
            self.send = self._send_bounded

    def resume(self) -> None:
        """Note that there is room again."""
        super().resume()
        if self.is_open:
            self.send = partial(self._transport.send, _TEXT)

    def ended(self) -> None:
        """Note that nothing leaves any more."""
        super().ended()
        self.send = _nowhere

    def _send_bounded(self, frame: bytes) -> None:
        if self.unsent_bytes > MAX_UNSENT_BYTES:
            self.close(Close.TOO_SLOW, "too slow")
        else:
            self._transport.send(_TEXT, frame)

    def _say_goodbye(self, code: int, reason: str, frame: bytes) -> None:
        self._transport.send(_TEXT, frame)
        self._transport.send_close(cast("WSCloseCode", code), reason.encode()[:MAX_REASON_BYTES])

    def _ask(self) -> None:
        self._transport.send_ping()

    def _cut(self) -> None:
        self._transport.disconnect(graceful=False)


class _Together:
    """The frames that were sent last, as they stand on the wire: they go to many, one after the other."""

    frames: Sequence[bytes] = ()
    wire = b""

    @classmethod
    def of(cls, frames: Sequence[bytes]) -> bytes:
        """Return them in one piece."""
        if cls.frames is not frames:
            cls.frames, cls.wire = frames, b"".join(map(_framed, frames))
        return cls.wire


def _framed(text: bytes) -> bytes:
    size = len(text)
    if size <= MOST_IN_BYTE:
        return b"\x81%c%b" % (size, text)
    if size <= MOST_IN_TWO_BYTES:
        return b"\x81\x7e%b%b" % (size.to_bytes(2, "big"), text)
    return b"\x81\x7f%b%b" % (size.to_bytes(8, "big"), text)


def _nowhere(frame: bytes) -> None:
    """Send a frame to somebody who is gone."""


class _Listener(WSListener):
    """One connection, as picows tells about it."""

    __slots__ = ("_arrivals", "_client", "_fragments", "_socket", "_wish")

    def __init__(self, arrivals: Arrivals, wish: Wish) -> None:
        self._arrivals = arrivals
        self._wish: Wish | None = wish
        self._client: Client | None = None
        self._socket: PicowsSocket | None = None
        self._fragments = Fragments()

    def on_ws_connected(self, transport: WSTransport) -> None:
        """Let it in, and forget by what it came: picows would keep all of that, with the token."""
        transport.request.path = b""
        transport.request.headers.clear()
        transport.response.headers.clear()
        self._socket = PicowsSocket(transport)
        if (wish := self._wish) is not None:
            self._client = self._arrivals.arrive(self._socket, wish.token, wish.cursor, wish.channels)
        self._wish = None

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        """Put fragments together; answer a goodbye."""
        if self._socket is not None:
            self._socket.heard()
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
        if frame.rsv1 or frame.rsv2 or frame.rsv3:
            self._socket.close(Close.BAD_FRAME, "no extension was agreed on")
            return
        try:
            whole = self._fragments.add(
                frame.get_payload_as_bytes(), is_first=frame.msg_type == _TEXT, is_last=frame.fin
            )
        except Invalid as problem:
            self._socket.close(Close.BAD_FRAME, problem.detail)
            return
        if whole is not None:
            self._arrivals.hear(self._client, whole)

    def _say_goodbye(self, transport: WSTransport, frame: WSFrame) -> None:
        if self._socket is not None and self._socket.is_open:
            self._socket.ended()
            transport.send_close(frame.get_close_code())
        transport.disconnect()
