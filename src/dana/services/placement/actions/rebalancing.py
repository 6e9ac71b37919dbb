"""Evening out the load of shards: which moves would, and asking for them one by one."""

from dana.platform.errors import Conflict
from dana.services.placement.actions import moving, registry
from dana.services.placement.actions.desk import Desk
from dana.services.placement.actions.driver import OnProgress
from dana.services.placement.models.moves import Move
from dana.services.placement.models.rebalancing import TOLERANCE, Plan, PlannedMove, ShardLoad, plan
from dana.services.placement.store import loads


async def plan_moves(desk: Desk, tolerance: float = TOLERANCE) -> Plan:
    """Say which moves would even out the load, and why; nothing is changed."""
    shards = [
        ShardLoad(
            name=shard.name,
            is_open=shard.is_open,
            is_reachable=shard.is_reachable,
            is_dedicated=shard.dedicated_to is not None,
        )
        for shard in await registry.list_shards(desk)
    ]
    async with desk.shards.catalog.read() as tx:
        organizations = await loads.organizations(tx)
    return plan(shards, organizations, tolerance)


async def apply(desk: Desk, planned: PlannedMove, on_progress: OnProgress) -> Move:
    """Carry one planned move out to its end; raises Conflict when the organization isn't there any more."""
    route = await desk.shards.catalog.locate(planned.org_id)
    if route.shard != planned.source:
        raise Conflict(f"Organization {planned.org_id} has left {planned.source} meanwhile; plan again.")
    move = await moving.request(desk, planned.org_id, planned.target)
    return await moving.drive(desk, move.id, on_progress)
