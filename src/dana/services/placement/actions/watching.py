"""What moves cost, seen from outside: the log that servers keep for them, and what is left over.

It also runs when no driver lives: a slot that nobody reads from fills a disk.
"""

import contextlib
from collections.abc import Iterator

import structlog
from prometheus_client import Gauge

from dana.platform.database import outages_are_problems
from dana.platform.errors import Problem
from dana.platform.servers import administer, shard_addresses
from dana.services.placement.actions.desk import Desk
from dana.services.placement.store import moves, replication
from dana.services.placement.store.sessions import Connection

MOST_HELD_BYTES = 2 * 1024**3  # half of max_slot_wal_keep_size, at which the server itself would cut the slot
WARNED_SHARE = 0.5

HELD = Gauge("dana_move_held_wal_bytes", "Log that a shard's server keeps for a move.", ["shard", "slot"])

log = structlog.get_logger(__name__)


async def watch(desk: Desk) -> None:
    """Measure what is kept on all shards, abort what keeps too much, and remove what nobody needs."""
    HELD.clear()
    for shard, dsn in (await shard_addresses(desk.settings)).items():
        with _others_go_on(shard):
            async with administer(dsn) as connection:
                await _watch_shard(desk, shard, connection)


async def _watch_shard(desk: Desk, shard: str, connection: Connection) -> None:
    for name, held_bytes in (await replication.held_logs(connection)).items():
        HELD.labels(shard, name).set(held_bytes)
        if held_bytes > MOST_HELD_BYTES * WARNED_SHARE:
            log.warning("move_holds_log", shard=shard, slot=name, bytes=held_bytes, limit=MOST_HELD_BYTES)
        if held_bytes > MOST_HELD_BYTES:
            await _abort(desk, shard, name, held_bytes)
    for name in await replication.names_on(connection):
        if await _is_over(desk, name):
            log.warning("move_left_over", shard=shard, name=name)
            await replication.unsubscribe(connection, name)
            await replication.unpublish(connection, name)
            await replication.drop_log(connection, name)  # the next look, if somebody is still reading


async def _abort(desk: Desk, shard: str, name: str, held_bytes: int) -> None:
    reason = f"{shard} keeps {held_bytes:,} bytes of its log for this move; it may keep {MOST_HELD_BYTES:,}."
    async with desk.shards.catalog.tx() as tx:
        await moves.want_abort(tx, replication.move_of(name), reason)


async def _is_over(desk: Desk, name: str) -> bool:
    """Tell whether nothing of a move is needed; what the catalog doesn't know is of no move."""
    async with desk.shards.catalog.read() as tx:
        move = await moves.find_move(tx, replication.move_of(name))
    return move is None or move.is_ended


@contextlib.contextmanager
def _others_go_on(shard: str) -> Iterator[None]:
    """Let a shard that is down be looked at the next time."""
    try:
        with outages_are_problems():
            yield
    except (Problem, OSError) as error:
        log.warning("moves_not_watched", shard=shard, error=repr(error))
