"""What the bus promises about organizations that are closed, have gone, or live on a shard that is new."""

import asyncio
import tempfile
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from pathlib import Path

import pytest

from dana.contracts.events import OrganizationCreated
from dana.contracts.ids import OrgId, new_id
from dana.platform import shards as shards_module
from dana.platform.bus import Bus, Consumer, PostgresBinding, pace
from dana.platform.database import Tx, address
from dana.platform.identity import SYSTEM
from dana.platform.local.postgres import start_postgres
from dana.platform.migrations import migrate, migrate_shard
from dana.platform.servers import CATALOG, administer, shard_address
from dana.platform.settings import Settings
from dana.platform.shards import Shards

GROUP = "moving"

Seen = list[tuple[OrgId, str]]


@pytest.fixture(autouse=True)
def _short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pace, "POLL_SECONDS", 0.05)
    monkeypatch.setattr(pace, "NEW_SHARDS_SECONDS", 0.1)
    monkeypatch.setattr(shards_module, "SHARDS_KNOWN_SECONDS", 0.05)
    monkeypatch.setattr(shards_module, "MOVE_PATIENCE_SECONDS", 0.2)


@pytest.fixture(scope="module")
async def own(servers: Settings) -> AsyncIterator[Settings]:
    """An installation of its own, whose shards may be closed and added."""
    with tempfile.TemporaryDirectory(prefix="dana-moving-") as folder:
        home = Path(folder)
        home.chmod(0o755)  # noqa: ASYNC240 - nothing else runs here
        server = start_postgres(home / "postgres")
        try:
            settings = replace(servers, database_url=server.dsn, shard_count=1)
            await migrate(settings)
            yield settings
        finally:
            server.stop()


@pytest.fixture
async def seen(own: Settings) -> AsyncIterator[Seen]:
    """Everything that a running consumer has consumed."""
    shards, found = Shards(own, "conversations"), []

    async def consume(tx: Tx, event: OrganizationCreated) -> None:
        found.append((tx.org_id, event.name))

    bus = Bus(GROUP, shards, [Consumer(OrganizationCreated, consume)], PostgresBinding())
    await bus.start()
    yield found
    await bus.stop()
    await shards.close()


@pytest.fixture
async def writer(own: Settings) -> AsyncIterator[Shards]:
    shards = Shards(own, "auth")
    yield shards
    await shards.close()


async def placed(writer: Shards) -> OrgId:
    org_id = OrgId(new_id())
    await writer.place(org_id)
    return org_id


async def say(writer: Shards, org_id: OrgId, name: str) -> None:
    async with writer.tx(org_id, SYSTEM) as tx:
        tx.emit(OrganizationCreated(name=name))


async def set_state(own: Settings, org_id: OrgId, state: str) -> None:
    async with administer(await shard_address(own, "shard1")) as shard:
        await shard.execute("update platform.org_placement set state = $2 where org_id = $1", org_id, state)


async def until(true: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not true():
            await asyncio.sleep(0.01)


async def backlog(own: Settings) -> int:
    async with administer(await shard_address(own, "shard1")) as shard:
        rows = await shard.fetch("select deliveries from platform.backlog() where consumer_group = $1", GROUP)
        return sum(row["deliveries"] for row in rows)


@pytest.mark.parametrize("state", ["frozen", "moved", "importing"])
async def test_what_is_due_in_a_closed_organization_waits_and_keeps_no_other_waiting(
    own: Settings, writer: Shards, seen: Seen, state: str
) -> None:
    closed, open_one = await placed(writer), await placed(writer)
    async with administer(await shard_address(own, "shard1")) as shard, shard.transaction():
        # Both in one step, so that no consumer comes between: due, and already closed.
        await shard.execute("select platform.begin_org($1, 1)", closed)
        await shard.execute(
            "select platform.emit(array[$1::uuid], '{organization_created}', '{1}', '{organization}',"
            " array[null::uuid], array[$2], now(), '{}')",
            new_id(),
            '{"name": "closed"}',
        )
        await shard.execute("update platform.org_placement set state = $2 where org_id = $1", closed, state)
    for n in range(30):
        await say(writer, open_one, f"open {n}")
    await until(lambda: len([org for org, _ in seen if org == open_one]) == 30)
    assert closed not in [org for org, _ in seen]
    assert await backlog(own) == 0
    await set_state(own, closed, "active")
    await until(lambda: (closed, "closed") in seen)


async def test_nothing_is_claimed_while_somebody_freezes_the_organization(
    own: Settings, writer: Shards, seen: Seen
) -> None:
    org_id = await placed(writer)
    async with administer(await shard_address(own, "shard1")) as shard:
        async with shard.transaction():
            await shard.execute(
                "select platform.emit(array[$1::uuid], '{organization_created}', '{1}', '{organization}',"
                " array[null::uuid], array[$2], now(), '{}') from platform.begin_org($3, 1)",
                new_id(),
                '{"name": "late"}',
                org_id,
            )
            # Held like a freeze holds it, from before the event can be seen.
            await shard.execute("select pg_advisory_lock(hashtextextended($1, 0))", str(org_id))
        await asyncio.sleep(0.3)  # several polls
        attempts = await shard.fetchval(
            "select max(attempts) from platform.deliveries where org_id = $1 and consumer_group = $2",
            org_id,
            GROUP,
        )
        assert attempts == 0
        await shard.execute("select pg_advisory_unlock(hashtextextended($1, 0))", str(org_id))
    await until(lambda: (org_id, "late") in seen)


async def test_a_shard_that_is_added_is_consumed_by_running_processes(
    own: Settings, writer: Shards, seen: Seen
) -> None:
    await migrate_shard(own, "shard9", address(own.database_url, database="dana_shard9"))
    async with administer(address(own.database_url, database=CATALOG)) as catalog:
        await catalog.execute("insert into platform.shards (name, database) values ('shard9', 'dana_shard9')")
        await catalog.execute("update platform.shards set is_open = (name = 'shard9')")
    try:
        async with administer(await shard_address(own, "shard9")) as shard, asyncio.timeout(20):
            while not await shard.fetchval(
                "select count(*) from platform.subscriptions where consumer_group = $1", GROUP
            ):
                await asyncio.sleep(0.02)
        org_id = await placed(writer)
        assert (await writer.route(org_id)).shard == "shard9"
        await say(writer, org_id, "from the new shard")
        await until(lambda: (org_id, "from the new shard") in seen)
    finally:
        async with administer(address(own.database_url, database=CATALOG)) as catalog:
            await catalog.execute("update platform.shards set is_open = (name = 'shard1')")


async def test_a_shard_that_is_removed_is_asked_no_more_until_it_is_back(
    own: Settings, writer: Shards
) -> None:
    await migrate_shard(own, "shard8", address(own.database_url, database="dana_shard8"))
    shards, found = Shards(own, "knowledge"), []

    async def consume(tx: Tx, event: OrganizationCreated) -> None:
        found.append(event.name)

    bus = Bus("removing", shards, [Consumer(OrganizationCreated, consume)], PostgresBinding())
    async with administer(address(own.database_url, database=CATALOG)) as catalog:
        await catalog.execute("insert into platform.shards (name, database) values ('shard8', 'dana_shard8')")
        await bus.start()
        try:
            await until(lambda: "shard8" in {queue.shard for queue in bus._queues})
            (loop,) = [loop for queue, loop in bus._queues.items() if queue.shard == "shard8"]
            await catalog.execute("delete from platform.shards where name = 'shard8'")
            await until(loop.done)
            await until(lambda: "shard8" not in {queue.shard for queue in bus._queues})
            await catalog.execute(
                "insert into platform.shards (name, database, dedicated_to)"
                " values ('shard8', 'dana_shard8', $1)",
                org_id := new_id(),
            )
            await writer.place(OrgId(org_id))
            await say(writer, OrgId(org_id), "back")
            await until(lambda: found == ["back"])
        finally:
            await bus.stop()
            await shards.close()
            await catalog.execute("delete from platform.organizations where shard = 'shard8'")
            await catalog.execute("delete from platform.shards where name = 'shard8'")
