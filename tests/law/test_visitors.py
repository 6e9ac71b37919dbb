"""What a customer's widget hears is what it would fetch, whatever members do; and no private note."""

import asyncio
import time

import httpx

from tests.conftest import SignUp
from tests.law.followers import VisitorSight
from tests.law.stage import PATIENCE_SECONDS, Chat, Stage
from tests.law.state import Json
from tests.services.realtime.listening import Listener, Node

ACTS: list[tuple[str, Json | None]] = [
    ("take-over", None),
    ("messages", {"text": "Good day", "is_private": False}),
    ("messages", {"text": "She has called before", "is_private": True}),
    ("read", None),
    ("assign", {"assignee_id": None}),
    ("resolve", None),
    ("reopen", None),
    ("snooze", {"until": "later"}),
    ("reopen", None),
]


async def test_a_visitor_hears_what_he_would_fetch(
    sign_up: SignUp, client: httpx.AsyncClient, node: Node
) -> None:
    stage = Stage(await sign_up("Ana"), client, sign_up)
    chat = await stage.begin(await stage.open_inbox(), "Hello?")
    sight, listener = await _listen(chat, client, node)
    for verb, body in ACTS:
        await stage.act(chat, verb, {"until": stage.later(hours=1)} if verb == "snooze" else body)
        await _same(sight, listener)
    await stage.act(chat, "resolve")
    await stage.write(chat, "It is broken again.")
    await _same(sight, listener)
    ana = str(stage.owner.user_id)
    await stage.is_assignable({"user_id": ana}, chat)
    await stage.do("PATCH", f"members/{ana}", {"name": "Anastasia"})
    await _same(sight, listener)
    assert sight.seen["assignee_name"] in {"Ana", "Anastasia"}
    assert all(not message["is_private"] for message in sight.seen["messages"])


async def test_a_visitor_hears_the_assistant_hand_over(
    sign_up: SignUp, client: httpx.AsyncClient, node: Node
) -> None:
    stage = Stage(await sign_up("Ana"), client, sign_up)
    chat = await stage.begin(await stage.open_inbox(has_assistant=True))
    sight, listener = await _listen(chat, client, node)
    await stage.write(chat, "Which moons of Jupiter can I see from your terrace?")
    deadline = time.monotonic() + PATIENCE_SECONDS
    while sight.seen["status"] != "open" or len(sight.seen["messages"]) < 3:
        assert time.monotonic() < deadline, sight.seen
        await _same(sight, listener)


async def _listen(chat: Chat, client: httpx.AsyncClient, node: Node) -> tuple[VisitorSight, Listener]:
    http = httpx.AsyncClient(transport=client._transport, base_url="http://localhost", headers=chat.headers)
    sight = VisitorSight(http, chat.id)
    cursor = await sight.fetch()
    who = node.keys.verify_visitor(chat.headers["Authorization"].removeprefix("Bearer "))
    return sight, await node.join(node.token_of(who), cursor)


async def _same(sight: VisitorSight, listener: Listener) -> None:
    """Apply what is heard until it is the same as what is fetched."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while True:
        await asyncio.sleep(0.02)
        while not listener.ear.frames.empty():
            frame = listener.ear.frames.get_nowait()
            if frame["type"] == "event":
                assert sight.sees(frame["event"]), frame
                sight.apply(frame["event"])
        different = sight.difference((await sight.fetched())[0])
        if not different and listener.ear.frames.empty():
            return
        assert time.monotonic() < deadline, "\n".join(different)
