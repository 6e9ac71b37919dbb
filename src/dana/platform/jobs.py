"""Periodic work: each job runs in one process of the cluster at a time."""

import asyncio
import random
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass

import asyncpg
import structlog

from dana.platform.shards import Shards

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Periodic:
    """A job and how often it runs."""

    name: str
    every_seconds: float
    run: Callable[[], Awaitable[None]]


class Scheduler:
    """Runs a service's periodic jobs. An advisory lock in the catalog keeps a second runner out."""

    def __init__(self, service: str, shards: Shards, jobs: list[Periodic]) -> None:
        self._service = service
        self._shards = shards
        self._jobs = jobs
        self._tasks: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        """Begin; the first run of each job comes after a random part of its period."""
        self._tasks = [asyncio.create_task(self._repeat(job)) for job in self._jobs]

    async def stop(self) -> None:
        """End at once; a job must bear being cut."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _repeat(self, job: Periodic) -> None:
        while True:
            await asyncio.sleep(job.every_seconds * random.uniform(0.7, 1.0))  # noqa: S311 - jitter
            try:
                await self._run_alone(job)
            except Exception as error:
                log.warning("job_failed", job=f"{self._service}.{job.name}", exc_info=error)

    async def _run_alone(self, job: Periodic) -> None:
        pool = await self._shards.catalog.pool()
        name = f"{self._service}.{job.name}"
        async with pool.acquire() as connection:
            if not await connection.fetchval("select pg_try_advisory_lock(hashtextextended($1, 0))", name):
                return
            try:
                await job.run()
            finally:
                with suppress(asyncpg.PostgresError, asyncpg.InterfaceError, OSError):
                    await connection.execute("select pg_advisory_unlock(hashtextextended($1, 0))", name)
