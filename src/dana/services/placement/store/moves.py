"""The moves as they are recorded in the catalog."""

from typing import Any

import asyncpg
import msgspec

from dana.contracts.ids import OrgId, new_id
from dana.platform.catalog import Route
from dana.platform.database import CatalogTx
from dana.services.placement.models.moves import Move, MoveId, MoveState, TableCheck, Target

KEPT_IN_LISTS = 500

MOVE = """
  id, org_id, source, target, epoch, state, rows_copied, rows_expected, lag_bytes, held_bytes, write_pause_ms,
  requested_at, changed_at, error, is_abort_wanted, checks, back_of"""
_OPEN = "state not in ('verified', 'unproven', 'purged', 'aborted')"
_BEFORE_SWITCH = "state in ('requested', 'prepared', 'copying', 'synced', 'frozen', 'arrived')"

_checks = msgspec.json.Decoder(list[TableCheck])


async def place_of(tx: CatalogTx, org_id: OrgId) -> Route | None:
    """Say where an organization lives."""
    row = await tx.fetchrow("select shard, epoch from platform.organizations where id = $1", org_id)
    return Route(row["shard"], row["epoch"]) if row else None


async def target(tx: CatalogTx, name: str) -> Target | None:
    """Say whom a shard may take in."""
    row = await tx.fetchrow("select name, is_open, dedicated_to from platform.shards where name = $1", name)
    return Target(**dict(row)) if row else None


async def add_move(
    tx: CatalogTx, org_id: OrgId, source: Route, target: str, back_of: MoveId | None
) -> Move | None:
    """Record a new move; None when the organization is on its way already."""
    row = await tx.fetchrow(
        "insert into placement.moves (id, org_id, source, target, epoch, state, back_of)"
        f" values ($1, $2, $3, $4, $5, 'requested', $6) on conflict do nothing returning {MOVE}",
        new_id(),
        org_id,
        source.shard,
        target,
        source.epoch,
        back_of,
    )
    return read_move(row) if row else None


async def find_move(tx: CatalogTx, move_id: MoveId) -> Move | None:
    """Read one move."""
    row = await tx.fetchrow(f"select {MOVE} from placement.moves where id = $1", move_id)
    return read_move(row) if row else None


async def open_move_of(tx: CatalogTx, org_id: OrgId) -> Move | None:
    """Find the organization's move that hasn't ended."""
    row = await tx.fetchrow(
        f"select {MOVE} from placement.moves where org_id = $1 and {_OPEN} order by requested_at limit 1",
        org_id,
    )
    return read_move(row) if row else None


async def newest_move_of(tx: CatalogTx, org_id: OrgId) -> Move | None:
    """Find the organization's last move that has switched."""
    row = await tx.fetchrow(
        f"select {MOVE} from placement.moves where org_id = $1"
        " and state in ('switched', 'disconnected', 'verified', 'unproven', 'purged')"
        " order by epoch desc limit 1",
        org_id,
    )
    return read_move(row) if row else None


async def moves(tx: CatalogTx) -> list[Move]:
    """List moves, newest first."""
    rows = await tx.fetch(
        f"select {MOVE} from placement.moves order by requested_at desc limit $1", KEPT_IN_LISTS
    )
    return [read_move(row) for row in rows]


async def moves_before(tx: CatalogTx, before: MoveId | None, limit: int, *, only_open: bool) -> list[Move]:
    """Read moves older than one, newest first; ids are in the order in which moves were asked for."""
    rows = await tx.fetch(
        f"select {MOVE} from placement.moves where ($1::uuid is null or id < $1) and (not $3 or {_OPEN})"
        " order by id desc limit $2",
        before,
        limit,
        only_open,
    )
    return [read_move(row) for row in rows]


async def open_moves(tx: CatalogTx) -> list[Move]:
    """List the moves that haven't ended, newest first."""
    rows = await tx.fetch(
        f"select {MOVE} from placement.moves where {_OPEN} order by requested_at desc limit $1",
        KEPT_IN_LISTS,
    )
    return [read_move(row) for row in rows]


async def want_abort(tx: CatalogTx, move_id: MoveId, reason: str) -> Move | None:
    """Record that a move shall end; None when it has switched or ended."""
    row = await tx.fetchrow(
        "update placement.moves set is_abort_wanted = true, error = $2,"
        f" changed_at = clock_timestamp() where id = $1 and (state = 'aborting' or {_BEFORE_SWITCH})"
        f" returning {MOVE}",
        move_id,
        reason,
    )
    return read_move(row) if row else None


def read_move(row: asyncpg.Record) -> Move:
    """Make a move of its row."""
    fields: dict[str, Any] = dict(row)
    fields["state"] = MoveState(fields["state"])
    fields["checks"] = _checks.decode(fields["checks"]) or None
    return Move(**fields)
