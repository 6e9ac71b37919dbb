"""Shards: how they are, whether they take new organizations, and what would even out their load."""

from typing import Annotated

import structlog
from litestar import get, post
from litestar.params import QueryParameter

from dana.platform.http import Page, decode_cursor, encode_cursor
from dana.platform.identity import Member
from dana.services.placement.actions import registry
from dana.services.placement.actions.desk import Desk
from dana.services.placement.actions.rebalancing import plan_moves
from dana.services.placement.api.parameters import PAGE_MOST, AtDesk, Cursor, Limit, ShardName, SignedIn
from dana.services.placement.models.rebalancing import TOLERANCE, Plan
from dana.services.placement.models.shards import Candidate, ShardView

log = structlog.get_logger(__name__)

Tolerance = Annotated[float, QueryParameter(ge=0.01, le=1.0, description="How far from the mean is even.")]


@get("/shards")
async def list_shards(desk: AtDesk, limit: Limit = PAGE_MOST, cursor: Cursor = None) -> Page[ShardView]:
    """List shards by name, with how each is at this moment. One that can't be reached says why."""
    after = decode_cursor(cursor, 1)[0] if cursor else ""
    found = await registry.list_shards(desk, after, limit + 1)
    items = found[:limit]
    return Page(items=items, next_cursor=encode_cursor(items[-1].name) if len(found) > limit else None)


@get("/shards/{name:str}")
async def read_shard(name: ShardName, desk: AtDesk) -> ShardView:
    """Look at one shard."""
    return await registry.show_shard(desk, name)


@post("/shards/{name:str}/open", status_code=200)
async def open_shard(name: ShardName, desk: AtDesk, member: SignedIn) -> ShardView:
    """Let new organizations be placed on a shard."""
    return await _set_open(desk, member, name, is_open=True)


@post("/shards/{name:str}/close", status_code=200)
async def close_shard(name: ShardName, desk: AtDesk, member: SignedIn) -> ShardView:
    """Let no new organizations be placed on a shard; who lives there stays."""
    return await _set_open(desk, member, name, is_open=False)


@get("/places")
async def list_places(desk: AtDesk) -> Page[Candidate]:
    """Say where the next organization would go, and why; the first is where."""
    return Page(items=await registry.places(desk))


@get("/rebalance")
async def plan_rebalance(desk: AtDesk, tolerance: Tolerance = TOLERANCE) -> Plan:
    """Say which moves would even out the load, and why. Nothing is changed; ask for the moves you want."""
    return await plan_moves(desk, tolerance)


async def _set_open(desk: Desk, member: Member, name: str, *, is_open: bool) -> ShardView:
    await registry.set_open(desk, name, is_open=is_open)
    log.info("shard_changed", shard=name, is_open=is_open, user=str(member.user_id))
    return await registry.show_shard(desk, name)


ROUTES = [list_shards, read_shard, open_shard, close_shard, list_places, plan_rebalance]
