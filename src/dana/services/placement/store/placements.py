"""Who lives on a shard, as the shard itself knows it, and markers that travel with an organization's rows."""

from datetime import timedelta
from uuid import UUID

import asyncpg

from dana.contracts.ids import OrgId
from dana.services.placement.store.sessions import Connection

NOT_HERE = "OM001"

# First it looks for a moment without an open transaction of the organization, which makes nobody wait. When
# there is none it asks for the lock, and new transactions wait behind it; returns the time before that.
_FREEZE = """
create or replace function pg_temp.freeze(
  org uuid, at_epoch bigint, marker uuid, look_for interval, lock_timeout_ms int
) returns interval language plpgsql as $$
declare
  key constant bigint := hashtextextended(org::text, 0);
  began constant timestamptz := clock_timestamp();
  asked timestamptz := began;
begin
  while not pg_try_advisory_xact_lock(key) loop
    asked := clock_timestamp();
    if asked > began + look_for then
      perform set_config('lock_timeout', lock_timeout_ms::text, true);
      perform pg_advisory_xact_lock(key);
      exit;
    end if;
    perform pg_sleep(0.001);
  end loop;
  update platform.org_placement set state = 'frozen'
   where org_id = org and epoch = at_epoch and state = 'active';
  if not found then
    raise exception 'organization % is not here at epoch %', org, at_epoch using errcode = 'OM001';
  end if;
  insert into platform.move_markers (org_id, token) values (org, marker);
  return asked - began;
end $$"""
_IMPORT = """
insert into platform.org_placement as p (org_id, epoch, state) values ($1, $2, 'importing')
    on conflict (org_id) do update set epoch = excluded.epoch, state = 'importing'
 where p.epoch < excluded.epoch or (p.epoch = excluded.epoch and p.state <> 'moved')
returning true"""
_OPEN = """
update platform.org_placement set state = 'active'
 where org_id = $1 and epoch = $2 and state = 'importing'
returning pg_current_xact_id()::text::bigint"""
_CHANGE = "update platform.org_placement set state = $3 where org_id = $1 and epoch = $2 and state = any ($4)"
_LOOK = """
rollback; begin isolation level repeatable read, read only;
select from platform.move_markers where org_id = '{org_id}' and token = '{token}'"""


async def is_living_here(shard: Connection, org_id: OrgId, epoch: int) -> bool:
    """Tell whether an organization works on this shard at this epoch."""
    return await state_here(shard, org_id, epoch) == "active"


async def state_here(shard: Connection, org_id: OrgId, epoch: int) -> str | None:
    """Read the state of an organization on a shard; None when it isn't here at this epoch."""
    state: str | None = await shard.fetchval(
        "select state from platform.org_placement where org_id = $1 and epoch = $2", org_id, epoch
    )
    return state


async def expect(shard: Connection, org_id: OrgId, epoch: int) -> bool:
    """Let an organization be brought to a shard, closed; False when it is there at a later epoch."""
    async with shard.transaction():
        await shard.execute("select pg_advisory_xact_lock(hashtextextended($1, 0))", str(org_id))
        return bool(await shard.fetchval(_IMPORT, org_id, epoch))


async def thaw(shard: Connection, org_id: OrgId, epoch: int) -> None:
    """Let a frozen organization go on where it is."""
    await shard.execute(_CHANGE, org_id, epoch, "active", ["frozen"])


async def leave(shard: Connection, org_id: OrgId, epoch: int) -> None:
    """Say at the source that the organization has gone."""
    await shard.execute(_CHANGE, org_id, epoch, "moved", ["active", "frozen"])


async def close(shard: Connection, org_id: OrgId, epoch: int) -> None:
    """Close an organization at the target again, before anybody was sent there."""
    await shard.execute(_CHANGE, org_id, epoch, "importing", ["active"])


async def forget(shard: Connection, org_id: OrgId, epoch: int) -> None:
    """Know nothing of an organization that was never sent here."""
    await shard.execute(
        "delete from platform.org_placement where org_id = $1 and epoch = $2 and state = 'importing'",
        org_id,
        epoch,
    )


async def mark(shard: Connection, org_id: OrgId, token: UUID) -> None:
    """Send a marker behind all changes so far; while it stands, no partition of the log is dropped."""
    await shard.execute(
        "insert into platform.move_markers (org_id, token) values ($1, $2) on conflict do nothing",
        org_id,
        token,
    )


async def remove_markers(shard: Connection, org_id: OrgId) -> None:
    """Remove all markers of an organization."""
    await shard.execute("delete from platform.move_markers where org_id = $1", org_id)


async def look_for_marker(shard: Connection, org_id: OrgId, token: UUID) -> bool:
    """Begin a snapshot, and tell whether a marker is part of it. Then so is everything before the marker."""
    return await shard.execute(_LOOK.format(org_id=org_id, token=token)) == "SELECT 1"


async def end_look(shard: Connection) -> None:
    """End the snapshot."""
    await shard.execute("rollback")


class Freezing:
    """The function that freezes the source, made ready beforehand: all it does is one round trip."""

    def __init__(self, statement: asyncpg.prepared_stmt.PreparedStatement) -> None:
        self._statement = statement

    @classmethod
    async def prepare(cls, shard: Connection) -> "Freezing":
        """Make it ready."""
        await shard.execute(_FREEZE)
        return cls(await shard.prepare("select pg_temp.freeze($1, $2, $3, $4, $5)"))

    async def run(
        self, org_id: OrgId, epoch: int, token: UUID, look_for: timedelta, lock_timeout_ms: int
    ) -> timedelta | None:
        """Let nobody write any more, and send a marker behind the last change.

        Returns how long it looked for a quiet moment, while everybody could still write; None when open
        transactions of the organization didn't end in time.
        """
        try:
            looked: timedelta = await self._statement.fetchval(
                org_id, epoch, token, look_for, lock_timeout_ms
            )
        except asyncpg.LockNotAvailableError:
            return None
        return looked


class Opening:
    """The statement that opens the target, prepared beforehand: it runs while nobody can write."""

    def __init__(self, statement: asyncpg.prepared_stmt.PreparedStatement) -> None:
        self._statement = statement

    @classmethod
    async def prepare(cls, shard: Connection) -> "Opening":
        """Make it ready."""
        return cls(await shard.prepare(_OPEN))

    async def run(self, org_id: OrgId, epoch: int) -> int | None:
        """Let an organization work here; returns the transaction that did it, None when it isn't expected.

        Its commit waits for the disk, and so everything that was replicated before is on disk as well.
        """
        first: int | None = await self._statement.fetchval(org_id, epoch)
        return first
