"""What a customer's widget hears is what it would fetch, whatever members do; and no private note."""

import asyncio
import os
import time

import httpx

from tests.conftest import SignUp
from tests.law import golden
from tests.law.followers import VisitorSight
from tests.law.stage import PATIENCE_SECONDS, Chat, Played, Stage
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
    before, events = sight.seen, list[Json]()
    for verb, body in ACTS:
        await stage.act(chat, verb, {"until": stage.later(hours=1)} if verb == "snooze" else body)
        events += await _same(sight, listener)
    await stage.act(chat, "resolve")
    await stage.write(chat, "It is broken again.")
    events += await _same(sight, listener)
    assert all(not message["is_private"] for message in sight.seen["messages"])
    me = {
        "member": {"user_id": str(stage.owner.user_id)},
        "contact": {"id": before["messages"][0]["author_id"]},
    }
    visit = golden.recorded(Played(me | before, events, sight.seen | {"version": None}))
    if os.environ.get("WRITE_GOLDEN"):
        golden.write(golden.VISIT, visit)
    assert golden.read(golden.VISIT) == visit, golden.OUT_OF_DATE


async def test_a_visitor_hears_the_new_name_of_who_cares_for_him(
    sign_up: SignUp, client: httpx.AsyncClient, node: Node
) -> None:
    stage = Stage(await sign_up("Ana"), client, sign_up)
    chat = await stage.begin(await stage.open_inbox(), "Hello?")
    ana = str(stage.owner.user_id)
    await stage.is_assignable({"user_id": ana}, chat)
    sight, listener = await _listen(chat, client, node)
    await stage.do("PATCH", f"members/{ana}", {"name": "Anastasia"})
    deadline = time.monotonic() + PATIENCE_SECONDS
    while sight.seen["assignee_name"] != "Anastasia":
        assert time.monotonic() < deadline, sight.seen
        await _same(sight, listener)


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


async def _same(sight: VisitorSight, listener: Listener) -> list[Json]:
    """Apply what is heard until it is the same as what is fetched; returns the events."""
    events: list[Json] = []
    deadline = time.monotonic() + PATIENCE_SECONDS
    while True:
        await asyncio.sleep(0.02)
        while not listener.ear.frames.empty():
            frame = listener.ear.frames.get_nowait()
            if frame["type"] == "event":
                assert sight.sees(frame["event"]), frame
                sight.apply(frame["event"])
                events.append(frame["event"])
        different = sight.difference((await sight.fetched())[0])
        if not different and listener.ear.frames.empty():
            return events
        assert time.monotonic() < deadline, "\n".join(different)
