"""The desk of a command: an installation, running or not, and every failure as one sentence."""

import asyncio
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TypeVar

import structlog

from dana.cli.installation import installation
from dana.cli.terminal import errors, fail
from dana.platform.errors import Problem
from dana.platform.shards import Shards
from dana.platform.telemetry import configure_logging
from dana.services.placement.actions.desk import Desk

T = TypeVar("T")

# No such role, database, schema, table, column or function: migrations make all of them.
OUTDATED = frozenset({"28000", "28P01", "3D000", "3F000", "42P01", "42703", "42883"})
INTERRUPTED = 130  # what a shell says of Ctrl-C


def at_desk(data_dir: Path, run: Callable[[Desk], Awaitable[T]], *, interrupted: str = "Stopped.") -> T:
    """Run a command; ends the process with one sentence when it fails, or is interrupted."""
    configure_logging("ERROR")
    structlog.contextvars.clear_contextvars()
    with installation(data_dir) as settings:

        async def with_connections() -> T:
            shards = Shards(settings, "placement")
            try:
                return await run(Desk(settings, shards))
            finally:
                await shards.close()

        try:
            return asyncio.run(with_connections())
        except Problem as problem:
            fail(problem.detail)
        except OSError as error:
            fail(f"A database can't be reached: {error}.")
        except KeyboardInterrupt:
            errors.print(interrupted, soft_wrap=True, markup=False)
            sys.exit(INTERRUPTED)
        except Exception as error:
            if getattr(error, "sqlstate", None) in OUTDATED:
                fail(f"The databases aren't up to date, run `dana migrate` first: {error}.")
            raise
