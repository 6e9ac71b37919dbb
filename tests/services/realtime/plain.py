"""A client that speaks WebSocket byte by byte, so that it can also do so wrongly; and whom it speaks to."""

import asyncio
import base64
import os
import struct
from dataclasses import dataclass, field
from enum import IntEnum
from uuid import uuid4

from dana.contracts.ids import OrgId, UserId
from dana.contracts.views import Role
from dana.platform.identity import Member
from dana.services.realtime.adapters import SocketServer
from dana.services.realtime.models import Client, Socket

PATIENCE_SECONDS = 15.0


class Op(IntEnum):
    """What a frame is."""

    CONTINUATION = 0
    TEXT = 1
    BINARY = 2
    CLOSE = 8
    PING = 9
    PONG = 10


@dataclass
class Echo:
    """Somebody who says everything back, and remembers who is there."""

    sockets: list[Socket] = field(default_factory=list)
    there: list[Client] = field(default_factory=list)
    heard: list[bytes] = field(default_factory=list)
    asked: list[tuple[str, str | None, str | None]] = field(default_factory=list)
    has_changed: asyncio.Event = field(default_factory=asyncio.Event)

    def arrive(self, socket: Socket, token: str, cursor: str | None, channels: str | None) -> Client | None:
        self.asked.append((token, cursor, channels))
        if token == "wrong":
            socket.close(4401, "no")
            return None
        who = Member(OrgId(uuid4()), UserId(uuid4()), Role.AGENT, "Ana", uuid4())
        client = Client(who, socket, b"")
        self.sockets.append(socket)
        self.there.append(client)
        return client

    def hear(self, client: Client, frame: bytes) -> None:
        self.heard.append(frame)
        client.socket.send(frame)

    def leave(self, client: Client) -> None:
        self.there.remove(client)

    async def until_gone(self) -> None:
        async with asyncio.timeout(PATIENCE_SECONDS):
            while self.there:
                await asyncio.sleep(0.01)


@dataclass
class Plain:
    """One connection."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    @classmethod
    async def open(cls, server: SocketServer, query: str = "token=t") -> "Plain":
        """Connect and upgrade."""
        plain = await cls.connect(server)
        answer = await plain.ask(f"/api/v1/realtime?{query}", upgrade())
        assert answer.startswith(b"HTTP/1.1 101 "), answer
        assert b"sec-websocket-extensions" not in answer.lower(), "nothing is compressed"
        return plain

    @classmethod
    async def connect(cls, server: SocketServer) -> "Plain":
        """Connect, and say nothing yet."""
        return cls(*await asyncio.open_connection("127.0.0.1", server.port))

    async def ask(self, target: str, headers: dict[str, str], method: str = "GET") -> bytes:
        """Send a request, and return the head of the answer."""
        lines = "".join(f"{name}: {said}\r\n" for name, said in headers.items())
        self.writer.write(f"{method} {target} HTTP/1.1\r\nhost: localhost\r\n{lines}\r\n".encode())
        async with asyncio.timeout(PATIENCE_SECONDS):
            return await self.reader.readuntil(b"\r\n\r\n")

    def say(
        self,
        op: int,
        payload: bytes = b"",
        *,
        fin: bool = True,
        is_bare: bool = False,
        is_reserved: bool = False,
    ) -> None:
        """Send a frame; bare is without a mask."""
        first = (0x80 if fin else 0) | (0x40 if is_reserved else 0) | op
        mask = b"" if is_bare else os.urandom(4)
        size = len(payload)
        length = bytes([size]) if size < 126 else b"\x7e" + struct.pack("!H", size)
        length = bytes([length[0] | (0x80 if mask else 0)]) + length[1:]
        body = bytes(byte ^ mask[at % 4] for at, byte in enumerate(payload)) if mask else payload
        self.writer.write(bytes([first]) + length + mask + body)

    async def frame(self) -> tuple[Op, bytes]:
        """Read the next frame; raises IncompleteReadError at the end."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            first, second = await self.reader.readexactly(2)
            assert first & 0x80, "frames of the server are whole"
            assert not second & 0x80, "and not masked"
            size = second
            if second == 126:
                (size,) = struct.unpack("!H", await self.reader.readexactly(2))
            elif second == 127:
                (size,) = struct.unpack("!Q", await self.reader.readexactly(8))
            return Op(first & 0x0F), await self.reader.readexactly(size)

    async def echo(self, payload: bytes) -> bool:
        """Tell whether a text comes back."""
        self.say(Op.TEXT, payload)
        return await self.frame() == (Op.TEXT, payload)

    async def code(self) -> int | None:
        """Read to the close frame, and return its code; None when the connection just ends."""
        try:
            while True:
                op, payload = await self.frame()
                if op is Op.CLOSE:
                    return int.from_bytes(payload[:2], "big") if payload else 1005
        except (asyncio.IncompleteReadError, ConnectionResetError):
            return None

    async def ends(self) -> bool:
        """Wait until the other side has closed the connection."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            try:
                return await self.reader.read() is not None
            except ConnectionResetError:
                return True

    def close(self) -> None:
        self.writer.close()


def upgrade() -> dict[str, str]:
    """Make the headers of an upgrade."""
    return {
        "connection": "keep-alive, Upgrade",
        "upgrade": "websocket",
        "sec-websocket-version": "13",
        "sec-websocket-key": base64.b64encode(os.urandom(16)).decode(),
        "sec-websocket-extensions": "permessage-deflate; client_max_window_bits",
    }
