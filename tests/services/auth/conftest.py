"""The real auth service behind its real HTTP application, on real databases."""

import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

import httpx
import pytest

from dana.contracts.ids import OrgId
from dana.platform.http import make_app
from dana.platform.identity import Keys, Member
from dana.platform.settings import Settings
from dana.platform.shards import Shards
from dana.services.auth.actions.desk import Desk
from dana.services.auth.adapters import Passwords, TokenKey
from dana.services.auth.api import routers

PASSWORD = "correct horse battery"


@dataclass(frozen=True)
class Person:
    """Somebody with a browser: an own address and an own cookie jar."""

    http: httpx.AsyncClient
    email: str
    password: str = PASSWORD

    async def sign_up(self, organization: str = "Acme", name: str = "Ana") -> httpx.Response:
        body = {"email": self.email, "password": self.password, "name": name, "organization": organization}
        return self.remember(await self.http.post("/api/v1/auth/signup", json=body))

    async def sign_in(self, password: str | None = None) -> httpx.Response:
        body = {"email": self.email, "password": password or self.password}
        return self.remember(await self.http.post("/api/v1/auth/login", json=body))

    async def refresh(self, cookie: str | None = None) -> httpx.Response:
        if cookie is not None:
            self.http.cookies.clear()
            self.http.cookies.set("dana_refresh", cookie, domain="localhost.local", path="/api/v1/auth")
        return self.remember(await self.http.post("/api/v1/auth/refresh"))

    async def accept(self, link: str, name: str = "Ben", password: str | None = None) -> httpx.Response:
        token = link.rpartition("/")[2]
        body = {"name": name, "password": password or self.password}
        return self.remember(await self.http.post(f"/api/v1/auth/invitations/{token}/accept", json=body))

    async def invite(self, email: str, role: str = "agent") -> httpx.Response:
        return await self.http.post("/api/v1/invitations", json={"email": email, "role": role})

    async def change(self, user_id: str, **change: object) -> httpx.Response:
        return await self.http.patch(f"/api/v1/members/{user_id}", json=change)

    def remember(self, response: httpx.Response) -> httpx.Response:
        if response.is_success and response.content:
            self.http.headers["authorization"] = f"Bearer {response.json()['access_token']}"
        return response

    @property
    def cookie(self) -> str:
        return self.http.cookies["dana_refresh"]


@pytest.fixture
def shards(shards_of: Callable[[str], Shards]) -> Shards:
    return shards_of("auth")


@pytest.fixture(scope="session")
def passwords() -> Passwords:
    return Passwords()


@pytest.fixture
def keys(settings: Settings) -> Keys:
    return Keys(settings.secrets)


def desk_of(settings: Settings, shards: Shards, passwords: Passwords) -> Desk:
    secrets = settings.secrets
    return Desk(
        shards=shards,
        passwords=passwords,
        refresh_tokens=TokenKey(secrets.derive("auth refresh tokens")),
        invitation_tokens=TokenKey(secrets.derive("auth invitation tokens")),
        attempt_key=secrets.derive("auth attempts"),
    )


Newcomer = Callable[..., Person]


@asynccontextmanager
async def newcomers(desk: Desk, keys: Keys) -> AsyncIterator[Newcomer]:
    """Make people, each with an address and a browser of their own unless said otherwise."""
    browsers: list[httpx.AsyncClient] = []

    async def nothing_missing() -> dict[str, str]:
        return {}

    app = make_app(routers(desk, keys, "http://localhost:8080"), keys, nothing_missing)

    def make(email: str | None = None, address: str | None = None) -> Person:
        unique = uuid.uuid4()
        http = httpx.AsyncClient(
            transport=httpx.ASGITransport(app=app),
            base_url="http://localhost:8080",
            headers={"x-client-address": address or f"2001:db8:{unique.hex[:4]}:{unique.hex[4:8]}::1"},
        )
        browsers.append(http)
        return Person(http, email or f"p{unique.hex}@example.test")

    yield make
    for http in browsers:
        await http.aclose()


@pytest.fixture
async def newcomer(
    settings: Settings, shards: Shards, passwords: Passwords, keys: Keys
) -> AsyncIterator[Newcomer]:
    """Make people."""
    async with newcomers(desk_of(settings, shards, passwords), keys) as make:
        yield make


@pytest.fixture
async def owner(newcomer: Newcomer) -> Person:
    """Ana, who signed up with Acme."""
    ana = newcomer()
    assert (await ana.sign_up()).status_code == 201
    return ana


Teammate = Callable[..., Awaitable[Person]]


@pytest.fixture
def teammate(newcomer: Newcomer) -> Teammate:
    """Invite somebody and let them accept."""

    async def make(inviter: Person, role: str = "agent", name: str = "Ben") -> Person:
        ben = newcomer()
        link = (await inviter.invite(ben.email, role)).json()["link"]
        assert (await ben.accept(link, name)).status_code == 201
        return ben

    return make


async def user_id(person: Person) -> str:
    return str((await person.http.get("/api/v1/auth/me")).json()["user"]["user_id"])


async def org_id(person: Person) -> OrgId:
    return OrgId(uuid.UUID((await person.http.get("/api/v1/auth/me")).json()["organization_id"]))


def member_of(person: Person, keys: Keys) -> Member:
    return keys.verify_member(person.http.headers["authorization"].removeprefix("Bearer "))
