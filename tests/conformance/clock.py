"""What the installation's schedule says of one job, and how often the job has run."""

import asyncio
from dataclasses import dataclass
from pathlib import Path

from dana.platform.database import address
from dana.platform.servers import CATALOG, administer
from dana.platform.settings import Settings
from tests.conformance.timekeeper import NAME

PATIENCE_SECONDS = 30
QUIET_SECONDS = 0.3  # without one more run


@dataclass(frozen=True, slots=True)
class Clock:
    """The job that timekeepers do; each run that ends is a line of the book."""

    settings: Settings
    book: Path

    async def strike(self, seconds_later: float = 0.0) -> None:
        """Let the next occurrence be now, or soon, as soon as no run is under way."""
        async with (
            administer(address(self.settings.database_url, database=CATALOG)) as catalog,
            asyncio.timeout(PATIENCE_SECONDS),
        ):
            while (
                await catalog.execute(
                    "update platform.schedules set due_at = clock_timestamp() + $2 * interval '1 second'"
                    " where name = $1 and running_until is null",
                    f"conformance.{NAME}",
                    seconds_later,
                )
                == "UPDATE 0"
            ):
                await asyncio.sleep(0.02)

    async def runs(self, count: int, quiet_seconds: float = QUIET_SECONDS) -> None:
        """Wait until the job has run so often; and see that it doesn't run once more."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            while self._count() < count:
                await asyncio.sleep(0.02)
        await asyncio.sleep(quiet_seconds)
        assert self._count() == count

    def _count(self) -> int:
        return len(self.book.read_text().splitlines()) if self.book.exists() else 0
