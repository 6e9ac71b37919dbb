"""Two processes change the same rows 10,000 times at random, and read them through their caches meanwhile."""

import asyncio
import json
import os
import sys
from pathlib import Path
from typing import Any

import asyncpg

from dana.contracts.ids import new_id
from dana.platform.database import address
from dana.platform.local.valkey import Valkey as Server
from dana.platform.settings import Settings
from tests.platform.cache.rival import KEYS

ROOT = Path(__file__).parents[3]
WRITES = 10_000
PROCESSES = 2


async def test_nobody_reads_what_another_process_has_changed(servers: Settings, server: Server) -> None:
    dsn = address(servers.database_url, database=f"rivals_{os.getpid()}")
    admin = await asyncpg.connect(address(servers.database_url, database="postgres"))
    await admin.execute(f"create database rivals_{os.getpid()}")
    try:
        rows = await asyncpg.connect(dsn)
        await rows.execute(
            "create table rivals"
            " (id int primary key, version bigint not null default 0, begun_at float8 not null default 0)"
        )
        await rows.execute("insert into rivals (id) select generate_series(0, $1)", KEYS - 1)
        org = str(new_id())
        tallies = await asyncio.gather(*(_rival(dsn, server.url, org) for _ in range(PROCESSES)))
        versions = await rows.fetchval("select sum(version) from rivals")
        await rows.close()
    finally:
        await admin.execute(f"drop database rivals_{os.getpid()}")
        await admin.close()
    print(json.dumps(tallies))  # noqa: T201 - how long it took is to be read, not judged
    assert versions == sum(tally["writes"] for tally in tallies) >= WRITES
    assert sum(tally["stale"] for tally in tallies) == 0
    for tally in tallies:
        assert tally["reads"] >= WRITES / PROCESSES
        assert all(tally["levels"].values()), f"a level was never used: {tally['levels']}"


async def _rival(dsn: str, url: str, org: str) -> dict[str, Any]:
    arguments = ["-m", "tests.platform.cache.rival", dsn, url, org, str(WRITES // PROCESSES)]
    process = await asyncio.create_subprocess_exec(
        sys.executable, *arguments, cwd=ROOT, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    output, errors = await process.communicate()
    assert process.returncode == 0, errors.decode()
    found: dict[str, Any] = json.loads(output.decode().splitlines()[-1])
    return found
