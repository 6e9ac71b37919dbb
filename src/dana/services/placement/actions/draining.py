"""Draining a shard: nobody comes any more, and everybody who lives there moves away, one by one.

Nothing of it is remembered but the closed shard and the moves themselves; so it goes on where it was cut.
"""

import asyncio
from collections.abc import AsyncIterator

from dana.contracts.ids import OrgId
from dana.platform.errors import Problem
from dana.platform.servers import shard_addresses
from dana.services.placement.actions import moving, registry
from dana.services.placement.actions.desk import Desk
from dana.services.placement.actions.driver import OnProgress
from dana.services.placement.models.moves import Move
from dana.services.placement.models.shards import Shard, least_loaded
from dana.services.placement.store import loads, moves, servers
from dana.services.placement.store import shards as store


async def close_for_drain(desk: Desk, name: str) -> int:
    """Close a shard, end its reservation, and count the organizations that live there. Raises Missing."""
    shard = await registry.find_shard(desk, name)
    async with desk.shards.catalog.tx() as tx:
        await store.keep_places(tx)
        await store.set_open(tx, name, is_open=False)
        await store.reserve(tx, name, None)
    return shard.organizations


async def drain(desk: Desk, name: str, on_progress: OnProgress) -> AsyncIterator[Move]:
    """Move everybody away, the oldest organization first; yields each move at its end, however it ended.

    Who couldn't be moved stays; another drain tries again. Raises Conflict when there is nowhere to go.
    """
    tried: list[OrgId] = []
    added: dict[str, float] = {}
    while True:
        async with desk.shards.catalog.read() as tx:
            org_id = await store.next_organization_on(tx, name, tried)
            going = await moves.open_move_of(tx, org_id) if org_id else None
            weight = await loads.weight_of(tx, org_id) if org_id else 0.0
        if org_id is None:
            return
        tried.append(org_id)
        if going is None:
            target = least_loaded(await _reachable(desk), added, name)
            going = await moving.request(desk, org_id, target)
            added[target] = added.get(target, 0.0) + weight
        yield await moving.drive(desk, going.id, on_progress)


async def _reachable(desk: Desk) -> list[Shard]:
    async with desk.shards.catalog.read() as tx:
        known = await store.shards(tx)
    addresses = await shard_addresses(desk.settings)
    answers = await asyncio.gather(*(_answers(addresses[shard.name]) for shard in known))
    return [shard for shard, is_there in zip(known, answers, strict=True) if is_there]


async def _answers(dsn: str) -> bool:
    try:
        async with servers.connected(dsn):
            return True
    except Problem:
        return False
