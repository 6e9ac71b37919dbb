"""The installation a command works on: what runs on the data folder, or what the DANA_… variables name."""

import contextlib
import json
import os
from collections.abc import Iterator
from pathlib import Path

from dana.cli.terminal import fail
from dana.platform.local.checks import usable_folder
from dana.platform.local.postgres import Postgres, postgres_program
from dana.platform.local.programs import CannotStartError, free_port, spawn, wait_until_ready
from dana.platform.settings import Settings

NO_VALKEY = "redis://127.0.0.1:1/0"  # commands that only look into the database don't need it


@contextlib.contextmanager
def installation(data_dir: Path) -> Iterator[Settings]:
    """Give the settings; starts the embedded PostgreSQL for the length of the block when nothing runs."""
    folder = data_dir.absolute()
    os.environ["DANA_DATA"] = str(folder)
    os.environ.setdefault("DANA_REDIS_URL", NO_VALKEY)
    server = None
    try:
        if "DANA_DATABASE_URL" not in os.environ:
            os.environ["DANA_DATABASE_URL"], server = _running_or_started(folder)
        yield Settings.from_environment()
    except CannotStartError as problem:
        fail(str(problem))
    finally:
        if server:
            server.stop()
            del os.environ["DANA_DATABASE_URL"]


def _running_or_started(folder: Path) -> tuple[str, Postgres | None]:
    state = folder / "instance.json"
    with contextlib.suppress(OSError, ValueError):
        dsn = json.loads(state.read_text()).get("database_url")
        if dsn:
            return str(dsn), None
    usable_folder(folder)
    program, dsn = postgres_program(folder, free_port())
    process = spawn(program)
    wait_until_ready(program, process)
    return dsn, Postgres(dsn, program, process)
