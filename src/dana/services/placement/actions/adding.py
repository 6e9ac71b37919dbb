"""Adding a shard while everything runs: a server is looked at, made ready, and only then known to anybody.

Each step may be repeated; a crash anywhere leaves nothing that the next try, or anybody else, stumbles over.
"""

import re
from collections.abc import Callable

from dana.contracts.ids import OrgId
from dana.platform.database import address, without_login
from dana.platform.errors import Conflict, Unavailable
from dana.platform.migrations import migrate_shard, migrations, services
from dana.platform.servers import CATALOG, seal_login, shard_addresses
from dana.platform.settings import Settings
from dana.services.placement.actions.desk import Desk
from dana.services.placement.models.shards import (
    Refusal,
    Server,
    Shard,
    check_server,
    clean_server,
    clean_shard_name,
)
from dana.services.placement.store import servers
from dana.services.placement.store import shards as store

Say = Callable[[str], None]
"""Told what begins."""

_EXTENSION = re.compile(r'create extension (?:if not exists )?"?(\w+)')


async def add_shard(desk: Desk, name: str, url: str | None, dedicated_to: OrgId | None, say: Say) -> Shard:
    """Add a shard on a server, or on the catalog's; repeated, it changes the address and login it has.

    Raises Invalid, Conflict with what must be changed, and Unavailable.
    """
    settings = desk.settings
    new_database = f"dana_{clean_shard_name(name)}"
    server_url = clean_server(url) if url else settings.database_url
    async with desk.shards.catalog.read() as tx:
        known = await store.shard(tx, name)
    database = known.database if known else new_database
    dsn = address(server_url, database=database)

    say("Looking at the server")
    await _refuse_while_others_are_older(settings, name)
    server = await _look_at(server_url)
    check_server(server, sorted(_wanted_extensions()))
    await _refuse_foreign_server(settings, server_url)
    is_catalogs = await _is_the_catalogs(settings, server)
    kept_address = None if is_catalogs else without_login(server_url)
    if known is None:
        await _refuse_used_database(desk, dsn, server)
    elif known.address != kept_address:
        await _refuse_wrong_database(settings, name, dsn)

    say("Making roles, database and tables")
    await migrate_shard(settings, name, dsn)
    say("Subscribing the consumers")
    await _subscribe(settings, name, dsn)
    say("Signing in as each service")
    await _refuse_unless_services_come_in(settings, dsn)

    say("Opening it")
    shard = Shard(
        name=name,
        database=database,
        address=kept_address,
        organizations=known.organizations if known else 0,
        is_open=known.is_open if known else True,
        dedicated_to=dedicated_to,
        events_per_hour=known.events_per_hour if known else 0.0,
    )
    async with servers.connected(_catalog(settings)) as catalog:
        await store.register(catalog, shard, None if is_catalogs else seal_login(settings, server_url))
    return shard


async def _refuse_while_others_are_older(settings: Settings, name: str) -> None:
    """Raise Conflict when the new shard would have newer tables: nobody could move between it and others."""
    for other, dsn in (await shard_addresses(settings)).items():
        if other == name:
            continue
        try:
            async with servers.connected(dsn) as connection:
                have_run = await servers.migrations_run(connection)
        except Unavailable:
            continue  # it is migrated when it is back
        if have_run != len(migrations("shard")):
            raise Conflict(f"{other} has not run all migrations; run `dana migrate` first.")


async def _look_at(url: str) -> Server:
    try:
        async with servers.connected(address(url, database="postgres")) as connection:
            return await servers.server(connection)
    except Unavailable as problem:
        raise Unavailable(f"The server can't be reached: {problem.detail}.") from problem


async def _is_the_catalogs(settings: Settings, server: Server) -> bool:
    """Tell whether it is the catalog's server, by whatever address; raises Conflict for a copy of it."""
    catalogs = await _look_at(settings.database_url)
    if server.is_copy_of(catalogs):
        raise Conflict(
            "This server is a copy of the catalog's, made of its files; a shard needs one of its own."
        )
    return server.is_same_as(catalogs)


async def _refuse_foreign_server(settings: Settings, url: str) -> None:
    """Raise Conflict when another installation's services would be locked out by our passwords."""
    roles = [f"dana_{service}" for service in services()]
    async with servers.connected(address(url, database="postgres")) as connection:
        found = await servers.roles_with_password(connection, roles)
    for role in found:
        if await servers.refusal(_login(settings, url, "postgres", role)) is Refusal.PASSWORD:
            raise Conflict(
                "Another installation of Dana uses this server, and making our roles would lock it out. "
                "A server belongs to one installation; if this is the one, its secrets have changed."
            )


async def _refuse_used_database(desk: Desk, dsn: str, server: Server) -> None:
    """Raise Conflict when the new shard's database has organizations, or is another shard's."""
    database = dsn.rpartition("/")[2].partition("?")[0]
    async with servers.connected(address(dsn, database="postgres")) as connection:
        is_there = await servers.has_database(connection, database)
    if not is_there:
        return
    async with desk.shards.catalog.read() as tx:
        others = {shard.name for shard in await store.shards(tx) if shard.database == database}
    for name, other in (await shard_addresses(desk.settings)).items():
        if name in others and server.is_same_as(await _look_at(other)):
            raise Conflict(f"The database {database} on this server is the shard {name} already.")
    async with servers.connected(dsn) as connection:
        organizations = await servers.organizations_here(connection)
    if organizations:
        raise Conflict(
            f"The database {database} on this server holds {len(organizations)} organizations that the "
            "catalog doesn't send there. Drop it if nobody needs it any more, or choose another name."
        )


async def _refuse_wrong_database(settings: Settings, name: str, dsn: str) -> None:
    """Raise Conflict unless the shard's organizations are at its new address."""
    database = dsn.rpartition("/")[2].partition("?")[0]
    async with servers.connected(_catalog(settings)) as catalog:
        expected = await store.organizations_expected(catalog, name)
    async with servers.connected(address(dsn, database="postgres")) as connection:
        is_there = await servers.has_database(connection, database)
    found = {}
    if is_there:
        async with servers.connected(dsn) as connection:
            found = await servers.organizations_here(connection)
    missing = sum(found.get(org_id) != epoch for org_id, epoch in expected.items())
    if missing:
        raise Conflict(
            f"There is a shard {name} already, and {missing} of its {len(expected)} organizations aren't on "
            "this server. To add a shard, choose another name; to change the address of this one, bring its "
            "database there first."
        )


async def _subscribe(settings: Settings, name: str, dsn: str) -> None:
    """Let all consumers be due from the first event on: who runs notices the shard some seconds later."""
    others = {other: url for other, url in (await shard_addresses(settings)).items() if other != name}
    found: set[tuple[str, str, str]] = set()
    away: list[str] = []
    for other, other_dsn in others.items():
        try:
            async with servers.connected(other_dsn) as connection:
                found.update(await servers.subscriptions(connection))
        except Unavailable:
            away.append(other)
    if others and len(away) == len(others):
        raise Unavailable("No other shard can be reached to learn who consumes events; try again later.")
    async with servers.connected(dsn) as connection:
        await servers.subscribe(connection, sorted(found))


async def _refuse_unless_services_come_in(settings: Settings, dsn: str) -> None:
    database = dsn.rpartition("/")[2].partition("?")[0]
    for service in services():
        if await servers.refusal(_login(settings, dsn, database, f"dana_{service}")) is not None:
            raise Conflict(
                f"The server doesn't let dana_{service} in from here, though it let the administrator in. "
                "Allow all roles dana_… by password (scram-sha-256) in its pg_hba.conf, then repeat this."
            )


def _login(settings: Settings, url: str, database: str, role: str) -> str:
    return address(url, database=database, user=role, password=settings.secrets.password(role))


def _wanted_extensions() -> set[str]:
    return {name for file in migrations("shard") for name in _EXTENSION.findall(file.sql)}


def _catalog(settings: Settings) -> str:
    return address(settings.database_url, database=CATALOG)
