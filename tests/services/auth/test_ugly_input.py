"""Whatever is sent to auth, the answer is a clear refusal as problem+json, never a 500."""

import asyncio
from typing import Any
from uuid import uuid4

import httpx
import pytest

from dana.contracts.ids import new_id
from dana.platform.errors import Unavailable
from dana.platform.identity import Keys, Visitor
from dana.services.auth.adapters import Passwords
from tests.services.auth.conftest import Newcomer, Person, org_id, user_id

GOOD = {"email": "ana@example.test", "password": "correct horse", "name": "Ana", "organization": "Acme"}

UGLY: list[Any] = [
    None,
    0,
    -1.5,
    True,
    [],
    {},
    "",
    " ",
    "\x00",
    "a\x00b",
    "\u202egnp.exe",
    "x" * 1001,
    "x" * 100_000,
    "'; drop table auth.users; --",
    "${jndi:ldap://x}",
    "\ufffe",
]
FINE_AS_A_NAME = ("'; drop table auth.users; --", "${jndi:ldap://x}")


def assert_refused(response: httpx.Response, *codes: int) -> None:
    assert response.status_code in codes, response.text
    assert response.headers["content-type"].startswith("application/problem+json")
    problem = response.json()
    assert problem["type"].startswith("urn:dana:problem:")
    assert problem["detail"]
    assert "Traceback" not in response.text


@pytest.mark.parametrize("field", list(GOOD))
async def test_ugly_sign_ups(newcomer: Newcomer, field: str) -> None:
    fine = FINE_AS_A_NAME if field != "email" else ()
    for value in [ugly for ugly in UGLY if ugly not in fine]:
        response = await newcomer().http.post("/api/v1/auth/signup", json=GOOD | {field: value})
        assert_refused(response, 413, 422)


@pytest.mark.parametrize("field", ["email", "password"])
async def test_ugly_sign_ins(newcomer: Newcomer, field: str) -> None:
    for value in UGLY:
        body = {"email": "nobody@example.test", "password": "correct horse"} | {field: value}
        assert_refused(await newcomer().http.post("/api/v1/auth/login", json=body), 401, 413, 422)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b"\xff\xfe",
        b'{"email": "a@example.test"}',
        b'{"email": "\\ud800@example.test", "password": "12345678"}',
        b'{"email": "a@example.test", "password": "12345678", "is_admin": true}',
        b'{"email": ' + b"[" * 5000 + b"]" * 5000 + b"}",
    ],
)
async def test_ugly_bodies(newcomer: Newcomer, body: bytes) -> None:
    headers = {"content-type": "application/json"}
    for path in ("signup", "login", "invitations/x/accept"):
        response = await newcomer().http.post(f"/api/v1/auth/{path}", content=body, headers=headers)
        assert_refused(response, 401, 404, 422)


@pytest.mark.parametrize("token", ["x", "%00", "%E2%80%AE", "A" * 60, "A" * 300, "..%2F..%2Fetc", "é"])
async def test_ugly_invitation_links(newcomer: Newcomer, token: str) -> None:
    stranger = newcomer()
    assert_refused(await stranger.http.get(f"/api/v1/auth/invitations/{token}"), 404, 422)
    body = {"name": "Ben", "password": "correct horse"}
    answer = await stranger.http.post(f"/api/v1/auth/invitations/{token}/accept", json=body)
    assert_refused(answer, 404, 422)


UGLY_CHANGES: list[Any] = [
    {"role": "emperor"},
    {"role": 1},
    {"is_active": "yes"},
    {"name": ""},
    {"name": "\x00"},
    {"name": "x" * 121},
    {"password": "x"},
    {"org_id": str(uuid4())},
    [],
    None,
]


async def test_ugly_changes(owner: Person) -> None:
    path = f"/api/v1/members/{await user_id(owner)}"
    for change in UGLY_CHANGES:
        assert_refused(await owner.http.patch(path, json=change), 422)


async def test_an_empty_change_changes_nothing(owner: Person) -> None:
    assert (await owner.change(await user_id(owner))).status_code == 200


async def test_ugly_invitations(owner: Person) -> None:
    for email in ("", "x", "a@b", "a\x00@example.test", None, 5):
        response = await owner.http.post("/api/v1/invitations", json={"email": email, "role": "agent"})
        assert_refused(response, 422)


async def test_nonsense_in_paths(owner: Person) -> None:
    assert_refused(await owner.http.patch("/api/v1/members/me", json={}), 404, 422)
    assert_refused(await owner.http.patch(f"/api/v1/members/{uuid4()}", json={}), 404)
    assert_refused(await owner.http.delete("/api/v1/invitations/x"), 404, 422)
    assert_refused(await owner.http.get("/api/v1/auth/login"), 405)


async def test_every_guarded_route_wants_a_members_token(
    owner: Person, newcomer: Newcomer, keys: Keys
) -> None:
    visitor = Visitor(await org_id(owner), new_id(), new_id(), new_id())  # type: ignore[arg-type]
    tampered = owner.http.headers["authorization"][:-6] + "AAAAAA"
    for authorization in (
        None,
        "Bearer",
        "Bearer x.y.z",
        "Basic YTpi",
        tampered,
        f"Bearer {keys.sign_visitor(visitor, 60)}",
        f"Bearer {keys.sign_member(keys.verify_member(owner.http.headers['authorization'][7:]), -60)}",
        # {"alg":"none"} with an otherwise good payload
        "Bearer eyJhbGciOiJub25lIn0." + owner.http.headers["authorization"].split(".")[1] + ".",
    ):
        stranger = newcomer()
        if authorization is not None:
            stranger.http.headers["authorization"] = authorization
        for method, path in (
            ("GET", "/api/v1/auth/me"),
            ("POST", "/api/v1/auth/logout-everywhere"),
            ("GET", "/api/v1/members"),
            ("GET", "/api/v1/invitations"),
        ):
            assert_refused(await stranger.http.request(method, path), 401)


async def test_no_answer_shows_a_hash_or_a_seed(owner: Person) -> None:
    for path in ("auth/me", "members", "invitations"):
        text = (await owner.http.get(f"/api/v1/{path}")).text
        assert "argon2" not in text
        assert "seed" not in text


async def test_a_rush_of_passwords_is_bounded() -> None:
    passwords = Passwords(most_waiting=3)
    try:
        outcomes = await asyncio.gather(
            *(passwords.hash("correct horse") for _ in range(6)), return_exceptions=True
        )
        assert [isinstance(outcome, Unavailable) for outcome in outcomes].count(True) == 3
        assert await passwords.verify(str(outcomes[0]), "correct horse")
        assert not await passwords.verify(str(outcomes[0]), "correct horsf")
        assert not await passwords.verify("not a hash", "correct horse")
        assert not await passwords.verify(None, "correct horse")
    finally:
        passwords.close()


async def test_hashing_leaves_the_event_loop_free(passwords: Passwords) -> None:
    """Other requests go on while passwords are hashed."""
    hashing = asyncio.gather(*(passwords.hash(f"correct horse {n}") for n in range(12)))
    turns = 0
    while not hashing.done():
        await asyncio.sleep(0.001)
        turns += 1
    await hashing
    assert turns > 12, "one turn per hash would mean that the loop did the hashing"
