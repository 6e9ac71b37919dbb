"""A client at a socket, events to send to it, and one real-time node with all its parts."""

import asyncio
import time
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, cast

import msgspec
from picows import WSFrame, WSListener, WSMsgType, WSTransport, ws_connect

from dana.contracts.events import ConversationResolved, Event, MessageAppended
from dana.contracts.ids import ContactId, ConversationId, InboxId, MessageId, OrgId, UserId, new_id
from dana.contracts.views import Author, ContactView, ConversationView, MessageView, Role, Status
from dana.platform.ephemera import Ephemera
from dana.platform.fanout import Fanout
from dana.platform.identity import SYSTEM, Keys, Member, Visitor
from dana.platform.service import Platform, Service
from dana.platform.settings import Settings
from dana.platform.shards import Shards
from dana.platform.valkey import Valkey
from dana.services.realtime.service import build


class Ear(WSListener):
    """Keeps the frames of one connection."""

    def __init__(self) -> None:
        self.frames: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self.lists: list[dict[str, Any]] = []
        """Who was there; apart from all else, as it comes when it comes."""
        self.code: int | None = None
        self.closed = asyncio.Event()

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        if frame.msg_type == WSMsgType.TEXT:
            said = msgspec.json.decode(frame.get_payload_as_bytes())
            self.lists.append(said) if said["type"] == "presence" else self.frames.put_nowait(said)
        elif frame.msg_type == WSMsgType.CLOSE:
            self.code = int(cast("int", frame.get_close_code()))
            transport.send_close(frame.get_close_code())
            transport.disconnect()

    def on_ws_disconnected(self, transport: WSTransport) -> None:
        self.closed.set()


class Listener:
    """A browser's end of a socket."""

    def __init__(self, transport: WSTransport, ear: Ear) -> None:
        self.transport = transport
        self.ear = ear

    async def next(self, seconds: float = 6.0) -> dict[str, Any]:
        """Return the next frame that is not a heartbeat."""
        while True:
            frame = await asyncio.wait_for(self.ear.frames.get(), seconds)
            if frame["type"] != "heartbeat":
                return frame

    async def events(self, many: int) -> list[dict[str, Any]]:
        """Return the next so many events; any other frame between them fails."""
        frames = [await self.next() for _ in range(many)]
        assert {frame["type"] for frame in frames} <= {"event"}, frames
        return frames

    async def silence(self, seconds: float = 0.25) -> list[dict[str, Any]]:
        """Return what comes within a while."""
        await asyncio.sleep(seconds)
        frames = []
        while not self.ear.frames.empty():
            frames.append(self.ear.frames.get_nowait())
        return [frame for frame in frames if frame["type"] != "heartbeat"]

    async def code(self, seconds: float = 6.0) -> int | None:
        """Return the code with which the node has closed the connection."""
        await asyncio.wait_for(self.ear.closed.wait(), seconds)
        return self.ear.code

    def say(self, frame: object) -> None:
        """Send a frame."""
        self.transport.send(WSMsgType.TEXT, msgspec.json.encode(frame))

    def typing(self, conversation_id: ConversationId, *, is_typing: bool = True) -> None:
        """Say that somebody is typing."""
        self.say({"type": "typing", "conversation_id": conversation_id, "is_typing": is_typing})

    async def hang_up(self) -> None:
        """Cut the connection without a goodbye."""
        self.transport.disconnect(graceful=False)
        await self.ear.closed.wait()


@dataclass
class Node:
    """One real-time node, and the writer's side of the fan-out."""

    settings: Settings
    keys: Keys
    valkey: Valkey
    fanout: Fanout
    ephemera: Ephemera
    service: Service
    port: int

    @classmethod
    def make(cls, settings: Settings, shards: Shards, port: int) -> "Node":
        """Wire it as the process does."""
        valkey = Valkey(settings.redis_url)
        fanout = Fanout(valkey)
        keys, ephemera = Keys(settings.secrets), Ephemera(fanout)
        platform = Platform(settings, shards, keys, valkey, fanout, ephemera)
        return cls(settings, keys, valkey, fanout, ephemera, build(platform), port)

    async def start(self) -> None:
        await self.valkey.start(0.5)
        assert self.service.start
        await self.service.start()

    async def stop(self) -> None:
        assert self.service.stop
        await self.service.stop()
        await self.valkey.stop()

    async def connect(
        self, token: str, cursor: int | str | None = None, channels: str | None = None
    ) -> Listener:
        """Open a socket."""
        query = f"token={token}" + ("" if cursor is None else f"&cursor={cursor}")
        query += "" if channels is None else f"&channels={channels}"
        url = f"ws://127.0.0.1:{self.port}/api/v1/realtime?{query}"
        transport, ear = await ws_connect(Ear, url)
        return Listener(transport, cast("Ear", ear))

    async def join(self, token: str, cursor: int | None = None, channels: str | None = None) -> Listener:
        """Open a socket and wait until it is live."""
        listener = await self.connect(token, cursor, channels)
        assert (await listener.next())["type"] == "hello"
        return listener

    def member_token(
        self, org_id: OrgId, name: str = "Ana", role: Role = Role.AGENT, *, ttl_seconds: float = 600
    ) -> str:
        member = Member(org_id, UserId(new_id()), role, name, new_id())
        return self.token_of(member, ttl_seconds)

    def visitor_token(self, org_id: OrgId, conversation_id: ConversationId) -> str:
        visitor = Visitor(org_id, conversation_id, ContactId(new_id()), InboxId(new_id()), "Eve")
        return self.token_of(visitor)

    def token_of(self, who: Member | Visitor, ttl_seconds: float = 600) -> str:
        return self.keys.sign_realtime(replace(who, expires_at=time.time() + ttl_seconds))


@dataclass
class Writer:
    """Commits events for one organization, as another service would."""

    org_id: OrgId
    shards: Shards
    written: int = 0

    async def write(self, *events: Event) -> None:
        """Commit events in one transaction."""
        async with self.shards.tx(self.org_id, SYSTEM) as tx:
            for event in events:
                tx.emit(event)
        self.written += len(events)

    async def say(self, conversation_id: ConversationId, text: str, *, is_private: bool = False) -> None:
        """Commit one message."""
        await self.write(message(conversation_id, text, is_private=is_private))


def message(
    conversation_id: ConversationId,
    text: str = "Hello",
    *,
    is_private: bool = False,
    about: ConversationView | None = None,
) -> Event:
    """Make the event of a message."""
    view = MessageView(
        id=MessageId(new_id()),
        conversation_id=conversation_id,
        seq=1,
        author=Author.AGENT,
        author_id=new_id(),
        author_name="Ana",
        text=text,
        is_private=is_private,
        created_at=datetime.now(UTC),
    )
    return MessageAppended(conversation=about or conversation(conversation_id), message=view)


def resolved(conversation_id: ConversationId) -> Event:
    """Make the event of a resolved conversation."""
    return ConversationResolved(conversation=conversation(conversation_id))


def conversation(conversation_id: ConversationId) -> ConversationView:
    """Make a conversation as its events carry it."""
    now = datetime.now(UTC)
    contact = ContactView(id=ContactId(new_id()), name="Eve", email="eve@example.org", created_at=now)
    return ConversationView(
        id=conversation_id,
        inbox_id=InboxId(new_id()),
        contact=contact,
        status=Status.OPEN,
        assignee_id=UserId(new_id()),
        assignee_name="Ana",
        last_seq=1,
        last_text="Hello",
        last_author=Author.AGENT,
        unread_count=0,
        version=time.time_ns(),
        snoozed_until=None,
        last_activity_at=now,
        created_at=now,
    )


def new_conversation() -> ConversationId:
    """Make an id."""
    return ConversationId(new_id())
