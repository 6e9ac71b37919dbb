"""HTTP in: the token that opens a socket or a stream, the stream itself, and what its client has to say."""

from typing import Annotated, Any

import msgspec
from litestar import Request, Response, Router, get, post
from litestar.di import NamedDependency, Provide
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import HeaderParameter, JSONBody, QueryParameter, SkipValidation

from dana.contracts.ids import ConversationId
from dana.platform.errors import Forbidden
from dana.platform.http.asgi import Receive, Scope, Send
from dana.platform.identity import REALTIME_TOKEN_SECONDS, Keys, Member, Visitor
from dana.services.realtime.actions import Hub
from dana.services.realtime.adapters.streams import StreamSocket, flow
from dana.services.realtime.models import Typing

MAX_TOKEN = 4_096
MAX_CURSOR_TEXT = 20
MAX_CHANNELS_TEXT = 6_000  # a hundred of them, each with an id


class RealtimeToken(msgspec.Struct, frozen=True, kw_only=True):
    """What opens one socket or one stream, soon."""

    token: str
    expires_in_seconds: int


class TypingNow(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """Whether somebody is typing, and where."""

    conversation_id: ConversationId
    is_typing: bool


Person = NamedDependency[SkipValidation[Member | Visitor]]
TheHub = NamedDependency[SkipValidation[Hub]]
TheKeys = NamedDependency[SkipValidation[Keys]]

FRAMES = {
    200: ResponseSpec(
        data_container=str,
        media_type="text/event-stream",
        description="One event for each frame, `data:` is what a socket would say, `id:` its cursor.",
        generate_examples=False,
    )
}


def router(hub: Hub, keys: Keys) -> Router:
    """Build the routes of this service."""
    dependencies = {
        "the_hub": Provide(lambda: hub, sync_to_thread=False),
        "the_keys": Provide(lambda: keys, sync_to_thread=False),
    }
    return Router(
        "/api/v1/realtime",
        route_handlers=[realtime_token, realtime_stream, realtime_typing],
        dependencies=dependencies,
        tags=["realtime"],
    )


@post("/token", operation_id="realtime_token")
async def realtime_token(person: Person, the_keys: TheKeys) -> Response[RealtimeToken]:
    """Get the token that opens a socket or a stream within a minute, or lets an open one live on.

    For members and for the visitors of a conversation, each with their own token.
    """
    answer = RealtimeToken(token=the_keys.sign_realtime(person), expires_in_seconds=REALTIME_TOKEN_SECONDS)
    return Response(answer, headers={"Cache-Control": "no-store"})


@get("/stream", operation_id="realtime_stream", security=[], responses=FRAMES)
async def realtime_stream(
    the_hub: TheHub,
    token: Annotated[str, QueryParameter(max_length=MAX_TOKEN)],
    cursor: Annotated[str | None, QueryParameter(max_length=MAX_CURSOR_TEXT)] = None,
    channels: Annotated[str | None, QueryParameter(max_length=MAX_CHANNELS_TEXT)] = None,
    last_event_id: Annotated[
        str | None, HeaderParameter(name="Last-Event-ID", max_length=MAX_CURSOR_TEXT)
    ] = None,
) -> "Frames":
    """Follow what happens as server-sent events, where no WebSocket gets through.

    The same frames as on the socket, of the same channels (separated by commas), after the same cursor;
    `Last-Event-ID` wins over it. It ends with a frame `bye`.
    """
    return Frames(the_hub, token, last_event_id or cursor, channels)


@post("/typing", operation_id="realtime_typing", status_code=204)
async def realtime_typing(person: Person, the_hub: TheHub, data: JSONBody[TypingNow]) -> None:
    """Say that you are typing, or have stopped: for clients of a stream; a socket's say it there."""
    if isinstance(person, Visitor) and data.conversation_id != person.conversation_id:
        raise Forbidden("This is not your conversation.")
    the_hub.show_typing(person, Typing(conversation_id=data.conversation_id, is_typing=data.is_typing))


class Frames(Response[bytes]):
    """An answer that goes on for as long as its client follows."""

    def __init__(self, hub: Hub, token: str, cursor: str | None, channels: str | None) -> None:
        super().__init__(b"")
        self._hub = hub
        self._asked = (token, cursor, channels)

    def to_asgi_response(self, app: Any, request: Request[Any, Any, Any], **_: Any) -> Any:
        """Answer with frames, instead of with a body that is there already."""
        return self._follow

    async def _follow(self, scope: Scope, receive: Receive, send: Send) -> None:
        socket = StreamSocket()
        client = self._hub.arrive(socket, *self._asked)

        def leave() -> None:
            if client is not None:
                self._hub.leave(client)

        await flow(socket, receive, send, leave)
