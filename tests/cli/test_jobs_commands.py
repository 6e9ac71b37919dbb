"""`dana jobs`, as a script uses it."""

import asyncio
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from dana.contracts.events import OrganizationCreated
from dana.contracts.ids import OrgId, new_id
from dana.platform.identity import SYSTEM
from dana.platform.jobs import Cron, Scheduler
from dana.platform.local.postgres import start_postgres
from dana.platform.settings import Settings
from dana.platform.shards import Shards
from tests.cli.test_commands import dana, lines


@pytest.fixture
def empty() -> Iterator[Path]:
    """A folder that PostgreSQL's account may enter."""
    with tempfile.TemporaryDirectory(prefix="dana-empty-") as folder:
        Path(folder).chmod(0o755)
        yield Path(folder) / "postgres"


async def test_jobs_are_listed_shown_redriven_and_replayed(
    settings: Settings, shards_of: Callable[[str], Shards], org: OrgId
) -> None:
    group, shards = f"slow-{new_id()}", shards_of("conversations")
    pool = await shards.pool((await shards.route(org)).shard)
    await pool.execute("select platform.subscribe($1, '{organization_created}', '{live}')", group)
    async with shards.tx(org, SYSTEM) as tx:
        tx.emit(OrganizationCreated(name="Acme"))
    [due] = lines(dana(settings, "jobs", "list", "--group", group))
    assert (due["org_id"], due["type"], due["attempts"]) == (str(org), "organization_created", 0)
    assert lines(dana(settings, "jobs", "dead", "--organization", str(org))) == []
    shown = lines(dana(settings, "jobs", "show", str(org), str(due["cursor"])))
    assert [letter["payload"] for letter in shown if letter["group"] == group] == ['{"name":"Acme"}']
    assert lines(dana(settings, "jobs", "redrive", str(org))) == [{"redriven": 0}]
    async with shards.tx(org, SYSTEM) as tx:
        await tx.fetch(
            "select platform.finish(org_id, cursor, $1, 'live', $2)"
            " from platform.claim($1, 'live', 9, interval '1 minute', $2)",
            group,
            new_id(),
        )
    assert lines(dana(settings, "jobs", "list", "--group", group)) == []
    assert lines(dana(settings, "jobs", "replay", group, str(org))) == [{"replayed": 1}]
    assert len(lines(dana(settings, "jobs", "list", "--group", group))) == 1
    await pool.execute("select platform.subscribe($1, '{}', '{}')", group)


async def test_recurring_jobs_are_listed(settings: Settings, shards_of: Callable[[str], Shards]) -> None:
    name = f"nightly-{new_id()}"
    scheduler = Scheduler("conversations", shards_of("conversations"), [Cron(name, "17 3 * * *", _nothing)])
    await scheduler.start()
    async with asyncio.timeout(20):
        while not (found := [job for job in _recurring(settings) if job["name"].endswith(name)]):
            await asyncio.sleep(0.1)
    await scheduler.stop()
    assert (found[0]["rhythm"], found[0]["is_running"], found[0]["ran_at"]) == ("17 3 * * *", False, None)
    assert found[0]["due_at"].endswith("T03:17:00Z")


def _recurring(settings: Settings) -> list[Any]:
    return lines(dana(settings, "jobs", "recurring"))


async def _nothing() -> None:
    pass


def test_a_replay_that_makes_no_sense_is_refused_with_one_sentence(settings: Settings, org: OrgId) -> None:
    backwards = ("--from", "2026-03-02", "--until", "2026-03-01")
    run = dana(settings, "jobs", "replay", "ai", str(org), *backwards)
    assert run.returncode == 1
    assert run.stdout == ""
    assert run.stderr.strip() == "The time ends before it begins; exchange the two."


def test_an_installation_that_is_not_there_yet_says_what_to_do(settings: Settings, empty: Path) -> None:
    server = start_postgres(empty)
    try:
        run = dana(replace(settings, database_url=server.dsn), "jobs", "list")
    finally:
        server.stop()
    assert run.returncode == 1
    assert run.stderr.strip() == "The databases here are not up to date; run `dana migrate`, and ask again."
