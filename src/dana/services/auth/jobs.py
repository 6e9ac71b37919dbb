"""Time in: finish announcements that were cut, and delete what ended long ago."""

from dana.platform.jobs import Periodic
from dana.platform.shards import Shards
from dana.services.auth.actions.announcements import announce_all
from dana.services.auth.actions.retention import delete_ended

ANNOUNCE_SECONDS = 5.0
DELETE_SECONDS = 3600.0


def jobs(shards: Shards) -> list[Periodic]:
    """Make the periodic jobs of auth."""

    async def announce() -> None:
        await announce_all(shards)

    async def delete() -> None:
        async with shards.catalog.tx() as tx:
            await delete_ended(tx)

    return [
        Periodic("announce", every_seconds=ANNOUNCE_SECONDS, run=announce),
        Periodic("delete_ended", every_seconds=DELETE_SECONDS, run=delete),
    ]
