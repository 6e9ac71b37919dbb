"""An installation whose server has a hot standby."""

from dataclasses import dataclass

import asyncpg

from dana.platform.settings import Settings


@dataclass(frozen=True, slots=True)
class Pair:
    """An installation whose server has a replica, and that replica's own address."""

    settings: Settings
    replica: str

    async def on_replica(self, sql: str) -> object:
        connection = await asyncpg.connect(self.replica)
        try:
            return await connection.fetchval(sql)
        finally:
            await connection.close()
