"""The limit: picows as bare as it can be, with rooms, a token at the handshake, and events from Valkey.

What arrives on a room's channel is sent as it is; nothing is parsed, ordered, remembered or counted.
"""

import asyncio
import os
from collections.abc import Callable
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import uvloop
from picows import WSFrame, WSListener, WSMsgType, WSTransport, WSUpgradeRequest, ws_create_server

from dana.platform.errors import Unauthenticated
from dana.platform.identity import Keys
from dana.platform.secrets import Secrets
from dana.platform.valkey import Valkey
from dana.services.realtime.adapters.sockets import BACKLOG, MAX_FRAME_BYTES

HELLO = b'{"type":"hello"}'
READ_BUFFER_BYTES = 1024

_TEXT = WSMsgType.TEXT


class Room:
    """Sockets that get the same events."""

    def __init__(self) -> None:
        self.sockets: set[WSTransport] = set()

    def receive(self, event: bytes) -> None:
        """Send what came."""
        for socket in self.sockets:
            socket.send(_TEXT, event)

    def lost(self) -> None:
        """Nothing can be done about what was lost."""


class Rooms:
    """All rooms, by their channels."""

    def __init__(self, valkey: Valkey) -> None:
        self._valkey = valkey
        self._rooms: dict[str, Room] = {}
        self._confirmed: dict[str, asyncio.Task[bool]] = {}

    async def join(self, channel: str, socket: WSTransport) -> Room:
        """Let a socket in once its events arrive."""
        room = self._rooms.setdefault(channel, Room())
        if channel not in self._confirmed:
            subscribing = self._valkey.subscribe(channel, room.receive, room.lost)
            self._confirmed[channel] = asyncio.create_task(subscribing)
        await self._confirmed[channel]
        room.sockets.add(socket)
        socket.send(_TEXT, HELLO)
        return room


class Guest(WSListener):
    """One connection."""

    def __init__(self, rooms: Rooms, channel: str) -> None:
        super().__init__()
        self._rooms = rooms
        self._channel = channel
        self._room: Room | None = None
        self._joining: asyncio.Task[None] | None = None

    def on_ws_connected(self, transport: WSTransport) -> None:
        """Let it in."""
        self._joining = asyncio.create_task(self._join(transport))

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        """Say what it says."""
        if frame.msg_type == _TEXT:
            transport.send(_TEXT, frame.get_payload_as_bytes())

    def on_ws_disconnected(self, transport: WSTransport) -> None:
        """Forget it."""
        if self._room is not None:
            self._room.sockets.discard(transport)

    async def _join(self, transport: WSTransport) -> None:
        self._room = await self._rooms.join(self._channel, transport)
        self._joining = None


def welcome(rooms: Rooms, keys: Keys) -> Callable[[WSUpgradeRequest], WSListener | None]:
    """Return what decides on a handshake."""

    def decide(request: WSUpgradeRequest) -> WSListener | None:
        token = parse_qs(urlsplit(request.path.decode("latin-1")).query).get("token", [""])[0]
        try:
            who = keys.verify_realtime(token)
        except Unauthenticated:
            return None
        return Guest(rooms, f"dana:org:{who.org_id.hex}")

    return decide


async def serve() -> None:
    """Serve until killed."""
    valkey = Valkey(os.environ["DANA_REDIS_URL"])
    await valkey.start()
    keys = Keys(Secrets.load(Path(os.environ["DANA_SECRETS"])))
    server = await ws_create_server(
        welcome(Rooms(valkey), keys),
        "127.0.0.1",
        0,
        use_aiofastnet=False,
        read_buffer_init_size=READ_BUFFER_BYTES,
        max_frame_size=MAX_FRAME_BYTES,
        backlog=BACKLOG,
    )
    print(f"ready {server.sockets[0].getsockname()[1]}", flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    uvloop.run(serve())
