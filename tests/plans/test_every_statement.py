"""With two million conversations, every statement of every store stays on an index.

Each runs for real, as its service's own role under row-level security, once planned for its parameters and
once planned for any, for an organization with half of all rows and for a small one. Nothing may read a large
table as a whole, walk past many rows that it doesn't want, or sort or gather more than a page.
"""

import inspect
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from benchmarks.bare import bare
from benchmarks.crowd import Owner, fill, small_organizations
from dana.contracts.ids import (
    ConversationId,
    DocumentId,
    InboxId,
    InvitationId,
    MessageId,
    OrgId,
    UserId,
    new_id,
)
from dana.platform.database import Tx, address
from dana.platform.identity import SYSTEM
from dana.platform.local.postgres import FAST_AND_FORGETFUL, start_postgres
from dana.platform.migrations import migrate
from dana.platform.settings import Settings
from dana.platform.shards import Shards
from dana.services.conversations import store
from dana.services.conversations.models.nouns import Filter
from tests.architecture.test_stores import functions, stores
from tests.plans import calls, calls_elsewhere, judging
from tests.plans.calls import Cast
from tests.plans.furnishing import furnish

CONVERSATIONS = 2_000_000
SECONDS = 600  # of which the load takes most; it shares two cores with all other tests
SERVICES = ("auth", "conversations", "knowledge", "ai", "realtime")
NO_LOG = {"wal_level": "minimal", "max_wal_senders": "0", "summarize_wal": "off"}

EXEMPT_STORES = {
    "placement": "what an operator asks for: it copies whole organizations, or lists shards and moves",
}
MAY_READ_MORE = {
    "backlog": (1_000_000, "all that is due, for the metrics: bounded by the backlog, which is near nothing"),
    "searchable_documents": (
        5_000,
        "all documents of an organization, once after each change of its knowledge",
    ),
    "count_chosen": (1_200_000, "the conversations that a deletion will delete, once, in its first chunk"),
    "count_terms": (10_000, "a row for each document that has one of the question's terms"),
    "best_by_terms": (10_000, "the same: a score is a sum over all places of the terms"),
}

pytestmark = [pytest.mark.xdist_group("crowd"), pytest.mark.timeout(SECONDS)]

Call = Callable[..., Awaitable[Any]]


class RollBackError(Exception):
    """Nothing is to be kept."""


@dataclass(frozen=True, slots=True)
class Crowded:
    """A server full of rows."""

    settings: Settings
    log: judging.Log
    cast: dict[str, Cast]


@pytest.fixture(scope="module")
async def crowded() -> AsyncIterator[Crowded]:
    """Fill a server of its own."""
    with tempfile.TemporaryDirectory(prefix="dana-crowd-") as folder:
        home = Path(folder)
        home.chmod(0o755)  # noqa: ASYNC240 - nothing else runs here
        postgres = start_postgres(home / "postgres", FAST_AND_FORGETFUL | NO_LOG | judging.SETTINGS)
        try:
            settings = bare(home, postgres.dsn)
            await migrate(settings)
            cast = await _filled(settings)
            await _listen(settings)
            yield Crowded(settings, judging.Log(home / "postgres" / "postgres.log"), cast)
        finally:
            postgres.stop()


async def _filled(settings: Settings) -> dict[str, Cast]:
    big, small = OrgId(new_id()), OrgId(new_id())
    shards = Shards(settings, "auth")
    await shards.place(big)
    small = next(islice(small_organizations(big), 7, None))
    await shards.place(small)
    await shards.close()
    shard = address(settings.database_url, database="dana_shard1")
    catalog = address(settings.database_url, database="dana_catalog")
    await fill(shard, CONVERSATIONS, Owner(big, new_id(), new_id()))
    await furnish(shard, catalog, big, small)
    on_shard, on_catalog = await asyncpg.connect(shard), await asyncpg.connect(catalog)
    try:
        return {
            name: await _cast(on_shard, on_catalog, org_id)
            for name, org_id in (("big", big), ("small", small))
        }
    finally:
        await on_shard.close()
        await on_catalog.close()


async def _cast(shard: asyncpg.Connection, catalog: asyncpg.Connection, org_id: OrgId) -> Cast:
    conversation = await shard.fetchrow(
        "select * from conversations.conversations where org_id = $1 and last_seq > 3"
        " order by status = 'open' desc, last_activity_at desc limit 1",
        org_id,
    )
    assert conversation is not None
    messages = await shard.fetch(
        "select id from conversations.messages where org_id = $1 order by id desc limit 100", org_id
    )
    documents = await shard.fetch("select id from knowledge.documents where org_id = $1 order by id", org_id)
    session = await catalog.fetchrow(
        "select * from auth.sessions where org_id = $1 and expires_at > now() limit 1", org_id
    )
    assert session is not None
    return Cast(
        org_id=org_id,
        inbox_id=InboxId(conversation["inbox_id"]),
        agent_id=UserId(
            await shard.fetchval("select id from conversations.agents where org_id = $1 limit 1", org_id)
        ),
        conversation_id=ConversationId(conversation["id"]),
        message_ids=[MessageId(row["id"]) for row in messages],
        document_ids=[DocumentId(row["id"]) for row in documents[len(documents) // 2 :][:50]],
        user_id=UserId(session["user_id"]),
        session_id=session["id"],
        invitation_id=InvitationId(
            await catalog.fetchval("select id from auth.invitations where accepted_at is null limit 1")
        ),
        cursor=await shard.fetchval("select value from platform.org_cursor where org_id = $1", org_id),
    )


async def _listen(settings: Settings) -> None:
    connection = await asyncpg.connect(settings.database_url)
    for service in SERVICES:
        await connection.execute(f"alter role dana_{service} set auto_explain.log_min_duration = 0")
    await connection.close()


@pytest.fixture(params=["generic", "custom"])
async def shards_of(
    crowded: Crowded, request: pytest.FixtureRequest
) -> AsyncIterator[Callable[[str], Shards]]:
    """The shards as each service sees them, with plans of one kind."""
    admin = await asyncpg.connect(crowded.settings.database_url)
    for service in SERVICES:
        await admin.execute(f"alter role dana_{service} set plan_cache_mode = force_{request.param}_plan")
    await admin.close()
    made = {service: Shards(crowded.settings, service) for service in SERVICES}
    yield made.__getitem__
    for shards in made.values():
        await shards.close()


async def _in_organization(shards: Shards, call: Call, cast: Cast) -> None:
    with pytest.raises(RollBackError):
        async with shards.tx(cast.org_id, SYSTEM) as tx:
            await call(tx, cast)
            raise RollBackError


async def _on_catalog(shards: Shards, call: Call, cast: Cast) -> None:
    with pytest.raises(RollBackError):
        async with shards.catalog.tx() as tx:
            await call(tx, cast)
            raise RollBackError


async def _on_shards(shards: Shards, call: Call, cast: Cast) -> None:
    await call(shards, cast)


GROUPS: list[tuple[str, Callable[[Shards, Call, Cast], Awaitable[None]], Mapping[str, Call]]] = [
    ("conversations", _in_organization, calls.TALK),
    ("ai", _in_organization, calls.AI),
    ("knowledge", _in_organization, calls.KNOWLEDGE),
    ("realtime", _in_organization, calls.REALTIME),
    ("auth", _in_organization, calls_elsewhere.AUTH),
    ("ai", _in_organization, calls_elsewhere.PLATFORM),
    ("auth", _on_catalog, calls_elsewhere.ON_CATALOG),
    ("conversations", _on_catalog, calls_elsewhere.ROUTES),
    ("conversations", _on_shards, calls_elsewhere.ON_SHARD),
    ("auth", _on_shards, calls_elsewhere.CATALOG_READS),
]


@pytest.mark.parametrize("who", ["big", "small"])
async def test_every_statement_stays_on_an_index(
    crowded: Crowded, shards_of: Callable[[str], Shards], who: str
) -> None:
    found: list[str] = []
    statements: set[str] = set()
    for service, run, group in GROUPS:
        for name, call in group.items():
            crowded.log.news()
            await run(shards_of(service), call, crowded.cast[who])
            explained = crowded.log.news()
            statements |= {one.sql for one in explained}
            assert explained, f"{name}: PostgreSQL said nothing"
            found += _faults(name, explained)
    assert not found, "\n".join(dict.fromkeys(found))
    assert len(statements) > 150


def _faults(name: str, explained: list[judging.Explained]) -> Iterator[str]:
    may_read = max([MAY_READ_MORE[one][0] for one in name.split() if one in MAY_READ_MORE], default=0)
    for one in explained:
        for fault in judging.faults(one, may_read):
            yield f"{name} {fault}: {one.sql[:300]}"


async def test_a_missing_index_is_noticed(crowded: Crowded) -> None:
    admin = await asyncpg.connect(address(crowded.settings.database_url, database="dana_shard1"))
    cast = crowded.cast["big"]
    crowded.log.news()
    with pytest.raises(RollBackError):
        async with admin.transaction():
            await admin.execute("drop index conversations.conversations_assigned")
            await admin.execute(
                "set local auto_explain.log_min_duration = 0; set local role dana_conversations"
            )
            await admin.execute("select set_config('app.org_id', $1, true)", str(cast.org_id))
            await store.conversations(
                Tx(admin, cast.org_id, calls.SHARD, SYSTEM), Filter(assignee_id=cast.agent_id), None, 101
            )
            raise RollBackError
    await admin.close()
    assert list(_faults("conversations", crowded.log.news()))


def test_no_function_of_a_store_is_left_out() -> None:
    called = {name for _, _, group in GROUPS for names in group for name in names.split()}
    missing = [
        f"{module.__name__}.{function.__name__}"
        for module in stores()
        if module.__name__.split(".")[2] not in EXEMPT_STORES
        for function in functions(module)
        if inspect.iscoroutinefunction(function)
        and not function.__name__.startswith("_")
        and function.__name__ not in called
    ]
    assert missing == []
