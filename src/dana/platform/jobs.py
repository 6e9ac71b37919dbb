"""Recurring jobs, by seconds or by a cron expression: each occurrence runs once, in one process of all.

    read due_at ──it is due──► move due_at on, if it still is what was read ──► run, lease renewed ──► ended
                                                                          └─ failed, or cut: once more

What was missed, because nobody was there, runs once, late. A run that failed, or whose process was killed, is
repeated; a job must bear that, as it must bear being cut. One that ended while the catalog was away is not,
unless the catalog is away for longer than the lease.
"""

import asyncio
import random
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import asyncpg
import structlog
from cronsim import CronSim

from dana.platform.pools import connection_of
from dana.platform.shards import Shards

LEASE_SECONDS = 45.0  # longer than a fail-over, so that nobody believes a runner dead who only can't say so
RETRY_SECONDS = 60.0  # a run that failed is repeated after this long, if it isn't due earlier anyway
LONGEST_LOOK_SECONDS = 30.0  # when what is due may have been changed by hand
BUSY_LOOK_SECONDS = 1.0  # while it runs elsewhere
AWAY_SECONDS = 2.0  # between tries while the catalog is away
FAREWELL_SECONDS = 1.0  # for saying that one stops; without it, the lease says so

_REGISTER = """
insert into platform.schedules as s (name, rhythm, due_at) values ($1, $2, $3)
on conflict (name) do update set rhythm = excluded.rhythm, due_at = excluded.due_at
 where s.rhythm <> excluded.rhythm"""
_LOOK = "select due_at, running_until, clock_timestamp() as now from platform.schedules where name = $1"
_TAKE = """
update platform.schedules set due_at = $2, running_until = clock_timestamp() + $3, token = $4
 where name = $1 and due_at = $5 and running_until is not distinct from $6 returning true"""
_RENEW = """
update platform.schedules set running_until = clock_timestamp() + $3
 where name = $1 and token = $2 returning true"""
_END = """
update platform.schedules set running_until = null, token = null, ran_at = clock_timestamp()
 where name = $1 and token = $2"""
_FAIL = """
update platform.schedules
   set running_until = null, token = null, due_at = least(due_at, clock_timestamp() + $3)
 where name = $1 and token = $2"""

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Periodic:
    """A job that runs every so many seconds."""

    name: str
    every_seconds: float
    run: Callable[[], Awaitable[None]]

    @property
    def rhythm(self) -> str:
        """Say how often."""
        return f"every {self.every_seconds:g} s"

    def first(self, now: datetime) -> datetime:
        """Return when it runs first: anywhere in its period, so that jobs don't all run at once."""
        return now + timedelta(seconds=self.every_seconds * random.random())  # noqa: S311 - jitter

    def after(self, moment: datetime) -> datetime:
        """Return when it runs next."""
        return moment + timedelta(seconds=self.every_seconds)


@dataclass(frozen=True, slots=True)
class Cron:
    """A job that runs when a cron expression says so, in UTC: minute, hour, day, month, weekday."""

    name: str
    expression: str
    run: Callable[[], Awaitable[None]]

    def __post_init__(self) -> None:
        """Refuse an expression that can't be understood; raises CronSimError."""
        CronSim(self.expression, datetime.now(UTC))

    @property
    def rhythm(self) -> str:
        """Say when."""
        return self.expression

    def first(self, now: datetime) -> datetime:
        """Return when it runs first."""
        return self.after(now)

    def after(self, moment: datetime) -> datetime:
        """Return when it runs next."""
        return next(CronSim(self.expression, moment.astimezone(UTC)))


Recurring = Periodic | Cron


class CutError(RuntimeError):
    """Nobody can be told any more that this process is at it, so it stops before another one begins."""


class Scheduler:
    """Runs a service's recurring jobs, together with its likes in other processes."""

    def __init__(self, service: str, shards: Shards, jobs: Sequence[Recurring]) -> None:
        self._service = service
        self._shards = shards
        self._jobs = jobs
        self._tasks: list[asyncio.Task[None]] = []
        self._away: set[str] = set()

    async def start(self) -> None:
        """Begin; each job runs when it is due."""
        self._tasks = [asyncio.create_task(self._follow(job)) for job in self._jobs]

    async def stop(self) -> None:
        """End at once; what is cut is repeated elsewhere."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _follow(self, job: Recurring) -> None:
        name = f"{self._service}.{job.name}"
        is_registered = False
        while True:
            try:
                if not is_registered:
                    await self._ask(_REGISTER, name, job.rhythm, job.first(datetime.now(UTC)))
                    is_registered = True
                pause_seconds = await self._look(name, job)
            except Exception as error:  # noqa: BLE001 - whatever is wrong with the catalog, it is tried again
                self._note_away(name, error)
                pause_seconds = AWAY_SECONDS
            else:
                self._away.discard(name)
            await asyncio.sleep(pause_seconds)

    async def _look(self, name: str, job: Recurring) -> float:
        """Run the job if it is due; returns the seconds until the next look."""
        row = await self._ask(_LOOK, name)
        if row is None:
            return LONGEST_LOOK_SECONDS
        now: datetime = row["now"]
        due_at: datetime = row["due_at"]
        running_until: datetime | None = row["running_until"]
        if running_until is not None and running_until > now:
            return min(BUSY_LOOK_SECONDS, (running_until - now).total_seconds())
        if running_until is None and due_at > now:
            return min(LONGEST_LOOK_SECONDS, (due_at - now).total_seconds())
        token = uuid4()
        is_repetition = due_at > now  # of a run that was cut
        next_due = due_at if is_repetition else job.after(now)
        lease = timedelta(seconds=LEASE_SECONDS)
        if await self._ask(_TAKE, name, next_due, lease, token, due_at, running_until) is not None:
            await self._run(name, job, token)
        return 0.0

    async def _run(self, name: str, job: Recurring, token: UUID) -> None:
        running = asyncio.ensure_future(job.run())
        try:
            await self._keep(name, running, token)
            await running
        except asyncio.CancelledError:
            with suppress(Exception):
                async with asyncio.timeout(FAREWELL_SECONDS):
                    await self._ask(_FAIL, name, token, timedelta(0))
            raise
        except Exception as error:
            log.warning("job_failed", job=name, exc_info=error)
            await self._ask(_FAIL, name, token, timedelta(seconds=RETRY_SECONDS))
        else:
            await self._end(name, token)
        finally:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)

    async def _end(self, name: str, token: UUID) -> None:
        """Say that a run has ended, as soon as the catalog hears it: what isn't said would be repeated."""
        while True:
            try:
                await self._ask(_END, name, token)
            except Exception as error:  # noqa: BLE001 - whatever is wrong with the catalog, it is tried again
                self._note_away(name, error)
                await asyncio.sleep(AWAY_SECONDS)
            else:
                return

    async def _keep(self, name: str, running: asyncio.Future[None], token: UUID) -> None:
        """Renew the lease until the run ends; raises CutError when that fails for so long that it ends."""
        loop, step = asyncio.get_running_loop(), LEASE_SECONDS / 8
        kept_until = loop.time() + LEASE_SECONDS
        while not (await asyncio.wait([running], timeout=step))[0]:
            asked_at = loop.time()
            try:
                async with asyncio.timeout(step):
                    renewed = await self._ask(_RENEW, name, token, timedelta(seconds=LEASE_SECONDS))
            except Exception as error:
                if loop.time() > kept_until - 3 * step:
                    raise CutError("The catalog is away for too long.") from error
                continue
            if renewed is None:
                raise CutError("Somebody else has taken it.")
            kept_until = asked_at + LEASE_SECONDS

    async def _ask(self, question: str, *args: object) -> asyncpg.Record | None:
        async with connection_of(await self._shards.catalog.pool()) as connection:
            return await connection.fetchrow(question, *args)

    def _note_away(self, name: str, error: Exception) -> None:
        """Say it once an outage."""
        if name not in self._away:
            log.warning("schedule_unreadable", job=name, error=repr(error))
        self._away.add(name)
