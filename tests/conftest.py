"""Real parts for every test: one PostgreSQL and one Valkey a worker, databases made from templates.

Databases are migrated once per worker and shared by its tests; a test gets fresh organizations instead, which
is how tenants are kept apart in production, too.
"""

import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from random import randrange
from uuid import UUID

import httpx
import pytest

from dana.app import Dana, compose, started
from dana.contracts.ids import OrgId, UserId, new_id
from dana.platform.local.postgres import start_postgres
from dana.platform.local.valkey import start_valkey
from dana.platform.migrations import migrate
from dana.platform.secrets import Secrets
from dana.platform.settings import Settings
from dana.platform.shards import Shards


@contextmanager
def started_servers() -> Iterator[Settings]:
    """Start PostgreSQL and Valkey."""
    with tempfile.TemporaryDirectory(prefix="dana-test-") as folder:
        home = Path(folder)
        home.chmod(0o755)
        postgres = start_postgres(home / "postgres")
        valkey = start_valkey(home / "valkey")
        try:
            yield Settings(
                data_dir=home,
                database_url=postgres.dsn,
                redis_url=valkey.url,
                public_url="http://localhost:8080",
                secrets=Secrets.load(home / "secrets"),
                web_dir=home / "web",
                widget_dir=home / "widget",
                environment="test",
            )
        finally:
            valkey.stop()
            postgres.stop()


@pytest.fixture(scope="session")
def servers() -> Iterator[Settings]:
    """The worker's own servers."""
    with started_servers() as running:
        yield running


@pytest.fixture(scope="session")
async def settings(servers: Settings) -> Settings:
    """An installation with all migrations."""
    await migrate(servers)
    return servers


@pytest.fixture
async def shards_of(settings: Settings) -> AsyncIterator[Callable[[str], Shards]]:
    """Make the shards as a service sees them."""
    made: dict[str, Shards] = {}

    def of(service: str) -> Shards:
        return made.setdefault(service, Shards(settings, service))

    yield of
    for shards in made.values():
        await shards.close()


@pytest.fixture
async def org(shards_of: Callable[[str], Shards]) -> OrgId:
    """A fresh organization."""
    return await _new_organization(shards_of)


@pytest.fixture
async def other_org(shards_of: Callable[[str], Shards], org: OrgId) -> OrgId:
    """A second organization on the same shard, where only row-level security stands between the two."""
    shards = shards_of("auth")
    while True:
        other = await _new_organization(shards_of)
        if await shards.route(other) == await shards.route(org):
            return other


async def _new_organization(shards_of: Callable[[str], Shards]) -> OrgId:
    org_id = OrgId(new_id())
    await shards_of("auth").place(org_id)
    return org_id


@dataclass(frozen=True, slots=True)
class SignedUp:
    """An owner with an organization, and her client."""

    org_id: OrgId
    user_id: UserId
    token: str
    http: httpx.AsyncClient


SignUp = Callable[[str], Awaitable[SignedUp]]


@pytest.fixture(scope="session")
async def dana(settings: Settings) -> AsyncIterator[Dana]:
    """Run the whole application, all services in this process, without the gateway."""
    whole = compose(settings)
    async with started(whole):
        yield whole


@pytest.fixture
async def client(dana: Dana) -> AsyncIterator[httpx.AsyncClient]:
    """Speak to the whole application as nobody."""
    async with _client(dana) as http:
        yield http


@pytest.fixture
async def sign_up(dana: Dana) -> AsyncIterator[SignUp]:
    """Sign somebody up."""
    async with AsyncExitStack() as stack:

        async def sign_up(name: str) -> SignedUp:
            http = await stack.enter_async_context(_client(dana))
            body = {"email": f"{new_id()}@example.org", "password": "correct horse battery"}
            body |= {"name": name, "organization": f"{name}'s"}
            answer = await http.post("/api/v1/auth/signup", json=body)
            assert answer.status_code == 201, answer.text
            session = answer.json()
            http.headers["authorization"] = f"Bearer {session['access_token']}"
            return SignedUp(
                OrgId(UUID(session["organization_id"])),
                UserId(UUID(session["user"]["user_id"])),
                session["access_token"],
                http,
            )

        yield sign_up


@pytest.fixture
async def signed_up(sign_up: SignUp) -> SignedUp:
    """An owner of a fresh organization."""
    return await sign_up("Ana")


def _client(dana: Dana) -> httpx.AsyncClient:
    address = f"10.0.{randrange(256)}.{randrange(256)}"  # noqa: S311 - so that nobody shares a sign-in limit
    transport = httpx.ASGITransport(app=dana.http, client=(address, 4242))
    return httpx.AsyncClient(transport=transport, base_url="http://localhost", timeout=60)
