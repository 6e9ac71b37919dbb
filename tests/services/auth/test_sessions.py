"""Signing up, signing in, and what becomes of refresh tokens."""

import asyncio

from argon2 import extract_parameters

from dana.platform.identity import Keys
from dana.platform.settings import Settings
from dana.platform.shards import Shards
from dana.services.auth.adapters import Passwords
from tests.services.auth.conftest import Newcomer, Person, desk_of, member_of, newcomers


async def age_rotation(shards: Shards, person: Person, keys: Keys, seconds: float = 60) -> None:
    """Let time pass since the last rotation."""
    async with shards.catalog.tx() as tx:
        await tx.execute(
            "update auth.sessions set rotated_at = rotated_at - make_interval(secs => $2) where id = $1",
            member_of(person, keys).session_id,
            seconds,
        )


async def test_sign_up_answers_with_a_session(newcomer: Newcomer, keys: Keys) -> None:
    ana = newcomer()
    response = await ana.sign_up(organization="Acme", name="  Ana   Sanz ")
    assert response.status_code == 201
    session = response.json()
    assert session["organization_name"] == "Acme"
    assert session["expires_in"] <= 600
    assert session["user"] | {"user_id": ""} == {
        "user_id": "",
        "name": "Ana Sanz",
        "email": ana.email,
        "role": "owner",
        "is_active": True,
    }
    member = keys.verify_member(session["access_token"])
    assert (str(member.org_id), member.name) == (session["organization_id"], "Ana Sanz")
    assert response.headers["cache-control"] == "no-store"
    cookie = response.headers["set-cookie"]
    for part in ("HttpOnly", "SameSite=strict", "Path=/api/v1/auth", "Max-Age="):
        assert part in cookie


async def test_an_address_signs_up_once_however_it_is_written(newcomer: Newcomer) -> None:
    ana = newcomer()
    await ana.sign_up()
    again = await newcomer(f"  {ana.email.upper()} ").sign_up()
    assert again.status_code == 409
    assert "Sign in" in again.json()["detail"]


async def test_of_two_sign_ups_at_once_one_wins(newcomer: Newcomer) -> None:
    email = newcomer().email
    answers = await asyncio.gather(*(newcomer(email).sign_up() for _ in range(4)))
    assert sorted(answer.status_code for answer in answers) == [201, 409, 409, 409]


async def test_sign_in(owner: Person, newcomer: Newcomer) -> None:
    elsewhere = newcomer(owner.email.upper())
    response = await elsewhere.sign_in()
    assert response.status_code == 200
    me = await elsewhere.http.get("/api/v1/auth/me")
    assert me.json()["organization_name"] == "Acme"
    assert "access_token" not in me.json()


async def test_wrong_password_and_unknown_address_look_the_same(owner: Person, newcomer: Newcomer) -> None:
    wrong = await newcomer(owner.email).sign_in("not the password")
    unknown = await newcomer("nobody@example.test").sign_in("not the password")
    assert wrong.status_code == unknown.status_code == 401
    assert wrong.json() | {"request_id": ""} == unknown.json() | {"request_id": ""}


class Watched(Passwords):
    """Remembers what it was asked to verify against."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[str | None] = []

    async def verify(self, password_hash: str | None, password: str) -> bool:
        self.seen.append(password_hash or self._nobody)
        return await super().verify(password_hash, password)


async def test_wrong_password_and_unknown_address_cost_the_same(
    owner: Person, settings: Settings, shards: Shards, keys: Keys
) -> None:
    watched = Watched()
    async with newcomers(desk_of(settings, shards, watched), keys) as newcomer:
        await newcomer(owner.email).sign_in("not the password")
        await newcomer("nobody@example.test").sign_in("not the password")
    watched.close()
    wrong, unknown = watched.seen
    assert wrong != unknown
    assert extract_parameters(str(wrong)) == extract_parameters(str(unknown))


async def test_a_refresh_rotates_the_cookie(owner: Person, shards: Shards, keys: Keys) -> None:
    first = owner.cookie
    response = await owner.refresh()
    assert response.status_code == 200
    assert owner.cookie != first
    await age_rotation(shards, owner, keys)
    assert (await owner.refresh()).status_code == 200


async def test_parallel_tabs_and_lost_answers_stay_signed_in(owner: Person) -> None:
    first = owner.cookie
    await owner.refresh()
    second = owner.cookie
    for cookie in (first, second, first, second):
        assert (await owner.refresh(cookie)).status_code == 200
        assert owner.cookie == second, "within the grace everybody gets the same newest token"


async def test_many_refreshes_at_once_agree(owner: Person, newcomer: Newcomer) -> None:
    tabs = [newcomer(owner.email) for _ in range(6)]
    answers = await asyncio.gather(*(tab.refresh(owner.cookie) for tab in tabs))
    assert {answer.status_code for answer in answers} == {200}
    assert len({tab.cookie for tab in tabs}) == 1


async def test_a_reused_token_ends_the_whole_family(owner: Person, shards: Shards, keys: Keys) -> None:
    stolen = owner.cookie
    await owner.refresh()
    newest = owner.cookie
    await age_rotation(shards, owner, keys)
    assert (await owner.refresh(stolen)).status_code == 401
    assert (await owner.refresh(newest)).status_code == 401, "the thief and the owner are both out"
    assert (await owner.sign_in()).status_code == 200


async def test_a_forged_token_ends_nothing(owner: Person) -> None:
    good = owner.cookie
    forged = good[:-4] + ("AAAA" if good[-4:] != "AAAA" else "BBBB")
    for cookie in (forged, "x", "é", "A" * 10_000, good + "=", good[:-1]):
        assert (await owner.refresh(cookie.encode("ascii", "ignore").decode())).status_code == 401
    assert (await owner.refresh(good)).status_code == 200


async def test_signing_out_ends_this_session_only(owner: Person, newcomer: Newcomer) -> None:
    elsewhere = newcomer(owner.email)
    await elsewhere.sign_in()
    cookie = owner.cookie
    goodbye = await owner.http.post("/api/v1/auth/logout")
    assert goodbye.status_code == 204
    assert 'dana_refresh="";' in goodbye.headers["set-cookie"]
    assert (await owner.refresh(cookie)).status_code == 401
    assert (await elsewhere.refresh()).status_code == 200
    assert (await newcomer().http.post("/api/v1/auth/logout")).status_code == 204


async def test_signing_out_everywhere_ends_all_sessions(owner: Person, newcomer: Newcomer) -> None:
    elsewhere = newcomer(owner.email)
    await elsewhere.sign_in()
    assert (await owner.http.post("/api/v1/auth/logout-everywhere")).status_code == 204
    assert (await elsewhere.refresh()).status_code == 401
    assert (await owner.refresh()).status_code == 401


async def test_sessions_end_by_time(owner: Person, shards: Shards, keys: Keys) -> None:
    session = member_of(owner, keys).session_id
    async with shards.catalog.tx() as tx:
        await tx.execute("update auth.sessions set ends_at = now() - interval '1 s' where id = $1", session)
    assert (await owner.refresh()).status_code == 401


async def test_guessing_is_slowed_down_without_locking_the_owner_out(
    owner: Person, newcomer: Newcomer
) -> None:
    thief = newcomer(owner.email, address="203.0.113.7")
    answers = [await thief.sign_in("guess number one") for _ in range(12)]
    assert [answer.status_code for answer in answers] == [401] * 10 + [429] * 2
    assert int(answers[-1].headers["retry-after"]) > 60
    assert (await thief.sign_in()).status_code == 429, "even the right password, from there"
    assert (await newcomer(owner.email).sign_in()).status_code == 200, "from elsewhere it works"


async def test_many_guesses_at_once_do_not_slip_through(owner: Person, newcomer: Newcomer) -> None:
    thief = newcomer(owner.email, address="203.0.113.8")
    answers = await asyncio.gather(*(thief.sign_in(f"guess {n}") for n in range(30)))
    assert [answer.status_code for answer in answers].count(401) == 10


async def test_a_right_password_forgives_the_wrong_ones(owner: Person) -> None:
    for _ in range(3):
        for _ in range(7):
            assert (await owner.sign_in("a slip of the finger")).status_code == 401
        assert (await owner.sign_in()).status_code == 200


async def test_pages_of_other_sites_are_refused(owner: Person) -> None:
    owner.http.headers["sec-fetch-site"] = "cross-site"
    assert (await owner.sign_in()).status_code == 403
    assert (await owner.refresh()).status_code == 403


async def test_the_public_keys_verify_our_tokens(owner: Person) -> None:
    keys = (await owner.http.get("/.well-known/jwks.json")).json()["keys"]
    assert {key["kty"] for key in keys} == {"EC"}
    assert all("d" not in key for key in keys), "no private part"
