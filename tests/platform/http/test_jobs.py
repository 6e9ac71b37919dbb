"""The API over what consumers have yet to do: support looks, an admin acts, nobody else is let in."""

from collections.abc import AsyncIterator, Callable
from datetime import datetime
from typing import Any

import httpx
import pytest

from dana.app import Dana
from dana.contracts.events import OrganizationCreated
from dana.contracts.ids import OrgId, UserId, new_id
from dana.contracts.views import PlatformRole, Role
from dana.platform.identity import SYSTEM, Keys, Member
from dana.platform.settings import Settings
from dana.platform.shards import Shards
from tests.conftest import SignedUp

ROOT = "/api/v1/platform/jobs"


async def as_(http: httpx.AsyncClient, settings: Settings, org: OrgId, role: PlatformRole | None) -> None:
    """Let a client speak as somebody with this role on the platform."""
    member = Member(
        org_id=org,
        user_id=UserId(new_id()),
        role=Role.AGENT,
        name="Pat",
        session_id=new_id(),
        platform_role=role,
    )
    http.headers["authorization"] = f"Bearer {Keys(settings.secrets).sign_member(member, 600)}"


@pytest.fixture
async def group(shards_of: Callable[[str], Shards], org: OrgId) -> AsyncIterator[str]:
    """A consumer that has failed for good with three events of an organization."""
    name, shards = f"failing-{new_id()}", shards_of("conversations")
    pool = await shards.pool((await shards.route(org)).shard)
    await pool.execute("select platform.subscribe($1, '{organization_created}', '{live}')", name)
    for n in range(3):
        async with shards.tx(org, SYSTEM) as tx:
            tx.emit(OrganizationCreated(name=f"secret {n}"))
        token = new_id()
        async with shards.tx(org, SYSTEM) as tx:
            [claimed] = await tx.fetch(
                "select * from platform.claim($1, 'live', 1, interval '1 minute', $2)", name, token
            )
            await tx.execute(
                "select platform.postpone($1, $2, $3, 'live', $4, $5, interval '0', true)",
                org, claimed["cursor"], name, token, f"ValueError: number {n}",
            )  # fmt: skip
    yield name
    await pool.execute("select platform.subscribe($1, '{}', '{}')", name)


@pytest.fixture
async def http(dana: Dana, client: httpx.AsyncClient) -> httpx.AsyncClient:
    return client


async def page(http: httpx.AsyncClient, **params: Any) -> dict[str, Any]:
    answer = await http.get(f"{ROOT}/", params=params)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def test_support_reads_why_something_failed_but_not_what_was_said(
    http: httpx.AsyncClient, settings: Settings, org: OrgId, group: str
) -> None:
    await as_(http, settings, org, PlatformRole.SUPPORT)
    found = await page(http, group=group)
    assert [job["reason"] for job in found["items"]] == [f"ValueError: number {n}" for n in range(3)]
    assert {(job["attempts"], job["state"], job["lane"]) for job in found["items"]} == {(1, "dead", "live")}
    assert all(job["age_seconds"] >= 0 for job in found["items"])
    event = {"organization_id": str(org), "event_cursor": found["items"][0]["cursor"]}
    shown = (await http.get(f"{ROOT}/event", params=event)).json()["items"]
    assert group in {job["group"] for job in shown}
    assert "secret" not in str(shown) + str(found)
    await as_(http, settings, org, PlatformRole.ADMIN)
    shown = (await http.get(f"{ROOT}/event", params=event)).json()["items"]
    assert {job["payload"]["name"] for job in shown} == {"secret 0"}


async def test_pages_show_each_once(
    http: httpx.AsyncClient, settings: Settings, org: OrgId, group: str
) -> None:
    await as_(http, settings, org, PlatformRole.SUPPORT)
    seen, cursor = [], None
    while True:
        found = await page(http, group=group, limit=1, **({"cursor": cursor} if cursor else {}))
        seen += [job["cursor"] for job in found["items"]]
        if (cursor := found["next_cursor"]) is None:
            break
    assert seen == sorted(set(seen))
    assert len(seen) == 3


async def test_an_admin_redrives_and_replays(
    http: httpx.AsyncClient, settings: Settings, org: OrgId, group: str
) -> None:
    await as_(http, settings, org, PlatformRole.ADMIN)
    redrive = {"group": group, "organization_id": str(org)}
    assert (await http.post(f"{ROOT}/redrive", json=redrive)).json() == {"deliveries": 3}
    assert (await page(http, group=group))["items"] == []
    assert len((await page(http, group=group, is_dead=False))["items"]) == 3
    replayed = await http.post(f"{ROOT}/replay", json={"group": group, "organization_id": str(org)})
    assert (replayed.status_code, replayed.json()) == (200, {"deliveries": 0}), "all of it is due already"
    refused = await http.post(f"{ROOT}/replay", json={"group": "nobody", "organization_id": str(org)})
    assert refused.status_code == 404
    assert "There is no consumer named nobody" in refused.json()["detail"]


async def test_recurring_jobs_are_listed_with_their_next_run(
    http: httpx.AsyncClient, settings: Settings, org: OrgId
) -> None:
    await as_(http, settings, org, PlatformRole.SUPPORT)
    found = {job["name"]: job for job in (await http.get(f"{ROOT}/recurring")).json()["items"]}
    assert found["auth.delete_ended"]["rhythm"] == "7 * * * *"
    assert datetime.fromisoformat(found["auth.delete_ended"]["due_at"]).minute == 7


async def test_support_acts_not_and_others_look_not(
    http: httpx.AsyncClient, settings: Settings, org: OrgId, signed_up: SignedUp
) -> None:
    await as_(http, settings, org, PlatformRole.SUPPORT)
    assert (await http.post(f"{ROOT}/redrive", json={})).status_code == 403
    replay = {"group": "ai", "organization_id": str(org)}
    assert (await http.post(f"{ROOT}/replay", json=replay)).status_code == 403
    for path in ("/", "/event", "/recurring"):
        assert (await signed_up.http.get(ROOT + path)).status_code == 403
