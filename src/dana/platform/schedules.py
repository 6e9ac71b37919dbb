"""When recurring jobs run next, for the operator."""

from dataclasses import dataclass
from datetime import datetime

from dana.platform.database import address
from dana.platform.servers import CATALOG, administer
from dana.platform.settings import Settings

MOST = 500

_SCHEDULES = """
select name, rhythm, due_at, ran_at, coalesce(running_until > clock_timestamp(), false) as is_running
  from platform.schedules order by name limit $1"""


@dataclass(frozen=True, slots=True)
class Schedule:
    """One recurring job of all processes together."""

    name: str
    rhythm: str
    due_at: datetime
    ran_at: datetime | None
    """When it last ended well."""
    is_running: bool


async def list_schedules(settings: Settings) -> list[Schedule]:
    """List all recurring jobs by name."""
    async with administer(address(settings.database_url, database=CATALOG)) as catalog:
        rows = await catalog.fetch(_SCHEDULES, MOST)
    return [Schedule(**dict(row)) for row in rows]
