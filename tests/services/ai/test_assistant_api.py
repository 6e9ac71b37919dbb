"""The assistant's settings and its test box, through the real HTTP application."""

from collections.abc import AsyncIterator, Callable

import httpx
import pytest

from dana.contracts.ids import OrgId, UserId, new_id
from dana.contracts.views import Role
from dana.platform.http import make_app
from dana.platform.identity import SYSTEM, Keys, Member
from dana.platform.settings import Settings
from dana.services.ai.actions.assistants import assistant_of
from dana.services.ai.actions.desk import Desk
from dana.services.ai.api import router
from tests.services.ai.desks import Screen

KEY = "sk-0123456789abcdefghij"
SETTINGS = {
    "name": "Mia",
    "language": "de",
    "tone": "friendly",
    "threshold": 0.4,
    "hand_over_text": "Ana will write to you.",
    "provider": {
        "kind": "openai",
        "base_url": "http://127.0.0.1:9/v1",
        "model": "small",
        "api_key": KEY,
    },
}

As = Callable[[OrgId, Role], dict[str, str]]


@pytest.fixture
def as_member(settings: Settings) -> As:
    keys = Keys(settings.secrets)

    def headers(org_id: OrgId, role: Role = Role.ADMIN) -> dict[str, str]:
        member = Member(org_id=org_id, user_id=UserId(new_id()), role=role, name="Ana", session_id=new_id())
        return {"Authorization": f"Bearer {keys.sign_member(member, 60)}"}

    return headers


@pytest.fixture
async def http(settings: Settings, desk: Desk) -> AsyncIterator[httpx.AsyncClient]:
    async def nothing_missing() -> dict[str, str]:
        return {}

    app = make_app([router(desk)], Keys(settings.secrets), nothing_missing)
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(app=app), base_url="http://localhost/api/v1/assistant"
    ) as client:
        yield client


async def test_an_organization_starts_with_quotes(http: httpx.AsyncClient, as_member: As, org: OrgId) -> None:
    found = (await http.get("", headers=as_member(org, Role.AGENT))).json()
    assert found["name"] == "Assistant"
    assert found["threshold"] is None
    assert found["provider"] == {"kind": "extractive", "base_url": "", "model": "", "api_key": ""}


async def test_settings_are_kept_and_the_key_is_masked(
    http: httpx.AsyncClient, as_member: As, org: OrgId, desk: Desk
) -> None:
    changed = await http.put("", json=SETTINGS, headers=as_member(org, Role.ADMIN))
    assert changed.status_code == 200, changed.text
    masked = {**SETTINGS, "provider": {**SETTINGS["provider"], "api_key": "••••ghij"}}  # type: ignore[dict-item]
    assert changed.json() == masked
    assert (await http.get("", headers=as_member(org, Role.AGENT))).json() == masked
    assert (await http.put("", json=masked, headers=as_member(org, Role.ADMIN))).json() == masked
    async with desk.shards.read(org) as tx:
        stored = await tx.fetchval("select sealed_key from ai.assistants")
        assert (await assistant_of(tx, desk.secrets)).provider.api_key == KEY
    assert KEY.encode() not in stored


async def test_one_organization_s_settings_are_nobody_else_s(
    http: httpx.AsyncClient, as_member: As, org: OrgId, other_org: OrgId
) -> None:
    await http.put("", json=SETTINGS, headers=as_member(org, Role.OWNER))
    theirs = (await http.get("", headers=as_member(other_org, Role.OWNER))).json()
    assert theirs["name"] == "Assistant"
    await http.put("", json={"name": "Theirs"}, headers=as_member(other_org, Role.OWNER))
    assert (await http.get("", headers=as_member(org, Role.OWNER))).json()["name"] == "Mia"


async def test_who_may_do_what(http: httpx.AsyncClient, as_member: As, org: OrgId) -> None:
    assert (await http.get("")).status_code == 401
    assert (await http.put("", json=SETTINGS, headers=as_member(org, Role.AGENT))).status_code == 403


@pytest.mark.parametrize(
    "change",
    [
        {"name": ""},
        {"threshold": 2},
        {"threshold": "high"},
        {"unknown": 1},
        {"provider": {"kind": "magic"}},
        {"provider": {"kind": "openai", "base_url": "javascript:alert(1)", "model": "m"}},
        {"provider": {"kind": "openai", "base_url": "http://x/v1", "model": ""}},
        [],
        "text",
    ],
)
async def test_nonsense_is_refused_in_words(
    http: httpx.AsyncClient, as_member: As, org: OrgId, change: object
) -> None:
    refused = await http.put("", json=change, headers=as_member(org, Role.ADMIN))
    assert refused.status_code == 422
    assert refused.headers["content-type"].startswith("application/problem+json")
    assert refused.json()["detail"]


async def test_trying_takes_the_way_of_customers_and_leaves_no_trace(
    http: httpx.AsyncClient, as_member: As, org: OrgId, desk: Desk
) -> None:
    question = {"question": "Within how many days can I return an item?"}
    tried = await http.post("/try", json=question, headers=as_member(org, Role.AGENT))
    assert tried.status_code == 200
    answer = tried.json()
    assert answer["action"] == "reply"
    assert answer["text"].startswith("You can return any item within 30 days.")
    assert answer["citations"][0]["title"] == "Returns"
    assert answer["confidence"] > 0.5
    assert answer["took_ms"] >= 0
    assert isinstance(desk.ephemera, Screen)
    assert desk.ephemera.shown == []
    async with desk.shards.read(org) as tx:
        assert await tx.fetchval("select count(*) from ai.turns") == 0
        assert await tx.fetchval("select count(*) from platform.event_log") == 0


async def test_trying_shows_what_is_wrong_with_the_model_server(
    http: httpx.AsyncClient, as_member: As, org: OrgId
) -> None:
    await http.put("", json=SETTINGS, headers=as_member(org, Role.ADMIN))
    question = {"question": "Within how many days can I return an item?"}
    answer = (await http.post("/try", json=question, headers=as_member(org, Role.AGENT))).json()
    assert answer["reason"] == "The model server can't be reached."
    assert answer["made_by"] == "extractive"


@pytest.mark.parametrize("question", ["", "  ", "x" * 2001, "a\0b"])
async def test_a_question_must_be_one(
    http: httpx.AsyncClient, as_member: As, org: OrgId, question: str
) -> None:
    refused = await http.post("/try", json={"question": question}, headers=as_member(org, Role.AGENT))
    assert refused.status_code == 422


async def test_a_key_of_another_installation_is_said_so(
    http: httpx.AsyncClient, as_member: As, org: OrgId, desk: Desk
) -> None:
    await http.put("", json=SETTINGS, headers=as_member(org, Role.ADMIN))
    async with desk.shards.tx(org, SYSTEM) as tx:
        await tx.execute(
            "update ai.assistants set sealed_key = '\\x00112233445566778899aabbccddeeff00112233'"
        )
    refused = await http.get("", headers=as_member(org, Role.ADMIN))
    assert refused.status_code == 503
    assert "can't be read" in refused.json()["detail"]
