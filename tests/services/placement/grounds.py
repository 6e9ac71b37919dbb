"""Two servers with three shards, organizations that use every table, and people who write all the time."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import asyncpg

from dana.contracts.ids import ConversationId, InboxId, OrgId, UserId, new_id
from dana.contracts.views import MemberView, Role
from dana.platform.database import address, without_login
from dana.platform.errors import Conflict, Unavailable
from dana.platform.identity import SYSTEM
from dana.platform.migrations import migrate, migrate_shard
from dana.platform.servers import CATALOG, administer, seal_login, shard_address
from dana.platform.settings import Settings
from dana.platform.shards import Shards
from dana.services.conversations import actions
from dana.services.placement.actions import moving
from dana.services.placement.actions.desk import Desk
from dana.services.placement.models.moves import Move, Step
from dana.services.placement.store import tables
from dana.services.placement.store.tables import Table

ROOT = Path(__file__).parents[3]
DRIVER_SECONDS = 60.0
FILE_BYTES = 3_000_000

# One row in each table that nothing else here writes to.
_ROWS = """
insert into ai.assistants (org_id, id, name, hand_over_text, provider_kind, base_url, model)
  values ($1, $2, 'Dana', 'One moment', 'extractive', '', '');
insert into ai.turns (org_id, id, fence_cursor) values ($1, $2, 7);
insert into auth.announcements (org_id, id, version) values ($1, $2, 3);
insert into knowledge.documents (org_id, id, title, filename, kind, size_bytes, status, created_at,
    updated_at)
  values ($1, $2, 'Manual', 'manual.pdf', 'pdf', $3, 'searchable', now(), now());
insert into knowledge.files (org_id, id, content)
  select $1, $2, string_agg(sha256(n::text::bytea), '') from generate_series(1, $3 / 32) n;
insert into knowledge.passages (org_id, document_id, ordinal, heading, text, spans, vectors)
  values ($1, $2, 0, 'Größe', E'Tab\\t, "quotes", \\\\ and 漢字', '{0,4}', '\\x00ff');
insert into knowledge.postings (org_id, gram, document_id, part, found, places)
  values ($1, -17, $2, 0, 1, '{1,2}');
insert into knowledge.corpora (org_id, version) values ($1, 1);
insert into platform.long_jobs (org_id, id, event_type, kind, about, arguments, resume, requested_by_name,
    created_at, updated_at)
  values ($1, $2, 'conversations_job_advanced', 'export_conversations', 'All', '{"a": 1}', '{"parts": 1}',
    'Ana', now(), now());
insert into platform.long_job_problems (org_id, job_id, number, subject, reason)
  values ($1, $2, 1, 'Line', 'bad');
insert into conversations.job_parts (org_id, job_id, number, first_line, lines, size_bytes, sha256, content)
  values ($1, $2, 0, 1, 1, 2, '\\x00ff', '\\x1f8b00');
insert into platform.replays (org_id, consumer_group, scope, up_to) values ($1, 'somebody', 'all', 3);
insert into platform.deliveries (org_id, cursor, consumer_group, lane, event_created_at, attempts,
    leased_until, lease_token)
  select $1, 1, 'somebody', 'bulk', created_at, 1, now() + interval '1 hour', $2
    from platform.event_log where org_id = $1 and cursor = 1"""


@dataclass
class Grounds:
    """An installation of two servers: shard1 and shard2 on the catalog's, shard3 on its own."""

    settings: Settings
    desk: Desk
    writing: Shards

    @asynccontextmanager
    async def on(self, shard: str) -> AsyncIterator[asyncpg.Connection]:
        """Look at a shard as its administrator."""
        async with administer(await shard_address(self.settings, shard)) as connection:
            yield connection

    @asynccontextmanager
    async def catalog(self) -> AsyncIterator[asyncpg.Connection]:
        """Look at the catalog as its administrator."""
        async with administer(address(self.settings.database_url, database=CATALOG)) as connection:
            yield connection

    async def organization(self, shard: str) -> OrgId:
        """Place a fresh organization on a shard, without a row yet."""
        org_id = OrgId(new_id())
        async with self.catalog() as catalog:
            await catalog.execute(
                "insert into platform.organizations (id, shard) values ($1, $2)", org_id, shard
            )
            await catalog.execute(
                "update platform.shards set organizations = organizations + 1 where name = $1", shard
            )
        async with self.on(shard) as home:
            await home.execute("select platform.adopt_organization($1, 1)", org_id)
        return org_id

    async def furnished(self, shard: str) -> "Office":
        """Place an organization with rows in every table."""
        org_id = await self.organization(shard)
        office = await Office.open(self.writing, org_id)
        await office.write(3)
        async with self.on(shard) as home:
            args: tuple[Any, ...] = (org_id, new_id(), FILE_BYTES)
            for statement in _ROWS.split(";"):
                used = [args[n] for n in range(3) if f"${n + 1}" in statement]
                await home.execute(statement, *used)
        return office

    async def end_moves(self) -> None:
        """End what a test that failed has left open, so that the next may begin."""
        for move in await moving.list_moves(self.desk, only_open=True):
            with suppress(Conflict):
                await moving.abort(self.desk, move.id)
            await moving.drive(self.desk, move.id, silent)

    async def rows(self, shard: str, org_id: OrgId) -> dict[str, int]:
        """Count an organization's rows on a shard, in every table that has any; markers count too."""
        async with self.on(shard) as connection:
            found = {
                table.name: await connection.fetchval(
                    f"select count(*) from {table.name} where org_id = $1",  # noqa: S608
                    org_id,
                )
                for table in await tables.tables(connection)
            }
        return {name: rows for name, rows in found.items() if rows}

    async def state(self, shard: str, org_id: OrgId) -> tuple[str, int] | None:
        """Read what a shard says of an organization."""
        async with self.on(shard) as connection:
            row = await connection.fetchrow(
                "select state, epoch from platform.org_placement where org_id = $1", org_id
            )
        return (row["state"], row["epoch"]) if row else None

    async def route(self, org_id: OrgId) -> tuple[str, int]:
        """Read where the catalog sends everybody."""
        async with self.catalog() as catalog:
            row = await catalog.fetchrow(
                "select shard, epoch from platform.organizations where id = $1", org_id
            )
        assert row is not None
        return row["shard"], row["epoch"]

    async def left_over(self) -> dict[str, list[str]]:
        """Name what is left of moves anywhere."""
        found: dict[str, list[str]] = {}
        for shard in ("shard1", "shard2", "shard3"):
            async with self.on(shard) as connection:
                found[shard] = [
                    row["what"]
                    for row in await connection.fetch(
                        "select 'slot ' || slot_name as what from pg_replication_slots"
                        " union all select 'publication ' || pubname from pg_publication"
                        " union all select 'subscription ' || subname from pg_subscription"
                        " union all select 'marker ' || org_id from platform.move_markers"
                        " union all select state || ' ' || org_id from platform.org_placement"
                        " where state in ('importing', 'frozen')"
                    )
                ]
        async with self.catalog() as catalog:
            found["catalog"] = [
                row["name"] for row in await catalog.fetch("select name from platform.schema_holds")
            ]
        return {place: names for place, names in found.items() if names}


@dataclass
class Office:
    """An organization whose customers write; it remembers what was acknowledged."""

    org_id: OrgId
    shards: Shards
    inbox_id: InboxId
    conversations: list[ConversationId] = field(default_factory=list)
    acknowledged: dict[ConversationId, list[str]] = field(default_factory=dict)
    failures: list[str] = field(default_factory=list)
    is_open: bool = False

    @classmethod
    async def open(cls, shards: Shards, org_id: OrgId, customers: int = 4) -> "Office":
        """Open an inbox and the customers' conversations."""
        inbox_id, key = InboxId(new_id()), actions.new_public_key()
        async with shards.tx(org_id, SYSTEM) as tx:
            member = MemberView(
                user_id=UserId(new_id()), name="Ana", email="ana@example.org", role=Role.AGENT
            )
            await actions.remember_member(tx, member)
            await actions.create_inbox(tx, inbox_id, key, "Shop", "Hello!", is_assistant_enabled=False)
        office = cls(org_id, shards, inbox_id)
        for n in range(customers):
            async with shards.tx(org_id, SYSTEM) as tx:
                started = await actions.start(tx, inbox_id, f"Customer {n}", None, None)
            office.conversations.append(started.id)
            office.acknowledged[started.id] = []
        return office

    async def write(self, messages: int) -> None:
        """Let each customer write some messages."""
        for _ in range(messages):
            for conversation_id in self.conversations:
                await self._write_one(conversation_id)

    @asynccontextmanager
    async def busy(self) -> AsyncIterator[None]:
        """Let all customers write at once, without a pause, for the length of the block."""
        self.is_open = True
        writing = [asyncio.create_task(self._write_on(one)) for one in self.conversations]
        try:
            yield
        finally:
            self.is_open = False
            await asyncio.gather(*writing)

    async def check(self, home: asyncpg.Connection) -> int:
        """Assert at a shard that nothing acknowledged is lost or doubled, and no cursor is missing."""
        assert self.failures == []
        for conversation_id, texts in self.acknowledged.items():
            rows = await home.fetch(
                "select seq, text from conversations.messages where org_id = $1 and conversation_id = $2"
                " order by seq",
                self.org_id,
                conversation_id,
            )
            assert [row["seq"] for row in rows] == list(range(1, len(rows) + 1))
            assert [row["text"] for row in rows] == texts
        cursors = await home.fetch(
            "select cursor from platform.event_log where org_id = $1 order by cursor", self.org_id
        )
        newest = await home.fetchval("select value from platform.org_cursor where org_id = $1", self.org_id)
        assert [row["cursor"] for row in cursors] == list(range(1, newest + 1))
        return sum(len(texts) for texts in self.acknowledged.values())

    async def _write_on(self, conversation_id: ConversationId) -> None:
        while self.is_open:
            await self._write_one(conversation_id)

    async def _write_one(self, conversation_id: ConversationId) -> None:
        text = f"message {new_id()}"
        try:
            async with self.shards.tx(self.org_id, SYSTEM) as tx:
                await actions.receive(tx, conversation_id, text, None)
        except Unavailable:
            await asyncio.sleep(0.05)  # refused, so it must not be there
        except Exception as error:  # noqa: BLE001 - told by the check
            self.failures.append(repr(error))
            await asyncio.sleep(0.05)
        else:
            self.acknowledged[conversation_id].append(text)


async def build(settings: Settings, second_server: str) -> None:
    """Migrate everything, and add the third shard on the second server."""
    await migrate(settings)
    dsn = address(second_server, database="dana_shard3")
    await migrate_shard(settings, "shard3", dsn)
    async with administer(address(settings.database_url, database=CATALOG)) as catalog:
        await catalog.execute(
            "insert into platform.shards (name, address, database) values ('shard3', $1, 'dana_shard3')",
            without_login(second_server),
        )
        await catalog.execute(
            "insert into platform.shard_logins (shard, sealed_url) values ('shard3', $1)",
            seal_login(settings, second_server),
        )


async def drive_to_death(grounds: Grounds, move: Move, step: Step) -> Move:
    """Let another process drive until it dies after a step."""
    settings = grounds.settings
    environment = os.environ | {
        "DANA_DATABASE_URL": settings.database_url,
        "DANA_REDIS_URL": settings.redis_url,
        "DANA_DATA": str(settings.data_dir),
        "DANA_SECRETS": str(settings.data_dir / "secrets"),
    }
    child = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "tests.services.placement.mortal", str(move.id), step),
        cwd=ROOT,
        env=environment,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    try:
        said, _ = await asyncio.wait_for(child.communicate(), DRIVER_SECONDS)
    finally:
        if child.returncode is None:
            child.kill()
            await child.wait()
    assert child.returncode == -signal.SIGKILL, f"{step}: {said.decode()}"
    return await moving.find(grounds.desk, move.id)


async def table_names(connection: asyncpg.Connection) -> list[str]:
    """Name all tables with rows of organizations."""
    found: list[Table] = await tables.tables(connection)
    return [table.name for table in found]


def silent(move: Move) -> None:
    """Hear of progress, and say nothing."""
