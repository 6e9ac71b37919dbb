"""Search as the console asks for it."""

from typing import Any
from uuid import UUID

import pytest

from dana.platform.http import encode_cursor
from tests.conftest import SignedUp, SignUp

SEARCH = "/api/v1/conversations/search"


async def said(ana: SignedUp, *texts: str) -> str:
    """Let a customer write; returns the token of their browser."""
    body = {"name": "Web", "channel": "web_widget", "is_assistant_enabled": False}
    inbox = (await ana.http.post("/api/v1/inboxes", json=body)).json()
    contact = {"name": "Carla Gómez", "email": "carla@example.org"}
    begun = await ana.http.post(f"/api/v1/widget/{inbox['public_key']}/conversations", json=contact)
    started: dict[str, Any] = begun.json()
    for text in texts:
        path = f"/api/v1/widget/conversations/{started['conversation_id']}/messages"
        authorization = {"Authorization": f"Bearer {started['token']}"}
        answer = await ana.http.post(path, json={"text": text}, headers=authorization)
        assert answer.status_code == 201, answer.text
    return str(started["token"])


async def test_a_hit_carries_the_conversation_and_what_matched(signed_up: SignedUp) -> None:
    await said(signed_up, "My order arrived broken", "Can it be refunded?")
    page = (await signed_up.http.get(SEARCH, params={"q": "REFUND"})).json()
    [hit] = page["items"]
    assert (page["next_cursor"], page["is_cut_short"]) == (None, False)
    assert (hit["seq"], hit["author"], hit["is_private"]) == (2, "customer", False)
    assert hit["excerpt"] == [
        {"text": "Can it be ", "is_match": False},
        {"text": "refunded", "is_match": True},
        {"text": "?", "is_match": False},
    ]
    listed = (await signed_up.http.get("/api/v1/conversations")).json()["items"]
    assert hit["conversation"] == listed[0]
    [hit] = (await signed_up.http.get(SEARCH, params={"q": "carla@example.org gomez"})).json()["items"]
    assert [piece["text"] for piece in hit["contact_name"] if piece["is_match"]] == ["Carla", "Gómez"]
    assert [piece["text"] for piece in hit["contact_email"] if piece["is_match"]] == [
        "carla",
        "example",
        "org",
    ]


async def test_pages_follow_each_other(signed_up: SignedUp) -> None:
    await said(signed_up, *(f"umbrella number {number}" for number in range(5)))
    seqs: list[int] = []
    params: dict[str, Any] = {"q": "umbrella", "limit": 2}
    while "cursor" not in params or params["cursor"]:
        page = (await signed_up.http.get(SEARCH, params=params)).json()
        seqs += [hit["seq"] for hit in page["items"]]
        params["cursor"] = page["next_cursor"]
    assert seqs == [5, 4, 3, 2, 1]


async def test_only_members_search_and_only_in_their_organization(
    signed_up: SignedUp, sign_up: SignUp
) -> None:
    token = await said(signed_up, "a turquoise umbrella")
    visitor = {"Authorization": f"Bearer {token}"}
    assert (await signed_up.http.get(SEARCH, params={"q": "umbrella"}, headers=visitor)).status_code == 401
    stranger = await sign_up("Eve")
    assert (await stranger.http.get(SEARCH, params={"q": "umbrella"})).json()["items"] == []
    assert len((await signed_up.http.get(SEARCH, params={"q": "umbrella"})).json()["items"]) == 1


@pytest.mark.parametrize(
    "params",
    [
        {},
        {"q": "x" * 201},
        {"q": "a b c d e f g h i j k"},
        {"q": "x", "limit": 0},
        {"q": "x", "limit": 101},
        {"q": "x", "cursor": "nonsense"},
        {"q": "x", "cursor": "WyJhIiwiYiJd"},
        {"q": "x", "cursor": encode_cursor(-5, UUID(int=1))},
        {"q": "x", "cursor": encode_cursor(10**22, UUID(int=1))},
    ],
)
async def test_ugly_searches_are_refused_clearly(signed_up: SignedUp, params: dict[str, Any]) -> None:
    answer = await signed_up.http.get(SEARCH, params=params)
    assert answer.status_code == 422, answer.text
    assert answer.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize("q", ["", "?!", "\x00", "%", "'; drop table x; --", "\N{PILE OF POO}"])
async def test_every_text_may_be_searched(signed_up: SignedUp, q: str) -> None:
    answer = await signed_up.http.get(SEARCH, params={"q": q})
    assert (answer.status_code, answer.json()["items"]) == (200, [])
