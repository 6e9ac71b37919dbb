"""The simulator's HTTP side: POST /v1/chat/completions, GET /v1/models, GET /seen."""

import asyncio
import json
import socket
import time
from collections import Counter, deque
from collections.abc import AsyncIterator, Awaitable, Callable, MutableMapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

import uvicorn

from loadtest.provider.behaviours import BEHAVIOURS, Behaviour
from loadtest.provider.thinking import answer_to

MODEL = "dana-sim"
PIECE = 5  # characters, about what a token is
SEEN = 100  # requests remembered
PROSE = "Well, let me think about that. There are many ways to see it."

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]


class Cut(Exception):  # noqa: N818 - not a failure of ours
    """Ends the connection without ending the response."""


@dataclass
class Simulator:
    """An ASGI application that behaves like a model server."""

    key: str = ""
    """The only key it takes; empty means any."""
    piece_seconds: float = 0.01
    seen: deque[dict[str, Any]] = field(default_factory=lambda: deque(maxlen=SEEN))
    """The newest requests, to look into."""
    _refused: Counter[str] = field(default_factory=Counter)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            return
        path, method = scope["path"], scope["method"]
        if not self._is_known(scope) and path.startswith("/v1/"):
            await _error(send, 401, "Incorrect API key provided.", "invalid_request_error")
        elif (method, path) == ("POST", "/v1/chat/completions"):
            await self._complete(await _body(receive), send)
        elif (method, path) == ("GET", "/v1/models"):
            names = [f"{MODEL}:{name}" if name else MODEL for name in BEHAVIOURS]
            await _json(send, 200, {"object": "list", "data": [{"id": n, "object": "model"} for n in names]})
        elif (method, path) == ("GET", "/seen"):
            await _json(send, 200, list(self.seen))
        else:
            await _error(send, 404, f"Unknown request URL: {method} {path}.", "invalid_request_error")

    def _is_known(self, scope: Scope) -> bool:
        sent = dict(scope["headers"]).get(b"authorization", b"").decode("latin-1")
        return not self.key or sent == f"Bearer {self.key}"

    async def _complete(self, body: bytes, send: Send) -> None:
        try:
            request = json.loads(body)
            model, messages = str(request["model"]), list(request["messages"])
            prompt = "\n\n".join(str(message["content"]) for message in messages if message["role"] == "user")
        except (ValueError, KeyError, TypeError):
            await _error(send, 400, "We could not parse the JSON body.", "invalid_request_error")
            return
        self.seen.append(request)
        behaviour = BEHAVIOURS.get(model.partition(":")[2])
        if behaviour is None or model.partition(":")[0] != MODEL:
            await _error(send, 404, f"The model `{model}` does not exist.", "model_not_found")
            return
        if await self._refuses(model, behaviour, request, send):
            return
        await asyncio.sleep(behaviour.silent_seconds)
        content = PROSE if behaviour.is_prose else answer_to(prompt, invents=behaviour.invents)
        if behaviour.is_whole or not request.get("stream"):
            await _json(send, 200, _whole(model, content, behaviour))
        else:
            await self._stream(send, model, content, behaviour)

    async def _refuses(self, model: str, behaviour: Behaviour, request: Any, send: Send) -> bool:
        if not behaviour.has_schema and "response_format" in request:
            await _error(send, 400, "'response_format' is not supported.", "invalid_request_error")
            return True
        is_refused = behaviour.refusals < 0 or self._refused[model] < behaviour.refusals
        if is_refused:
            self._refused[model] += 1
            headers = [(b"retry-after", behaviour.retry_after_seconds.encode())]
            kind = "rate_limit_exceeded" if behaviour.refusal_status == 429 else "server_error"
            await _error(
                send,
                behaviour.refusal_status,
                "Please try again later.",
                kind,
                headers if behaviour.retry_after_seconds else [],
            )
        elif behaviour.refusals:
            self._refused[model] = 0
        return is_refused

    async def _stream(self, send: Send, model: str, content: str, behaviour: Behaviour) -> None:
        stream = _Stream(send, model)
        await stream.begin()
        pieces = [content[at : at + PIECE] for at in range(0, len(content), PIECE)]
        for number, piece in enumerate(pieces):
            if number == max(1, len(pieces) * 3 // 4):
                await _misbehave(stream, behaviour)
            await stream.piece({"content": piece})
            await asyncio.sleep(self.piece_seconds * behaviour.slowness)
        await stream.end(behaviour.finish_reason)


class _Stream:
    """A response of server-sent events."""

    def __init__(self, send: Send, model: str) -> None:
        self._send = send
        self._head = {
            "id": f"chatcmpl-{uuid4().hex}",
            "object": "chat.completion.chunk",
            "created": int(time.time()),
            "model": model,
        }

    async def begin(self) -> None:
        headers = [(b"content-type", b"text/event-stream; charset=utf-8"), (b"cache-control", b"no-cache")]
        await self._send({"type": "http.response.start", "status": 200, "headers": headers})
        await self.raw(": welcome\n\n")
        await self.piece({"role": "assistant", "content": ""})

    async def piece(self, delta: dict[str, str], finish_reason: str | None = None) -> None:
        choice = {"index": 0, "delta": delta, "finish_reason": finish_reason}
        await self.payload({**self._head, "choices": [choice]})

    async def payload(self, payload: object) -> None:
        await self.raw(f"data: {json.dumps(payload)}\n\n")

    async def raw(self, text: str) -> None:
        await self._send({"type": "http.response.body", "body": text.encode(), "more_body": True})

    async def end(self, finish_reason: str) -> None:
        await self.piece({}, finish_reason)
        await self.raw("data: [DONE]\n\n")
        await self._send({"type": "http.response.body", "body": b"", "more_body": False})


async def _misbehave(stream: _Stream, behaviour: Behaviour) -> None:
    await asyncio.sleep(behaviour.stall_seconds)
    if behaviour.is_broken:
        await stream.raw('data: {"choices": [{"delta": {"content": "oh \n\n')
    if behaviour.is_error_in_stream:
        await stream.payload({"error": {"message": "The engine is overloaded.", "type": "server_error"}})
    if behaviour.is_cut:
        raise Cut


def _whole(model: str, content: str, behaviour: Behaviour) -> dict[str, Any]:
    message = {"role": "assistant", "content": content}
    return {
        "id": f"chatcmpl-{uuid4().hex}",
        "object": "chat.completion",
        "created": int(time.time()),
        "model": model,
        "choices": [{"index": 0, "message": message, "finish_reason": behaviour.finish_reason}],
        "usage": {"prompt_tokens": 0, "completion_tokens": len(content) // PIECE, "total_tokens": 0},
    }


async def _body(receive: Receive) -> bytes:
    body = bytearray()
    while True:
        message = await receive()
        body.extend(message.get("body", b""))
        if not message.get("more_body"):
            return bytes(body)


async def _json(
    send: Send, status: int, content: object, headers: list[tuple[bytes, bytes]] | None = None
) -> None:
    body = json.dumps(content).encode()
    headers = [(b"content-type", b"application/json"), *(headers or [])]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body, "more_body": False})


async def _error(
    send: Send, status: int, message: str, kind: str, headers: list[tuple[bytes, bytes]] | None = None
) -> None:
    await _json(send, status, {"error": {"message": message, "type": kind, "code": kind}}, headers)


@asynccontextmanager
async def running(simulator: Simulator, port: int = 0) -> AsyncIterator[str]:
    """Run a simulator on a loopback port; gives the address to enter in the settings."""
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind(("127.0.0.1", port))
    server = _Server(
        uvicorn.Config(
            simulator,
            interface="asgi3",
            log_level="critical",
            ws="none",
            lifespan="off",
            timeout_graceful_shutdown=0,
        )
    )
    serving = asyncio.create_task(server.serve(sockets=[listener]))
    await server.is_listening.wait()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/v1"
    finally:
        server.should_exit = True
        await serving
        listener.close()


class _Server(uvicorn.Server):
    """A server that says when it listens."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.is_listening = asyncio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.is_listening.set()
