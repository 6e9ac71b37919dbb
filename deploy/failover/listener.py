"""A socket of a member that connects again whenever it breaks, and remembers what it was told."""

import asyncio
import contextlib

import httpx
import msgspec
from picows import WSError, WSFrame, WSListener, WSMsgType, WSTransport, ws_connect

from loadtest.sockets import socket_address

AGAIN_SECONDS = 0.5
CONNECT_SECONDS = 20.0


class Listener:
    """Collects the text of every message that was appended in the token's organization."""

    def __init__(self, http: httpx.AsyncClient, token: str) -> None:
        self._http = http
        self._token = token
        self._task: asyncio.Task[None] | None = None
        self._has_begun = asyncio.Event()
        self._cursor: int | None = None
        self.texts: list[str] = []

    async def start(self) -> None:
        """Connect; whatever is committed after this is heard."""
        self._task = asyncio.create_task(self._listen())
        async with asyncio.timeout(CONNECT_SECONDS):
            await self._has_begun.wait()

    async def stop(self) -> None:
        """Hang up."""
        if self._task:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    def take(self, frame: bytes) -> None:
        """Take one frame of the server."""
        received = msgspec.json.decode(frame)
        self._cursor = max(self._cursor or 0, received.get("cursor", 0))
        if received["type"] == "hello":
            self._has_begun.set()
        elif received["type"] == "event" and received["event"]["type"] == "message_appended":
            self.texts.append(received["event"]["message"]["text"])

    async def _listen(self) -> None:
        while True:
            with contextlib.suppress(OSError, WSError, TimeoutError, httpx.HTTPError):
                address = await socket_address(self._http, self._token, self._cursor)
                transport, _ = await ws_connect(lambda: _Ear(self), address)
                try:
                    await transport.wait_disconnected()
                finally:
                    transport.disconnect(graceful=False)
            await asyncio.sleep(AGAIN_SECONDS)


class _Ear(WSListener):
    def __init__(self, listener: Listener) -> None:
        super().__init__()
        self._listener = listener

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        if frame.msg_type == WSMsgType.TEXT:
            self._listener.take(frame.get_payload_as_bytes())
        elif frame.msg_type == WSMsgType.CLOSE:
            transport.disconnect()
