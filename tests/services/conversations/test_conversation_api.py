"""The API as clients see it: status codes, pages, idempotency, and who may do what."""

from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID

import httpx
import pytest

from dana.contracts.ids import OrgId, new_id
from dana.contracts.views import Role
from dana.platform.cache import Caches
from dana.platform.http import make_app
from dana.platform.identity import Keys, Member
from dana.platform.purging import Purger
from dana.platform.settings import Settings
from dana.services.conversations.actions.presenting import Presenting
from dana.services.conversations.api import routers
from tests.services.conversations.conftest import OpenDesk
from tests.services.conversations.desk import Agent, Desk

Json = dict[str, Any]
Asking = tuple[httpx.AsyncClient, dict[str, str]]


@pytest.fixture
def keys(settings: Settings) -> Keys:
    return Keys(settings.secrets)


@pytest.fixture
async def http(desk: Desk, keys: Keys) -> AsyncIterator[httpx.AsyncClient]:
    """The application, asked directly."""
    presenting = Presenting.build(desk.shards, Caches(), Purger(""))

    async def ready() -> dict[str, str]:
        return {}

    app = make_app(routers(desk.shards, keys, presenting), keys, ready)
    transport = httpx.ASGITransport(app=app)
    async with httpx.AsyncClient(transport=transport, base_url="http://dana.test/api/v1") as client:
        yield client


def signed_in(keys: Keys, org_id: OrgId, agent: Agent, role: Role = Role.AGENT) -> dict[str, str]:
    member = Member(org_id, agent.id, role, agent.name, new_id())
    return {"Authorization": f"Bearer {keys.sign_member(member, 60)}"}


@pytest.fixture
def ana(desk: Desk, keys: Keys) -> dict[str, str]:
    return signed_in(keys, desk.org_id, desk.ana)


@pytest.fixture
def admin(desk: Desk, keys: Keys) -> dict[str, str]:
    return signed_in(keys, desk.org_id, desk.bob, Role.ADMIN)


async def started(http: httpx.AsyncClient, desk: Desk) -> tuple[str, dict[str, str]]:
    answer = await http.post(f"/widget/{desk.inbox.public_key}/conversations", json={"name": "Carla"})
    assert answer.status_code == 201, answer.text
    body = answer.json()
    assert set(body) == {"conversation_id", "token", "cursor", "conversation"}
    return body["conversation_id"], {"Authorization": f"Bearer {body['token']}"}


async def test_inboxes_are_opened_changed_and_listed(
    http: httpx.AsyncClient, desk: Desk, ana: dict[str, str], admin: dict[str, str]
) -> None:
    body = {"name": "Support", "channel": "web_widget", "greeting": "Hi there"}
    assert (await http.post("/inboxes", json=body, headers=ana)).status_code == 403
    made = await http.post("/inboxes", json=body, headers=admin)
    assert made.status_code == 201, made.text
    inbox = made.json()
    shown = (await http.get(f"/widget/{inbox['public_key']}")).json()
    assert shown == {"name": "Support", "greeting": "Hi there", "is_assistant_enabled": True}
    changed = await http.patch(f"/inboxes/{inbox['id']}", json={"is_assistant_enabled": False}, headers=admin)
    assert changed.json() == inbox | {"is_assistant_enabled": False}
    first = (await http.get("/inboxes?limit=1", headers=ana)).json()
    rest = (await http.get(f"/inboxes?cursor={first['next_cursor']}", headers=ana)).json()
    assert [i["id"] for i in first["items"] + rest["items"]] == [str(desk.inbox.id), inbox["id"]]
    assert rest["next_cursor"] is None
    view = await http.post(f"/widget/{inbox['public_key']}/conversations", json={})
    assert view.json()["conversation"]["status"] == "open"


async def test_a_customer_and_an_agent_talk(http: httpx.AsyncClient, desk: Desk, ana: dict[str, str]) -> None:
    conversation_id, visitor = await started(http, desk)
    theirs = f"/widget/conversations/{conversation_id}/messages"
    sent = await http.post(theirs, json={"text": "Hello?"}, headers=visitor)
    assert sent.status_code == 201, sent.text
    assert sent.json().items() >= {"seq": 1, "author": "customer", "text": "Hello?"}.items()
    listed = (await http.get("/conversations?status=pending", headers=ana)).json()
    assert [view["id"] for view in listed["items"]] == [conversation_id]
    assert listed["items"][0]["unread_count"] == 1
    assert listed["org_cursor"] >= 4
    assert (await http.get("/conversations/counts", headers=ana)).json()["unread"] == 1
    ours = f"/conversations/{conversation_id}/messages"
    note = await http.post(ours, json={"text": "looks lost", "is_private": True}, headers=ana)
    assert note.json()["is_private"] is True
    reply = await http.post(ours, json={"text": "Hi Carla"}, headers=ana)
    assert reply.json().items() >= {"author": "agent", "author_name": "Ana"}.items()
    page = (await http.get(f"{theirs}?after=1", headers=visitor)).json()
    assert [(m["author"], m["text"]) for m in page["items"]] == [
        ("system", "Ana joined the conversation."),
        ("agent", "Hi Carla"),
    ]
    assert page["conversation"].items() >= {"status": "open", "assignee_name": "Ana"}.items()
    assert len((await http.get(f"{theirs}?after=1000", headers=visitor)).json()["items"]) == 3


@pytest.mark.parametrize(
    "act",
    [
        ("take-over", None, "open"),
        ("resolve", None, "resolved"),
        ("snooze", {"until": "2099-01-01T00:00:00Z"}, None),
        ("read", None, "pending"),
        ("reopen", None, "pending"),
        ("assign", {"assignee_id": None}, "pending"),
    ],
)
async def test_acts_answer_with_the_conversation(
    http: httpx.AsyncClient, desk: Desk, ana: dict[str, str], act: tuple[str, Json | None, str | None]
) -> None:
    conversation_id, _ = await started(http, desk)
    name, body, status = act
    answer = await http.post(f"/conversations/{conversation_id}/{name}", json=body, headers=ana)
    if status is None:
        assert answer.status_code == 422
        assert answer.json()["detail"].startswith("`until` must be")
    else:
        assert (answer.status_code, answer.json()["status"]) == (200, status)


async def test_a_repeat_with_the_same_key_writes_nothing(
    http: httpx.AsyncClient, desk: Desk, ana: dict[str, str]
) -> None:
    conversation_id, visitor = await started(http, desk)
    for path, headers in (
        (f"/conversations/{conversation_id}/messages", ana),
        (f"/widget/conversations/{conversation_id}/messages", visitor),
    ):
        keyed = headers | {"Idempotency-Key": f"key of {path[:8]}"}
        first = await http.post(path, json={"text": "once"}, headers=keyed)
        again = await http.post(path, json={"text": "once"}, headers=keyed)
        other = await http.post(path, json={"text": "twice"}, headers=keyed)
        assert [answer.status_code for answer in (first, again, other)] == [201, 200, 409]
        assert first.json() == again.json()
    key = {"Idempotency-Key": str(new_id())}
    path = f"/widget/{desk.inbox.public_key}/conversations"
    ids = {(await http.post(path, json={}, headers=key)).json()["conversation_id"] for _ in range(2)}
    assert len(ids) == 1


async def test_messages_page_backwards_and_forwards(
    http: httpx.AsyncClient, desk: Desk, ana: dict[str, str]
) -> None:
    conversation_id, visitor = await started(http, desk)
    for number in range(5):
        path = f"/widget/conversations/{conversation_id}/messages"
        await http.post(path, json={"text": str(number)}, headers=visitor)
    ours = f"/conversations/{conversation_id}/messages"
    newest = (await http.get(f"{ours}?limit=2", headers=ana)).json()
    assert ([m["seq"] for m in newest["items"]], newest["next_cursor"]) == ([4, 5], "4")
    older = (await http.get(f"{ours}?limit=3&before=4", headers=ana)).json()
    assert ([m["seq"] for m in older["items"]], older["next_cursor"]) == ([1, 2, 3], None)
    later = (await http.get(f"{ours}?limit=2&after=1", headers=ana)).json()
    assert ([m["seq"] for m in later["items"]], later["next_cursor"]) == ([2, 3], "3")


@pytest.mark.parametrize(
    "body",
    [
        {"text": ""},
        {"text": "  \n"},
        {"text": "x" * 10_001},
        {"text": "a\x00b"},
        {"text": 5},
        {"text": None},
        {"text": "hi", "author": "agent"},
        {},
        [],
        "text",
    ],
)
async def test_ugly_messages_are_refused_clearly(
    http: httpx.AsyncClient, desk: Desk, ana: dict[str, str], body: Any
) -> None:
    conversation_id, visitor = await started(http, desk)
    for path, headers in (
        (f"/conversations/{conversation_id}/messages", ana),
        (f"/widget/conversations/{conversation_id}/messages", visitor),
    ):
        answer = await http.post(path, json=body, headers=headers)
        assert answer.status_code == 422, answer.text
        assert answer.headers["content-type"] == "application/problem+json"
        assert answer.json()["type"] == "urn:dana:problem:invalid"


@pytest.mark.parametrize(
    "raw", [b"", b"{", b'{"text":"\xff"}', b'{"text":"\\ud800"}', b'{"text":"a","text":"' + b"[" * 5000]
)
async def test_broken_json_is_refused_clearly(
    http: httpx.AsyncClient, desk: Desk, ana: dict[str, str], raw: bytes
) -> None:
    conversation_id, _ = await started(http, desk)
    headers = ana | {"Content-Type": "application/json"}
    answer = await http.post(f"/conversations/{conversation_id}/messages", content=raw, headers=headers)
    assert answer.status_code == 422, answer.text


@pytest.mark.parametrize(
    "text", ["x" * 10_000, "مرحبا 👩‍👩‍👧‍👦 नमस्ते", "<script>alert(1)</script>", "'; drop table x; --"]
)
async def test_every_honest_text_comes_back_as_it_was(
    http: httpx.AsyncClient, desk: Desk, ana: dict[str, str], text: str
) -> None:
    conversation_id, _ = await started(http, desk)
    path = f"/conversations/{conversation_id}/messages"
    assert (await http.post(path, json={"text": text}, headers=ana)).json()["text"] == text
    assert (await http.get(path, headers=ana)).json()["items"][-1]["text"] == text


@pytest.mark.parametrize(
    "query",
    [
        "limit=0",
        "limit=101",
        "limit=x",
        "status=closed",
        "cursor=nonsense",
        "cursor=WyJhIiwiYiJd",
        "inbox_id=5",
    ],
)
async def test_ugly_queries_are_refused_clearly(
    http: httpx.AsyncClient, ana: dict[str, str], query: str
) -> None:
    answer = await http.get(f"/conversations?{query}", headers=ana)
    assert answer.status_code == 422, answer.text


@pytest.mark.parametrize("query", ["after=-1", "after=x", "before=99999999999999999999", "after=1&before=2"])
async def test_ugly_places_are_refused_clearly(
    http: httpx.AsyncClient, desk: Desk, ana: dict[str, str], query: str
) -> None:
    conversation_id, _ = await started(http, desk)
    answer = await http.get(f"/conversations/{conversation_id}/messages?{query}", headers=ana)
    assert answer.status_code == 422, answer.text


@pytest.mark.parametrize(
    "body",
    [
        {"email": "no address"},
        {"email": "a@b@c"},
        {"email": "a" * 250 + "@x.org"},
        {"name": "\x00"},
        {"name": "n" * 201},
        {"nick": "x"},
    ],
)
async def test_ugly_visitors_are_refused_clearly(http: httpx.AsyncClient, desk: Desk, body: Json) -> None:
    answer = await http.post(f"/widget/{desk.inbox.public_key}/conversations", json=body)
    assert answer.status_code == 422, answer.text


@pytest.mark.parametrize("key", ["inbox_unknown", "%00", "a%00b", "%FF%FE", "x" * 3000, "'%20or%201=1"])
async def test_an_unknown_public_key_is_missing(http: httpx.AsyncClient, key: str) -> None:
    for answer in (await http.get(f"/widget/{key}"), await http.post(f"/widget/{key}/conversations")):
        assert answer.status_code == 404, answer.text


async def test_a_visitor_need_not_say_who_they_are(http: httpx.AsyncClient, desk: Desk) -> None:
    path = f"/widget/{desk.inbox.public_key}/conversations"
    for answer in (await http.post(path), await http.post(path, json={}), await http.post(path, json=None)):
        assert answer.status_code == 201, answer.text
        view = await desk.view(answer.json()["conversation_id"])
        assert view.contact.name.startswith("Visitor ")


async def test_a_visitor_sees_only_their_own_conversation(
    http: httpx.AsyncClient, desk: Desk, ana: dict[str, str]
) -> None:
    mine, visitor = await started(http, desk)
    another, _ = await started(http, desk)
    path = f"/widget/conversations/{another}/messages"
    assert (await http.get(path, headers=visitor)).status_code == 404
    assert (await http.post(path, json={"text": "hi"}, headers=visitor)).status_code == 404
    assert (await http.get("/conversations", headers=visitor)).status_code == 401
    assert (await http.get(f"/conversations/{mine}", headers=visitor)).status_code == 401
    assert (await http.get(path, headers=ana)).status_code == 401
    assert (await http.get(path)).status_code == 401
    assert (await http.get("/widget/inbox_unknown")).status_code == 404


async def test_a_member_of_another_organization_finds_nothing(
    http: httpx.AsyncClient, desk: Desk, keys: Keys, other_org: OrgId, open_desk: OpenDesk
) -> None:
    conversation_id, _ = await started(http, desk)
    other = await open_desk(other_org)
    stranger = signed_in(keys, other.org_id, other.ana, Role.OWNER)
    assert (await http.get(f"/conversations/{conversation_id}", headers=stranger)).status_code == 404
    assert (await http.get(f"/conversations/{conversation_id}/messages", headers=stranger)).status_code == 404
    assert (await http.get("/conversations", headers=stranger)).json()["items"] == []
    changes = await http.patch(f"/inboxes/{desk.inbox.id}", json={"name": "x"}, headers=stranger)
    assert changes.status_code == 404
    assert UUID(conversation_id)
