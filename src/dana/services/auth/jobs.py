"""Time in: finish announcements that were cut, and delete what ended long ago."""

from dana.platform.jobs import Cron, Periodic, Recurring
from dana.platform.shards import Shards
from dana.services.auth.actions.announcements import announce_all
from dana.services.auth.actions.retention import delete_ended

ANNOUNCE_SECONDS = 5.0
DELETE_AT = "7 * * * *"  # what has ended takes little room for an hour


def jobs(shards: Shards) -> list[Recurring]:
    """Make the recurring jobs of auth."""

    async def announce() -> None:
        await announce_all(shards)

    async def delete() -> None:
        async with shards.catalog.tx() as tx:
            await delete_ended(tx)

    return [
        Periodic("announce", every_seconds=ANNOUNCE_SECONDS, run=announce),
        Cron("delete_ended", DELETE_AT, delete),
    ]
