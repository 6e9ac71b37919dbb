"""The bare transaction that appends an agent's message: the same statements, nothing around them.

It is the limit for `message_path`: the same server, the same rows, but no HTTP, gateway, token, validation,
event encoding or socket. Writers spread over all organizations, as in the load.
"""

import asyncio
import json
import statistics
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID, uuid4

import asyncpg

from dana.cli.installation import installation
from dana.contracts.ids import OrgId, new_id
from dana.platform.database import address, open_pool
from dana.platform.outbox import EMIT
from dana.services.conversations.models.finding import search_keys

SECONDS = 4.0
ROLE = "dana_conversations"


@dataclass(frozen=True, slots=True)
class Raw:
    """What the bare transaction costs."""

    p50_ms: float
    per_second: float


@dataclass(frozen=True, slots=True)
class _Target:
    database: str
    org_id: UUID
    epoch: int
    conversation_id: UUID


async def measure(data_dir: Path, at_once: int) -> Raw:
    """Append messages with so many writers for a few seconds, to the organizations of a running Dana."""
    with installation(data_dir) as settings:
        server = settings.database_url
        password = settings.secrets.password(ROLE)
    targets = await _targets(server)
    pools = {
        database: await open_pool(address(server, database=database, user=ROLE, password=password), at_once)
        for database in {target.database for target in targets}
    }
    durations: list[float] = []
    until = time.perf_counter() + SECONDS
    await asyncio.gather(*(_write(pools, targets[n::at_once], until, durations) for n in range(at_once)))
    for pool in pools.values():
        await pool.close()
    return Raw(statistics.median(durations) * 1000, len(durations) / SECONDS)


async def _targets(server: str) -> list[_Target]:
    catalog = await asyncpg.connect(address(server, database="dana_catalog"))
    rows = await catalog.fetch(
        "select o.id, o.epoch, s.database from platform.organizations o"
        " join platform.shards s on s.name = o.shard"
    )
    await catalog.close()
    targets = []
    for row in rows:
        shard = await asyncpg.connect(address(server, database=row["database"]))
        conversations = await shard.fetch(
            "select id from conversations.conversations"
            " where org_id = $1 and status = 'open' and unread_count = 0 and last_seq > 0",
            row["id"],
        )
        await shard.close()
        targets += [_Target(row["database"], row["id"], row["epoch"], c["id"]) for c in conversations]
    return targets


async def _write(
    pools: dict[str, asyncpg.Pool], targets: list[_Target], until: float, durations: list[float]
) -> None:
    turn = 0
    while targets and time.perf_counter() < until:
        target = targets[turn % len(targets)]
        turn += 1
        started = time.perf_counter()
        async with pools[target.database].acquire() as connection:
            await _append(connection, target)
        durations.append(time.perf_counter() - started)


async def _append(connection: asyncpg.pool.PoolConnectionProxy, target: _Target) -> None:
    key, now = uuid4().hex, datetime.now(UTC)
    await connection.execute(f"BEGIN; select platform.begin_org('{target.org_id}', {target.epoch})")
    message_id = new_id()
    written = await connection.fetchrow(
        "select * from conversations.lock_to_write"
        "($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15)",
        target.conversation_id,
        key,
        message_id,
        "agent",
        None,
        "Ana",
        key,
        False,
        now,
        key,
        search_keys(OrgId(target.org_id), key),
        ["open"],
        False,
        False,
        0,
    )
    assert written is not None  # noqa: S101 - the load has just made it
    assert written["is_saved"]  # noqa: S101 - an agent's reply to an open, read conversation
    message = {
        "id": str(message_id),
        "conversation_id": str(target.conversation_id),
        "seq": written["last_seq"] + 1,
        "author": "agent",
        "author_id": None,
        "author_name": "Ana",
        "text": key,
        "is_private": False,
        "created_at": now.isoformat(),
        "action": None,
        "citations": [],
    }
    payload = {"message": message, "conversation": {"id": str(target.conversation_id)}}
    event = [new_id()], ["message_appended"], [1], ["message"], [target.conversation_id]
    await connection.fetchval(EMIT, *event, [json.dumps(payload)], now, "{}", [None])
    await connection.execute("COMMIT")
