"""Shards are added, looked at, opened, closed, reserved and removed, on real servers."""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta

import asyncpg
import pytest

from dana.contracts.events import OrganizationCreated
from dana.contracts.ids import OrgId, new_id
from dana.platform.database import address, hosts, login_of
from dana.platform.errors import Conflict, Invalid, Missing, Unavailable
from dana.platform.identity import SYSTEM
from dana.platform.local.postgres import Postgres, start_postgres
from dana.platform.local.replica import start_replica
from dana.platform.servers import administer, shard_addresses
from dana.services.placement.actions import moving, registry
from dana.services.placement.actions.adding import add_shard
from dana.services.placement.actions.sampling import sample_loads
from dana.services.placement.models.loads import updated
from dana.services.placement.models.moves import MoveState
from dana.services.placement.models.shards import ShardView
from tests.services.placement.grounds import Grounds, silent

pytestmark = pytest.mark.xdist_group("placement")


@pytest.fixture(scope="module")
def third_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Postgres]:
    home = tmp_path_factory.mktemp("third")
    home.chmod(0o755)
    server = start_postgres(home)
    yield server
    server.stop()


@pytest.fixture
async def fresh(third_server: Postgres, grounds: Grounds) -> AsyncIterator[str]:
    """A server of which nobody has heard yet."""
    yield third_server.dsn
    async with grounds.catalog() as catalog:
        await catalog.execute(
            "delete from platform.shards where name not in ('shard1', 'shard2', 'shard3')"
            " and not exists (select from platform.organizations o where o.shard = name)"
        )
    async with administer(third_server.dsn) as server:
        for row in await server.fetch("select datname from pg_database where datname like 'dana\\_%'"):
            await server.execute(f"drop database {row['datname']} with (force)")
        for row in await server.fetch("select rolname from pg_roles where rolname like 'dana\\_%'"):
            await server.execute(f"drop role {row['rolname']}")


@asynccontextmanager
async def only_open(grounds: Grounds, shard: str) -> AsyncIterator[None]:
    """Let new organizations go to one shard only."""
    async with grounds.catalog() as catalog:
        await catalog.execute("update platform.shards set is_open = (name = $1)", shard)
        yield
        await catalog.execute("update platform.shards set is_open = true")


async def add(grounds: Grounds, name: str, url: str | None) -> list[str]:
    said: list[str] = []
    await add_shard(grounds.desk, name, url, None, said.append)
    return said


async def shard_named(grounds: Grounds, name: str) -> ShardView:
    return next(shard for shard in await registry.list_shards(grounds.desk) if shard.name == name)


async def organization_on(grounds: Grounds, shard: str) -> OrgId:
    """Let an organization be placed as at a sign-up, while only one shard is open."""
    org_id = OrgId(new_id())
    async with only_open(grounds, shard), grounds.catalog() as catalog:
        await catalog.execute("select platform.place_organization($1)", org_id)
    async with grounds.on(shard) as home:
        await home.execute("select platform.adopt_organization($1, 1)", org_id)
    return org_id


async def test_an_added_shard_is_listed_and_takes_organizations(grounds: Grounds, fresh: str) -> None:
    async with grounds.on("shard1") as elder:
        await elder.execute("select platform.subscribe('somebody', '{organization_created}', '{live}')")
    said = await add(grounds, "added", fresh)
    shard = await shard_named(grounds, "added")
    assert (shard.is_reachable, shard.is_open, shard.organizations) == (True, True, 0)
    assert shard.condition is not None
    assert shard.condition.migrations == shard.migrations_wanted > 0
    assert shard.condition.size_bytes > 1_000_000
    assert shard.condition.replicas == []
    org_id = await organization_on(grounds, "added")
    async with grounds.writing.tx(org_id, SYSTEM) as tx:
        tx.emit(OrganizationCreated(name="news"))
    async with grounds.on("added") as home:  # a consumer that hasn't noticed the shard yet misses nothing
        assert await home.fetchval("select count(*) from platform.deliveries where org_id = $1", org_id) == 1
        await home.execute("delete from platform.org_placement")
    async with grounds.catalog() as catalog:
        await catalog.execute("delete from platform.organizations where id = $1", org_id)
        kept = await catalog.fetchrow(
            "select s.address, l.sealed_url from platform.shards s"
            " join platform.shard_logins l on l.shard = s.name where s.name = 'added'"
        )
    assert kept is not None
    _, password = login_of(fresh)
    assert password not in kept["address"] + " ".join(said) + shard.server
    assert password.encode() not in kept["sealed_url"]
    assert (await shard_addresses(grounds.settings))["added"].startswith(fresh.rpartition("/")[0])


async def test_a_shard_with_a_replica_is_found_by_whichever_host_comes_first(
    grounds: Grounds, fresh: str, third_server: Postgres, tmp_path_factory: pytest.TempPathFactory
) -> None:
    home = tmp_path_factory.mktemp("copy")
    home.chmod(0o755)
    replica = start_replica(third_server, home)
    try:
        both = ",".join([*hosts(replica.dsn), *hosts(fresh)])
        await add(grounds, "paired", address(fresh, database="postgres", host=both))
        shard = await shard_named(grounds, "paired")
        assert shard.condition is not None
        (follower,) = shard.condition.replicas
        assert (follower.state, follower.is_synchronous) == ("streaming", False)
        assert follower.lag_bytes is not None
        with pytest.raises(Conflict, match="it is a replica; give the primary's address"):
            await add(grounds, "alone", replica.dsn)
    finally:
        replica.stop()


async def test_a_crash_at_any_step_of_adding_leaves_nothing_and_is_repeated(
    grounds: Grounds, fresh: str
) -> None:
    steps = 1
    while True:
        said: list[str] = []

        def crash(step: str, said: list[str] = said, crash_at: int = steps) -> None:
            said.append(step)
            if len(said) == crash_at:
                raise KeyboardInterrupt

        try:
            await add_shard(grounds.desk, "crashed", fresh, None, crash)
        except KeyboardInterrupt:
            assert "crashed" not in await shard_addresses(grounds.settings)
            steps += 1
        else:
            break
    assert steps == 6
    await add(grounds, "crashed", fresh)
    assert (await shard_named(grounds, "crashed")).is_reachable


async def test_a_shard_beside_the_catalog_needs_no_address(grounds: Grounds) -> None:
    for name, url in (("beside1", None), ("beside2", grounds.settings.database_url)):
        await add(grounds, name, url)
        async with grounds.catalog() as catalog:
            assert await catalog.fetchval("select address from platform.shards where name = $1", name) is None
            assert (
                await catalog.fetchval("select count(*) from platform.shard_logins where shard = $1", name)
                == 0
            )
        assert (await shard_named(grounds, name)).is_reachable
        await registry.remove(grounds.desk, name)
        assert name not in await shard_addresses(grounds.settings)


@pytest.mark.parametrize(
    "url",
    ["", "localhost", "mysql://u:p@h:1", "postgresql://h:5432", "postgresql://u:secret/x@h:5432/",
     "postgresql://u:secret#x@h:5432", "postgresql://u:secret@h:port", "postgresql://u:secret@h"],
)  # fmt: skip
async def test_a_wrong_address_is_refused_without_repeating_it(grounds: Grounds, url: str) -> None:
    with pytest.raises(Invalid) as refused:
        await add_shard(grounds.desk, "wrong", url or "x", None, lambda _: None)
    assert "secret" not in str(refused.value)


@pytest.mark.parametrize("name", ["", "catalog", "Shard", "a-b", "1st", "x" * 41, "a; drop table x"])
async def test_a_wrong_name_is_refused(grounds: Grounds, name: str) -> None:
    with pytest.raises(Invalid, match="small letters"):
        await add_shard(grounds.desk, name, None, None, lambda _: None)


async def test_a_server_that_lacks_something_is_told_all_of_it(
    grounds: Grounds, tmp_path_factory: pytest.TempPathFactory
) -> None:
    home = tmp_path_factory.mktemp("unfit")
    home.chmod(0o755)
    server = start_postgres(home, {"fsync": "off", "wal_level": "replica", "max_replication_slots": "1"})
    try:
        async with administer(server.dsn) as connection:
            await connection.execute("create role clerk login createdb createrole password 'x'")
        with pytest.raises(Conflict, match=r"superuser.*wal_level is replica.*max_replication_slots is 1"):
            await add(grounds, "unfit", address(server.dsn, database="postgres", user="clerk", password="x"))
    finally:
        server.stop()
    with pytest.raises(Unavailable, match="can't be reached"):
        await add(grounds, "unfit", address(server.dsn, database="postgres", host="127.0.0.1:1"))
    assert "unfit" not in await shard_addresses(grounds.settings)


async def test_the_server_of_another_installation_is_left_alone(grounds: Grounds, fresh: str) -> None:
    async with administer(fresh) as server:
        await server.execute("create role dana_auth login password 'theirs'")
    with pytest.raises(Conflict, match="Another installation"):
        await add(grounds, "foreign", fresh)
    theirs = await asyncpg.connect(address(fresh, database="postgres", user="dana_auth", password="theirs"))
    await theirs.close()


async def test_a_database_with_other_organizations_is_left_alone(grounds: Grounds, fresh: str) -> None:
    await add(grounds, "used", fresh)
    async with grounds.on("used") as home:
        await home.execute("select platform.adopt_organization($1, 1)", new_id())
    async with grounds.catalog() as catalog:
        await catalog.execute("delete from platform.shards where name = 'used'")
    with pytest.raises(Conflict, match="holds 1 organizations"):
        await add(grounds, "used", fresh)


async def test_services_that_are_not_let_in_keep_a_shard_from_being_opened(
    grounds: Grounds, fresh: str
) -> None:
    async with administer(fresh) as server:
        await server.execute("create role dana_conversations nologin")
    with pytest.raises(Conflict, match=r"dana_conversations.*pg_hba"):
        await add(grounds, "shut", fresh)
    assert "shut" not in await shard_addresses(grounds.settings)


async def test_a_shard_changes_its_address_only_to_where_its_organizations_are(
    grounds: Grounds, fresh: str
) -> None:
    org_id = await grounds.organization("shard3")
    with pytest.raises(Conflict, match="bring its database there first"):
        await add(grounds, "shard3", fresh)
    where = (await shard_addresses(grounds.settings))["shard3"]
    port = where.rpartition(":")[2].partition("/")[0]
    await add(grounds, "shard3", address(where, database="postgres", host=f"127.0.0.1:{port}"))
    shard = await shard_named(grounds, "shard3")
    assert (shard.server, shard.is_reachable) == (f"127.0.0.1:{port}", True)
    assert hosts((await shard_addresses(grounds.settings))["shard3"]) == [f"127.0.0.1:{port}"]
    assert await grounds.state("shard3", org_id) == ("active", 1)


async def test_a_shard_that_is_away_is_listed_with_the_reason(grounds: Grounds) -> None:
    async with grounds.catalog() as catalog:
        await catalog.execute(
            "insert into platform.shards (name, address, database, is_open)"
            " values ('away', 'postgresql://127.0.0.1:1', 'dana_away', false)"
        )
        try:
            shards = await registry.list_shards(grounds.desk)
        finally:
            await catalog.execute("delete from platform.shards where name = 'away'")
    away = next(shard for shard in shards if shard.name == "away")
    assert (away.is_reachable, away.condition) == (False, None)
    assert "does not exist" in (away.problem or "") or "refused" in (away.problem or "")
    assert sum(shard.is_reachable for shard in shards) == len(shards) - 1


async def test_the_next_organization_goes_where_the_list_of_places_says(grounds: Grounds) -> None:
    async with grounds.catalog() as catalog:
        await catalog.execute("update platform.shards set events_per_hour = 1e6 where name = 'shard1'")
    try:
        await registry.set_open(grounds.desk, "shard2", is_open=False)
        first, *others = await registry.places(grounds.desk)
        assert (first.rank, first.shard) == (1, "shard3")
        assert {other.shard: other.rank for other in others} == {"shard1": 2, "shard2": None}
        assert "closed" in others[-1].reason
        org_id = OrgId(new_id())
        async with grounds.catalog() as catalog:
            await catalog.execute("select platform.place_organization($1)", org_id)
        assert await grounds.route(org_id) == ("shard3", 1)
    finally:
        await registry.set_open(grounds.desk, "shard2", is_open=True)
        async with grounds.catalog() as catalog:
            await catalog.execute("update platform.shards set events_per_hour = 0")
    with pytest.raises(Missing):
        await registry.set_open(grounds.desk, "nowhere", is_open=True)


async def test_a_reserved_shard_is_one_organizations_alone(grounds: Grounds) -> None:
    await add(grounds, "own", None)
    org_id, other = await grounds.organization("shard1"), await grounds.organization("shard1")
    move = await registry.reserve(grounds.desk, org_id, "own")
    assert move is not None
    with pytest.raises(Conflict, match="is reserved for"):
        await registry.reserve(grounds.desk, other, "own")
    with pytest.raises(Conflict):
        await moving.request(grounds.desk, other, "own")
    ended = await moving.drive(grounds.desk, move.id, silent)
    assert ended.state == MoveState.VERIFIED
    assert await registry.reserve(grounds.desk, org_id, "own") is None
    with pytest.raises(Conflict, match="1 organizations live on own"):
        await registry.remove(grounds.desk, "own")
    assert await registry.give_back(grounds.desk, org_id) == ["own"]
    with pytest.raises(Missing):
        await registry.give_back(grounds.desk, org_id)
    with pytest.raises(Conflict, match="1 other organizations"):
        await registry.reserve(grounds.desk, other, "own")
    back = await moving.rollback(grounds.desk, move.id)
    await moving.drive(grounds.desk, back.id, silent)
    with pytest.raises(Conflict, match="can still be rolled back to own"):
        await registry.remove(grounds.desk, "own")
    await moving.purge(grounds.desk, back.id)
    await registry.remove(grounds.desk, "own")
    with pytest.raises(Missing):
        await registry.show_shard(grounds.desk, "own")


async def test_an_organization_is_found_by_id_or_by_a_name_that_only_one_has(grounds: Grounds) -> None:
    org_id, twin = await grounds.organization("shard1"), await grounds.organization("shard2")
    name = f"Acme {org_id}"
    async with grounds.catalog() as catalog:
        await catalog.execute("insert into auth.organizations (id, name) values ($1, $2)", org_id, name)
    for text in (str(org_id), name, name.upper()):
        found = await registry.find_organization(grounds.desk, text)
        assert (found.id, found.name, found.shard) == (org_id, name, "shard1")
    async with grounds.catalog() as catalog:
        await catalog.execute("insert into auth.organizations (id, name) values ($1, $2)", twin, name)
    with pytest.raises(Invalid, match=f"{org_id}, {twin}"):
        await registry.find_organization(grounds.desk, name)
    with pytest.raises(Missing):
        await registry.find_organization(grounds.desk, "nobody")


async def test_loads_are_sampled_from_the_organizations_cursors(grounds: Grounds) -> None:
    office = await grounds.furnished("shard1")
    await sample_loads(grounds.desk)
    async with grounds.catalog() as catalog:
        await catalog.execute(
            "update placement.loads set sampled_at = sampled_at - interval '1 hour' where org_id = $1",
            office.org_id,
        )
        await office.write(10)
        await sample_loads(grounds.desk)
        load = await catalog.fetchrow("select * from placement.loads where org_id = $1", office.org_id)
        busy = await catalog.fetchval("select events_per_hour from platform.shards where name = 'shard1'")
    assert load is not None
    assert 0.6 * 40 < load["events_per_hour"] <= 40
    assert load["shard"] == "shard1"
    assert load["size_bytes"] > 0
    assert busy >= load["events_per_hour"]


def test_a_rate_is_remembered_for_about_an_hour() -> None:
    at = datetime(2026, 1, 1, tzinfo=UTC)
    load = updated(None, 500, at)
    assert load.events_per_hour == 0
    for minute in range(1, 301):
        load = updated(load, 500 + 2 * minute, at + timedelta(minutes=minute))
    assert load.events_per_hour == pytest.approx(120, rel=0.02)
    calm = updated(load, load.cursor, load.sampled_at + timedelta(hours=1))
    assert calm.events_per_hour == pytest.approx(load.events_per_hour / 2.718, rel=0.01)
    assert updated(load, 0, load.sampled_at + timedelta(hours=1)).events_per_hour == calm.events_per_hour
    assert updated(load, 10_000, load.sampled_at) == load
