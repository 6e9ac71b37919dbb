"""An installation on two servers: the catalog and shard1 on one, shard2 on the other; and its backups."""

import asyncio
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path

from dana.contracts.ids import OrgId, new_id
from dana.platform.backup.choosing import Goal
from dana.platform.backup.folder import Backups
from dana.platform.backup.receiving import catch_up
from dana.platform.backup.reconciling import Servers, point
from dana.platform.backup.restoring import Order, Restored, restore
from dana.platform.backup.taking import Taken, Wish, take
from dana.platform.backup.tools import Progress
from dana.platform.database import address, login_of
from dana.platform.local.postgres import FAST_AND_FORGETFUL, Postgres
from dana.platform.local.valkey import Valkey
from dana.platform.migrations import migrate_shard
from dana.platform.secrets import Secrets
from dana.platform.servers import CATALOG, administer, seal_login, server_addresses
from dana.platform.settings import Settings


@dataclass
class Installation:
    """Two servers, and a folder of backups."""

    home: Path
    settings: Settings
    first: Postgres
    second: Postgres
    valkey: Valkey
    backups: Backups
    told: list[Progress] = field(default_factory=list)

    async def servers(self) -> Servers:
        return await Servers.of(self.settings)

    async def dsn(self, name: str) -> str:
        servers = await self.servers()
        return servers.catalog if name == "catalog" else servers.shards[name]

    async def take(self, **wish: bool | int) -> Taken:
        return await take(self.settings, self.backups, replace(Wish(), **wish), self.told.append)  # type: ignore[arg-type]

    async def catch_up(self) -> None:
        """Receive everything written so far."""
        for name, dsn in (await server_addresses(self.settings)).items():
            await catch_up(self.backups, name, dsn)

    async def restore(self, goal: Goal, name: str = "restored", servers: tuple[str, ...] = ()) -> Restored:
        order = Order(goal, self.home / name, servers, settings=FAST_AND_FORGETFUL)
        return await restore(self.backups, order, self.told.append)

    async def now(self) -> datetime:
        """The time of the servers; both run on this machine."""
        async with administer(self.settings.database_url) as connection:
            moment: datetime = await connection.fetchval("select clock_timestamp()")
        return moment

    async def note(self, text: str) -> datetime:
        """Write a note into every database, and return a moment after it and before the next."""
        for name in ("catalog", "shard1", "shard2"):
            async with administer(await self.dsn(name)) as connection:
                await connection.execute("create table if not exists public.notes (text text)")
                await connection.execute("insert into public.notes values ($1)", text)
        moment = await self.now()
        await asyncio.sleep(0.01)  # the clock of commits ticks on
        return moment

    async def place(self, shard: str, epoch: int = 1, state: str = "active") -> OrgId:
        """A new organization with its place."""
        org_id = OrgId(new_id())
        async with administer(await self.dsn("catalog")) as connection:
            await connection.execute(
                "insert into platform.organizations (id, shard, epoch) values ($1, $2, $3)",
                org_id,
                shard,
                epoch,
            )
        await self.set_placement(org_id, shard, epoch, state)
        return org_id

    async def set_placement(self, org_id: OrgId, shard: str, epoch: int, state: str) -> None:
        async with administer(await self.dsn(shard)) as connection:
            await connection.execute(
                "insert into platform.org_placement values ($1, $2, $3) on conflict (org_id)"
                " do update set epoch = excluded.epoch, state = excluded.state",
                org_id,
                epoch,
                state,
            )
            await connection.execute(
                "insert into platform.org_cursor (org_id) values ($1) on conflict do nothing", org_id
            )

    async def move(self, org_id: OrgId, source: str, target: str, epoch: int) -> None:
        """Leave the trace of a whole move, without its rows."""
        await self.set_placement(org_id, target, epoch + 1, "active")
        async with administer(await self.dsn("catalog")) as connection:
            await connection.execute(
                "update platform.organizations set shard = $2, epoch = $3 where id = $1",
                org_id,
                target,
                epoch + 1,
            )
        await self.set_placement(org_id, source, epoch, "moved")


async def add_shard(settings: Settings, name: str, server: str) -> None:
    """Register a shard on another server, and migrate it."""
    await migrate_shard(settings, name, address(server, database=f"dana_{name}"))
    async with administer(address(settings.database_url, database=CATALOG)) as connection:
        await connection.execute(
            "insert into platform.shards (name, database, address) values ($1, $2, 'postgresql://new')",
            name,
            f"dana_{name}",
        )
        await connection.execute(
            "insert into platform.shard_logins values ($1, $2)", name, seal_login(settings, server)
        )
    await point(settings, name, server)


async def notes(dsn: str) -> list[str]:
    """Read the notes of a database; the table may not be there."""
    async with administer(dsn) as connection:
        if await connection.fetchval("select to_regclass('public.notes')") is None:
            return []
        return [row["text"] for row in await connection.fetch("select text from public.notes order by 1")]


def reached_as(original: str, restored: str, database: str) -> str:
    """Return the address of a restored server's database, with the login that the original had."""
    user, password = login_of(original)
    return address(restored, database=database, user=user, password=password)


def settings_of(installation: Installation, database_url: str, data_dir: Path) -> Settings:
    """Return the settings of a restored installation."""
    secrets = Secrets.load(data_dir / "secrets")
    return replace(installation.settings, database_url=database_url, data_dir=data_dir, secrets=secrets)
