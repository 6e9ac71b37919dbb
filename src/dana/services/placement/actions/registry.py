"""Which shards there are and how they are, where organizations go, and for whom a shard is reserved."""

import asyncio
from collections.abc import Sequence
from urllib.parse import unquote

from dana.contracts.ids import OrgId
from dana.platform.database import address, hosts
from dana.platform.errors import Conflict, Missing, Problem
from dana.platform.migrations import migrations
from dana.platform.servers import CATALOG, shard_addresses
from dana.services.placement.actions import moving
from dana.services.placement.actions.desk import Desk
from dana.services.placement.models.moves import Move
from dana.services.placement.models.shards import (
    Candidate,
    OrganizationName,
    Shard,
    ShardView,
    one_organization,
    parse_id,
    rank_places,
)
from dana.services.placement.store import servers
from dana.services.placement.store import shards as store


async def list_shards(desk: Desk, after: str = "", at_most: int | None = None) -> list[ShardView]:
    """Look at shards, all at once; raises Unavailable when the catalog can't be reached."""
    known = [shard for shard in await _known(desk) if shard.name > after][:at_most]
    addresses = await shard_addresses(desk.settings)
    return list(await asyncio.gather(*(_look(desk, shard, addresses[shard.name]) for shard in known)))


async def show_shard(desk: Desk, name: str) -> ShardView:
    """Look at one shard; raises Missing."""
    shard = await find_shard(desk, name)
    return await _look(desk, shard, (await shard_addresses(desk.settings))[name])


async def find_shard(desk: Desk, name: str) -> Shard:
    """Read what the catalog knows of a shard; raises Missing."""
    async with desk.shards.catalog.read() as tx:
        shard = await store.shard(tx, name)
    if shard is None:
        raise Missing(f"There is no shard named {name}; see `dana shards list`.")
    return shard


async def set_open(desk: Desk, name: str, *, is_open: bool) -> None:
    """Open a shard for new organizations, or close it; who lives there stays. Raises Missing."""
    async with desk.shards.catalog.tx() as tx:
        if not await store.set_open(tx, name, is_open=is_open):
            raise Missing(f"There is no shard named {name}; see `dana shards list`.")


async def places(desk: Desk) -> list[Candidate]:
    """Say where the next organization would go, and why; the first is where."""
    return rank_places(await _known(desk))


async def reserve(desk: Desk, org_id: OrgId, name: str) -> Move | None:
    """Reserve a shard for one organization; returns its move there when it lives elsewhere.

    Raises Missing, and Conflict while others live there or are on their way there.
    """
    async with desk.shards.catalog.tx() as tx:
        await store.keep_places(tx)
        shard = await store.shard(tx, name)
        if shard is None:
            raise Missing(f"There is no shard named {name}; see `dana shards list`.")
        if shard.dedicated_to not in (None, org_id):
            raise Conflict(f"{name} is reserved for organization {shard.dedicated_to}.")
        others = await store.others_on(tx, name, org_id)
        if others:
            raise Conflict(
                f"{others} other organizations live on {name}, or are on their way there; move them first."
            )
        await store.reserve(tx, name, org_id)
    route = await desk.shards.catalog.locate(org_id)
    return None if route.shard == name else await moving.request(desk, org_id, name)


async def give_back(desk: Desk, org_id: OrgId) -> list[str]:
    """End an organization's reservations; it stays where it is. Returns the shards; raises Missing."""
    async with desk.shards.catalog.tx() as tx:
        names = await store.give_back(tx, org_id)
    if not names:
        raise Missing("No shard is reserved for this organization.")
    return names


async def remove(desk: Desk, name: str) -> None:
    """Forget an empty shard; its database stays on its server. Raises Missing and Conflict."""
    await find_shard(desk, name)
    async with servers.connected(address(desk.settings.database_url, database=CATALOG)) as catalog:
        kept = await store.remove(catalog, name)
    if kept["organizations"] or kept["moves"]:
        raise Conflict(
            f"{kept['organizations']} organizations live on {name}, {kept['moves']} are on their way from "
            f"or to it; `dana shards drain {name}` moves them away."
        )
    if kept["copies"]:
        raise Conflict(
            f"{kept['copies']} organizations can still be rolled back to {name}; "
            f"`dana shards purge --from {name}` gives that up, then remove it."
        )
    if not kept["others"]:
        raise Conflict(f"{name} is the only shard; add another one first.")


async def find_organization(desk: Desk, text: str) -> OrganizationName:
    """Find an organization by its id, or by a name that only one has. Raises Missing and Invalid."""
    async with servers.connected(address(desk.settings.database_url, database=CATALOG)) as catalog:
        found = await store.names_of(catalog, text, parse_id(text))
    if not found:
        raise Missing(f"There is no organization with the id or the name {text}.")
    return one_organization(found, text)


async def names_of(desk: Desk, org_ids: Sequence[OrgId]) -> dict[OrgId, str]:
    """Read what organizations are called; one that has no name yet is missing."""
    async with servers.connected(address(desk.settings.database_url, database=CATALOG)) as catalog:
        return await store.listed_names(catalog, org_ids)


async def _known(desk: Desk) -> list[Shard]:
    async with desk.shards.catalog.read() as tx:
        return await store.shards(tx)


async def _look(desk: Desk, shard: Shard, dsn: str) -> ShardView:
    condition, problem = None, None
    try:
        condition = await servers.look(dsn)
    except Problem as unreachable:
        problem = unreachable.detail
    return ShardView(
        name=shard.name,
        server=", ".join(map(unquote, hosts(shard.address or desk.settings.database_url))),
        database=shard.database,
        organizations=shard.organizations,
        events_per_hour=shard.events_per_hour,
        copies=shard.copies,
        is_open=shard.is_open,
        dedicated_to=shard.dedicated_to,
        is_reachable=condition is not None,
        problem=problem,
        migrations_wanted=len(migrations("shard")),
        condition=condition,
    )
