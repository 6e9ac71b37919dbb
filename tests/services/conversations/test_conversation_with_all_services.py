"""Conversations among the other services: members arrive by event, and the assistant answers."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import httpx

from tests.conftest import SignedUp

T = TypeVar("T")
PATIENCE_SECONDS = 60.0  # for a machine that is busy with something else


async def eventually(ask: Callable[[], Awaitable[T | None]]) -> T:
    """Ask until there is an answer."""
    end = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < end:
        answer = await ask()
        if answer is not None:
            return answer
        await asyncio.sleep(0.1)
    raise AssertionError("It did not happen in time.")


async def begin(signed_up: SignedUp, client: httpx.AsyncClient) -> tuple[str, dict[str, str]]:
    body = {"name": "Shop", "channel": "web_widget"}
    inbox = (await signed_up.http.post("/api/v1/inboxes", json=body)).json()
    path = f"/api/v1/widget/{inbox['public_key']}/conversations"
    started = (await client.post(path, json={"name": "Carla"})).json()
    return started["conversation_id"], {"Authorization": f"Bearer {started['token']}"}


async def test_who_signed_up_can_be_assigned(signed_up: SignedUp, client: httpx.AsyncClient) -> None:
    conversation_id, _ = await begin(signed_up, client)

    async def assigned() -> Any:
        path = f"/api/v1/conversations/{conversation_id}/assign"
        answer = await signed_up.http.post(path, json={"assignee_id": str(signed_up.user_id)})
        return answer.json() if answer.status_code == 200 else None

    assert (await eventually(assigned))["assignee_name"] == "Ana"


async def test_the_assistant_hands_over_what_nothing_covers(
    signed_up: SignedUp, client: httpx.AsyncClient
) -> None:
    conversation_id, visitor = await begin(signed_up, client)
    path = f"/api/v1/widget/conversations/{conversation_id}/messages"
    question = {"text": "Which moons of Jupiter can I see from your terrace?"}
    assert (await client.post(path, json=question, headers=visitor)).status_code == 201

    async def handed_over() -> Any:
        page = (await client.get(path, headers=visitor)).json()
        return page if page["conversation"]["status"] == "open" else None

    page = await eventually(handed_over)
    authors = [(message["author"], message["action"]) for message in page["items"]]
    assert authors == [("customer", None), ("assistant", "hand_over"), ("system", None)]
    counts = (await signed_up.http.get("/api/v1/conversations/counts")).json()
    assert (counts["open"], counts["unread"]) == (1, 1)
