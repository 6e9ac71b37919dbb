"""The logbook of a move: who holds it drives the move, and nobody else records.

It is one connection to the catalog with the organization's lock. A driver that dies, or stops answering,
loses the connection and so the lock; what it still believes, it can't record, and it can't switch.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any
from uuid import UUID

import asyncpg
import msgspec

from dana.contracts.ids import OrgId
from dana.platform.catalog import Catalog
from dana.platform.database import outages_are_problems
from dana.platform.errors import Problem, Unavailable
from dana.platform.pools import connection_of
from dana.services.placement.models.moves import Digests, Move, MoveId, MoveState, Progress, TableCheck
from dana.services.placement.store.moves import MOVE, read_move

SILENCE_SECONDS = 20  # a driver that is stopped for longer has lost its lock when it wakes up
SIGN_OF_LIFE_SECONDS = 5.0
TURNS_LOCK = "placement.turns"
NOTHING = UUID(int=0)

_ENTER = f"""
update placement.moves
   set state = $2, error = $3, changed_at = clock_timestamp()
 where id = $1 returning {MOVE}"""
_ENTER_QUICKLY = f"""
with quick as (select set_config('synchronous_commit', 'off', true))
update placement.moves set state = $2, changed_at = clock_timestamp() from quick where id = $1
returning {MOVE}"""
_NOTE = f"""
update placement.moves
   set rows_copied = $2, rows_expected = $3, lag_bytes = $4, held_bytes = $5, changed_at = clock_timestamp()
 where id = $1 returning {MOVE}"""
_OTHERS_ON_THE_WAY = """
select count(*) from placement.moves m
 where m.id <> $1 and m.state not in ('requested', 'verified', 'unproven', 'purged', 'aborted')
   and (m.source in ($2, $3) or m.target in ($2, $3))"""
_SWITCH_OVER = "select placement.switch_over($1, $2) as is_done"
_HOLD = "insert into platform.schema_holds (name, reason) values ($1, $2) on conflict do nothing"


class Logbook:
    """Records the moves of one organization, by whoever drives them."""

    def __init__(self, connection: asyncpg.Connection) -> None:
        self._connection = connection
        self._turn = asyncio.Lock()  # one statement at a time on the one connection

    async def read(self, move_id: MoveId) -> Move:
        """Read a move."""
        row = await self._fetchrow(f"select {MOVE} from placement.moves where id = $1", move_id)
        return _move(row)

    async def enter(self, move_id: MoveId, state: MoveState, error: str | None = None) -> Move:
        """Record that a state begins."""
        return _move(await self._fetchrow(_ENTER, move_id, state, error))

    async def enter_quickly(self, move_id: MoveId, state: MoveState) -> Move:
        """Record that a state begins while nobody can write; a crash of the catalog may forget it."""
        return _move(await self._fetchrow(_ENTER_QUICKLY, move_id, state))

    async def note(self, move_id: MoveId, progress: Progress) -> Move:
        """Record how far it has come."""
        return _move(
            await self._fetchrow(
                _NOTE,
                move_id,
                progress.rows_copied,
                progress.rows_expected,
                progress.lag_bytes,
                progress.held_bytes,
            )
        )

    async def note_pause(self, move_id: MoveId, pause_ms: float) -> None:
        """Record for how long nobody could write."""
        await self._fetchrow(
            "update placement.moves set write_pause_ms = $2 where id = $1 returning id", move_id, pause_ms
        )

    async def note_error(self, move_id: MoveId, error: str | None) -> Move:
        """Record what it waits for."""
        return _move(
            await self._fetchrow(
                f"update placement.moves set error = $2 where id = $1 returning {MOVE}", move_id, error
            )
        )

    async def begin(self, move: Move, most_at_once: int) -> Move | None:
        """Record that the move begins, and keep migrations away; None while its shards have enough to do."""
        async with self._turn:
            with outages_are_problems():
                async with self._connection.transaction():
                    await self._connection.execute(
                        "select pg_advisory_xact_lock(hashtextextended($1, 0))", TURNS_LOCK
                    )
                    others = await self._connection.fetchval(
                        _OTHERS_ON_THE_WAY, move.id, move.source, move.target
                    )
                    if others >= most_at_once:
                        return None
                    reason = f"Organization {move.org_id} is being moved from {move.source} to {move.target}."
                    await self._connection.execute(_HOLD, hold_name(move.id), reason)
                    return _move(await self._connection.fetchrow(_ENTER, move.id, MoveState.PREPARED, None))

    async def warm_up(self, move_id: MoveId) -> None:
        """Let the catalog prepare what it does while nobody can write."""
        await self.enter_quickly(move_id, MoveState.SYNCED)
        await self._fetchrow(_SWITCH_OVER, NOTHING, 0)
        await self._fetchrow("select platform.relocate_organization($1, 0, '')", NOTHING)

    async def switch_over(self, move_id: MoveId, first_transaction: int) -> bool:
        """Send everybody to the target, from this moment on; False when the move was to be aborted."""
        row = await self._fetchrow(_SWITCH_OVER, move_id, first_transaction)
        return bool(row and row["is_done"])

    async def end(self, move_id: MoveId, state: MoveState, error: str | None = None) -> Move:
        """Record the end, and let migrations run again."""
        async with self._turn:
            with outages_are_problems():
                async with self._connection.transaction():
                    await self._connection.execute(
                        "delete from platform.schema_holds where name = $1", hold_name(move_id)
                    )
                    return _move(await self._connection.fetchrow(_ENTER, move_id, state, error))

    async def keep_checks(self, move_id: MoveId, checks: list[TableCheck]) -> Move:
        """Record what the comparison has found so far."""
        return _move(
            await self._fetchrow(
                f"update placement.moves set checks = $2 where id = $1 returning {MOVE}",
                move_id,
                msgspec.json.encode(checks).decode(),
            )
        )

    async def keep_digests(self, move_id: MoveId, table: str, digests: Digests) -> None:
        """Record the checksums of one of the target's tables."""
        await self._fetchrow(
            "insert into placement.move_digests (move_id, table_name, buckets, counts, digests)"
            " values ($1, $2, $3, $4, $5) on conflict (move_id, table_name) do nothing returning table_name",
            move_id,
            table,
            list(digests),
            [rows for rows, _ in digests.values()],
            [digest for _, digest in digests.values()],
        )

    async def digests(self, move_id: MoveId, table: str) -> Digests | None:
        """Read the checksums of one of the target's tables, as recorded."""
        row = await self._fetchrow(
            "select buckets, counts, digests from placement.move_digests"
            " where move_id = $1 and table_name = $2",
            move_id,
            table,
        )
        if row is None:
            return None
        pairs = zip(row["counts"], row["digests"], strict=True)
        return dict(zip(row["buckets"], pairs, strict=True))

    async def first_transaction(self, move_id: MoveId) -> int:
        """Read from which transaction at the target on others may have written there."""
        row = await self._fetchrow("select opened_by from placement.moves where id = $1", move_id)
        return int(row["opened_by"]) if row else 0

    async def is_to_be_taken_back(self, move_id: MoveId) -> bool:
        """Tell whether a move back waits for the end of this one."""
        row = await self._fetchrow(
            "select 1 from placement.moves where back_of = $1 and state = 'requested'", move_id
        )
        return row is not None

    async def close_copies(self, org_id: OrgId, shard: str) -> None:
        """Record of earlier moves that their source's copy is gone."""
        await self._fetchrow(
            "with gone as (update placement.moves set state = 'purged', changed_at = clock_timestamp()"
            " where org_id = $1 and source = $2 and state in ('verified', 'unproven') returning id)"
            " delete from placement.move_digests d using gone where d.move_id = gone.id returning d.move_id",
            org_id,
            shard,
        )

    async def give_signs_of_life(self) -> None:
        """Let the server see that the driver is alive, until cancelled."""
        while True:
            await asyncio.sleep(SIGN_OF_LIFE_SECONDS)
            with suppress(Problem):
                await self._fetchrow("select 1")

    async def _fetchrow(self, sql: str, *args: Any) -> asyncpg.Record | None:
        async with self._turn:
            with outages_are_problems():
                return await self._connection.fetchrow(sql, *args)


@asynccontextmanager
async def logbook_of(catalog: Catalog, org_id: OrgId) -> AsyncIterator[Logbook | None]:
    """Take the logbook of an organization's moves for the length of the block; None when another has it."""
    lock = f"placement.move {org_id}"
    async with connection_of(await catalog.pool()) as connection:
        with outages_are_problems():
            is_ours = await connection.fetchval("select pg_try_advisory_lock(hashtextextended($1, 0))", lock)
        if not is_ours:
            yield None
            return
        with outages_are_problems():
            await connection.execute(f"set idle_session_timeout = '{SILENCE_SECONDS}s'")
        book = Logbook(connection)
        signs = asyncio.create_task(book.give_signs_of_life())
        try:
            yield book
        finally:
            signs.cancel()
            await asyncio.gather(signs, return_exceptions=True)
            await _give_back(connection, lock)


def hold_name(move_id: MoveId) -> str:
    """Name the hold that keeps the tables of both shards as they are."""
    return f"move {move_id}"


async def _give_back(connection: asyncpg.Connection, lock: str) -> None:
    try:
        await asyncio.shield(
            connection.execute(
                f"select pg_advisory_unlock(hashtextextended('{lock}', 0)); reset idle_session_timeout"
            )
        )
    except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError):
        with suppress(asyncpg.InterfaceError):  # it was lost, so the pool has it back already
            connection.terminate()


def _move(row: asyncpg.Record | None) -> Move:
    if row is None:
        raise Unavailable("The move's record is gone.")
    return read_move(row)
