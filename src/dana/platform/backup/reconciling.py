"""Makes catalog and shards agree on who lives where, after servers were restored.

Everything that was under way when the copy was made is ended first: a subscription would go on copying from
the live source, and a move that nobody drives any more would keep migrations from running for ever.
"""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from urllib.parse import quote

import asyncpg

from dana.contracts.ids import OrgId
from dana.platform.backup.folder import BackupError
from dana.platform.backup.placement import Placement, Plan, Route, State, Verdict, decide
from dana.platform.database import address, without_login
from dana.platform.secrets import Secrets
from dana.platform.servers import CATALOG, SEALED_FOR, administer, seal_login, shard_addresses
from dana.platform.settings import Settings

MOVING = "dana_move_"
NOWHERE = "/nowhere/restored"  # a socket that isn't there: refused at once, without asking the network
UNREADABLE = bytes(32)  # instead of a sealed address, where the key to seal with isn't known

_SUBSCRIPTIONS = """
select s.subname, d.datname from pg_subscription s join pg_database d on d.oid = s.subdbid
 where starts_with(s.subname, $1) order by 1"""
_PUBLICATIONS = "select pubname from pg_publication where starts_with(pubname, $1) order by 1"
_PLACEMENTS = """
select p.org_id, p.epoch, p.state, c.value as cursor
  from platform.org_placement p left join platform.org_cursor c using (org_id)"""
_CLIENTS = """
select count(*) from pg_stat_activity
 where application_name = 'dana' and starts_with(usename, 'dana_') and datname = current_database()"""

# A move that was under way ends here. One whose source owns the organization again can never purge it.
_END_MOVES = """
update placement.moves m set state = case
         when o.shard = m.target and o.epoch > m.epoch then 'unproven' else 'aborted' end,
       error = 'A restore from a backup ended this move.', changed_at = now()
  from platform.organizations o
 where o.id = m.org_id and (
         m.state not in ('verified', 'unproven', 'purged', 'aborted')
         or (m.state in ('verified', 'unproven') and o.shard = m.source and o.id = any ($1)))
returning m.id"""
_COUNT = """
update platform.shards s
   set organizations = (select count(*) from platform.organizations o where o.shard = s.name)"""


@dataclass(frozen=True, slots=True)
class Servers:
    """How an administrator reaches the catalog's and each shard's database."""

    catalog: str
    shards: Mapping[str, str]

    @classmethod
    async def of(cls, settings: Settings) -> "Servers":
        """Return those of an installation."""
        return cls(address(settings.database_url, database=CATALOG), await shard_addresses(settings))


@dataclass(frozen=True, slots=True)
class Reconciled:
    """What was decided, and what was ended; or what would be."""

    plan: Plan
    subscriptions: list[str]
    moves: int


async def survey(servers: Servers, choices: Mapping[OrgId, str] | None = None) -> Reconciled:
    """Look at who lives where, without changing anything."""
    subscriptions = await _subscriptions(servers)
    routes = await _routes(servers.catalog)
    found = await asyncio.gather(*(_placements(name, dsn) for name, dsn in servers.shards.items()))
    placements = [placement for of_shard in found for placement in of_shard]
    return Reconciled(decide(routes, placements, choices), [name for name, _ in subscriptions], 0)


async def reconcile(servers: Servers, choices: Mapping[OrgId, str] | None = None) -> Reconciled:
    """End what was under way, and make everybody agree. Safe to repeat, also after an interruption."""
    dropped = await end_replication([servers.catalog, *servers.shards.values()])
    looked = await survey(servers, choices)
    for verdict in looked.plan.verdicts:
        await _apply(servers, verdict)
    moves = await _end_moves(servers, [verdict.org_id for verdict in looked.plan.corrected])
    return replace(looked, subscriptions=dropped, moves=moves)


async def close_routes(catalog: str, server: str, shards: Sequence[str], secrets: Secrets | None) -> None:
    """Let a restored catalog lead nowhere for a restored server's shards until it is told where they are now.

    Else it would lead to the live ones, which know another present.
    """
    nowhere = f"postgresql://{quote(f'{NOWHERE}/{server}', safe='')}"
    sealed = secrets.seal(SEALED_FOR, nowhere) if secrets else UNREADABLE
    async with administer(catalog) as connection, connection.transaction():
        await connection.execute(
            "update platform.shard_logins set sealed_url = $2 where shard = any ($1)", shards, sealed
        )
        await connection.execute(
            "update platform.shards set address = $2 where name = any ($1)", shards, nowhere
        )


async def point(settings: Settings, shard: str, url: str) -> list[str]:
    """Tell the catalog where the server of a shard is now, and of all with its address; returns them."""
    catalog = address(settings.database_url, database=CATALOG)
    async with administer(catalog) as connection, connection.transaction():
        rows = await connection.fetch(
            "select name, database from platform.shards"
            " where address = (select address from platform.shards where name = $1)",
            shard,
        )
        if not rows:
            raise BackupError(f"There is no shard named {shard} on a server of its own.")
        names = [row["name"] for row in rows]
        async with administer(address(url, database=rows[0]["database"])):
            pass  # it is there, and lets us in
        await connection.execute(
            "update platform.shards set address = $2 where name = any ($1)", names, without_login(url)
        )
        await connection.executemany(
            "insert into platform.shard_logins (shard, sealed_url) values ($1, $2)"
            " on conflict (shard) do update set sealed_url = excluded.sealed_url",
            [(name, seal_login(settings, url)) for name in names],
        )
    return names


async def shards_of(catalog: str) -> set[str]:
    """Name all shards that a catalog knows."""
    async with administer(catalog) as connection:
        return {row["name"] for row in await connection.fetch("select name from platform.shards")}


async def refuse_while_in_use(servers: Servers) -> None:
    """Raise BackupError while services are connected: they would write to what is being closed."""
    for dsn in {servers.catalog, *servers.shards.values()}:
        async with administer(dsn) as connection:
            if await connection.fetchval(_CLIENTS):
                raise BackupError("Dana is running on these servers; stop it first, then reconcile.")


async def end_replication(databases: list[str]) -> list[str]:
    """Drop what unfinished moves have left, without a word to the servers it leads to; returns the names."""
    dropped = []
    for dsn in databases:
        async with administer(dsn) as connection:
            here = await connection.fetchval("select current_database()")
            for row in await connection.fetch(_SUBSCRIPTIONS, MOVING):
                if row["datname"] == here:
                    await _drop_subscription(connection, row["subname"])
                    dropped.append(row["subname"])
            for row in await connection.fetch(_PUBLICATIONS, MOVING):
                await connection.execute(f'drop publication "{row["pubname"]}"')
    return dropped


async def _drop_subscription(connection: asyncpg.Connection, name: str) -> None:
    """Let it forget its slot first: that is on the live server, and may be in use there."""
    await connection.execute(f'alter subscription "{name}" disable')
    await connection.execute(f'alter subscription "{name}" set (slot_name = none)')
    await connection.execute(f'drop subscription "{name}"')


async def _subscriptions(servers: Servers) -> list[tuple[str, str]]:
    found: set[tuple[str, str]] = set()
    for dsn in servers.shards.values():
        async with administer(dsn) as connection:
            found |= {(row[0], row[1]) for row in await connection.fetch(_SUBSCRIPTIONS, MOVING)}
    return sorted(found)


async def _routes(catalog: str) -> dict[OrgId, Route]:
    async with administer(catalog) as connection:
        rows = await connection.fetch("select id, shard, epoch from platform.organizations")
    return {OrgId(row["id"]): Route(row["shard"], row["epoch"]) for row in rows}


async def _placements(shard: str, dsn: str) -> list[Placement]:
    async with administer(dsn) as connection:
        rows = await connection.fetch(_PLACEMENTS)
    return [Placement(OrgId(r["org_id"]), shard, r["epoch"], _state(r["state"]), r["cursor"]) for r in rows]


def _state(text: str) -> State:
    states: dict[str, State] = {"active": "active", "importing": "importing", "frozen": "frozen"}
    return states.get(text, "moved")


async def _apply(servers: Servers, verdict: Verdict) -> None:
    """Close copies first, then open the owner's, then lead there: nobody is ever active twice."""
    for placement in verdict.placements:
        async with administer(servers.shards[placement.shard]) as connection, connection.transaction():
            # As every writing transaction does, so that none is under way behind our back.
            await connection.execute(
                "select pg_advisory_xact_lock(hashtextextended($1::uuid::text, 0))", placement.org_id
            )
            await connection.execute(
                "update platform.org_placement set epoch = $2, state = $3 where org_id = $1",
                placement.org_id,
                placement.epoch,
                placement.state,
            )
    if verdict.owner and verdict.is_rerouted:
        async with administer(servers.catalog) as connection:
            await connection.execute(
                "insert into platform.organizations (id, shard, epoch) values ($1, $2, $3)"
                " on conflict (id) do update set shard = excluded.shard, epoch = excluded.epoch",
                verdict.org_id,
                verdict.owner.shard,
                verdict.owner.epoch,
            )


async def _end_moves(servers: Servers, corrected: list[OrgId]) -> int:
    async with administer(servers.catalog) as connection, connection.transaction():
        moves = 0
        if await connection.fetchval("select to_regclass('placement.moves') is not null"):
            moves = len(await connection.fetch(_END_MOVES, corrected))
        if await connection.fetchval("select to_regclass('platform.schema_holds') is not null"):
            await connection.execute("delete from platform.schema_holds")
        await connection.execute(_COUNT)
    for dsn in servers.shards.values():
        async with administer(dsn) as connection:
            if await connection.fetchval("select to_regclass('platform.move_markers') is not null"):
                await connection.execute("delete from platform.move_markers")
    return moves
