"""How an inbox presents itself: cached, and right all the same, whoever changes it and dies."""

import asyncio
from collections.abc import Callable
from uuid import UUID

import httpx
import pytest

from dana.contracts.ids import InboxId
from dana.platform.identity import SYSTEM
from dana.platform.shards import Shards
from dana.services.conversations import actions
from tests.conftest import SignedUp, SignUp

PATIENCE_SECONDS = 20.0


@pytest.fixture
async def inbox(signed_up: SignedUp) -> dict[str, str]:
    body = {"name": "Shop", "channel": "web_widget", "greeting": "Hello"}
    made: dict[str, str] = (await signed_up.http.post("/api/v1/inboxes", json=body)).json()
    return made


def path_of(inbox: dict[str, str]) -> str:
    return f"/api/v1/widget/{inbox['public_key']}"


async def test_a_change_is_seen_by_the_next_who_asks(
    client: httpx.AsyncClient, signed_up: SignedUp, inbox: dict[str, str]
) -> None:
    for number in range(20):
        for _ in range(2):
            await client.get(path_of(inbox))
        change = {"greeting": f"Hello {number}"}
        assert (await signed_up.http.patch(f"/api/v1/inboxes/{inbox['id']}", json=change)).is_success
        assert (await client.get(path_of(inbox))).json()["greeting"] == f"Hello {number}"


async def test_a_change_by_a_process_that_died_right_after_it_is_seen(
    client: httpx.AsyncClient,
    signed_up: SignedUp,
    inbox: dict[str, str],
    shards_of: Callable[[str], Shards],
) -> None:
    assert (await client.get(path_of(inbox))).json()["greeting"] == "Hello"
    async with shards_of("conversations").tx(signed_up.org_id, SYSTEM) as tx:  # nobody hears of this commit
        await actions.change_inbox(
            tx, InboxId(UUID(inbox["id"])), name=None, greeting="Goodbye", is_assistant_enabled=None
        )
    async with asyncio.timeout(PATIENCE_SECONDS):
        while (await client.get(path_of(inbox))).json()["greeting"] != "Goodbye":
            await asyncio.sleep(0.02)


async def test_a_browser_hears_only_whether_it_changed(
    client: httpx.AsyncClient, signed_up: SignedUp, inbox: dict[str, str]
) -> None:
    first = await client.get(path_of(inbox))
    assert first.headers["cache-control"] == "public, max-age=0, must-revalidate"
    assert not [name for name in first.headers if name.startswith("surrogate")], "there is no proxy to tell"
    known = {"if-none-match": first.headers["etag"]}
    again = await client.get(path_of(inbox), headers=known)
    assert (again.status_code, again.content) == (304, b"")
    assert again.headers["etag"] == first.headers["etag"]
    await signed_up.http.patch(f"/api/v1/inboxes/{inbox['id']}", json={"is_assistant_enabled": False})
    changed = await client.get(path_of(inbox), headers=known)
    assert (changed.status_code, changed.json()["is_assistant_enabled"]) == (200, False)


async def test_inboxes_of_two_organizations_are_never_mixed_up(
    client: httpx.AsyncClient, sign_up: SignUp
) -> None:
    paths: dict[str, str] = {}
    for name in ("Ana", "Eve"):
        owner = await sign_up(name)
        body = {"name": name, "channel": "web_widget", "greeting": f"I am {name}"}
        paths[name] = path_of((await owner.http.post("/api/v1/inboxes", json=body)).json())
    for _ in range(3):
        for name, path in paths.items():
            assert (await client.get(path)).json()["greeting"] == f"I am {name}"
