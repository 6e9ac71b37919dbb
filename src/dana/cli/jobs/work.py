"""What `dana jobs` does, and how it shows it."""

import asyncio
from collections.abc import Callable, Coroutine
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar
from uuid import UUID

import msgspec

from dana.cli.installation import installation
from dana.cli.terminal import console, errors, fail, is_terminal, print_json, print_rows
from dana.contracts.ids import OrgId
from dana.platform import deadletters, replaying, schedules
from dana.platform.errors import Problem
from dana.platform.migrations import plan
from dana.platform.settings import Settings

Answer = TypeVar("Answer")

COLUMNS = ("age", "shard", "org_id", "cursor", "type", "group", "lane", "state", "attempts", "reason")
SCHEDULE = ("name", "rhythm", "due_at", "ran_at", "is_running")


def list_due(data_dir: Path, org_id: UUID | None, group: str | None) -> None:
    """List what is due."""
    letters = _asked(data_dir, lambda settings: deadletters.due(settings, org_id, group))
    print_rows(letters, COLUMNS, nothing="Nothing is due: every event has been consumed.")


def list_dead(data_dir: Path, org_id: UUID | None, group: str | None) -> None:
    """List what failed for good."""
    letters = _asked(data_dir, lambda settings: deadletters.dead(settings, org_id, group))
    print_rows(letters, COLUMNS, nothing="Nothing is dead.")


def show(data_dir: Path, org_id: UUID, cursor: int) -> None:
    """Show one event."""
    letters = _asked(data_dir, lambda settings: deadletters.show(settings, org_id, cursor))
    print_rows(letters, COLUMNS, nothing="Every consumer is done with this event, or it is not there.")
    if letters and is_terminal():
        console.print_json(msgspec.json.format(letters[0].payload.encode()).decode())


def list_recurring(data_dir: Path) -> None:
    """List recurring jobs."""
    found = _asked(data_dir, schedules.list_schedules)
    print_rows(found, SCHEDULE, nothing="No process has run yet, so there are no recurring jobs.")


def redrive(data_dir: Path, org_id: UUID | None, cursor: int | None, group: str | None) -> None:
    """Send dead deliveries again."""
    count = _asked(data_dir, lambda settings: deadletters.redrive(settings, org_id, cursor, group))
    if is_terminal():
        console.print(f"{count} will be tried again.")
    else:
        print_json({"redriven": count})


def replay(
    data_dir: Path, group: str, org_id: UUID, key: UUID | None, times: tuple[datetime | None, datetime | None]
) -> None:
    """Bring events again."""
    since, until = map(_utc, times)
    asked = replaying.Replay(group, OrgId(org_id), key, since, until)

    async def run(settings: Settings) -> int:
        with errors.status("Looking …") as status:
            return await replaying.replay(settings, asked, lambda many: status.update(f"{many:,} so far …"))

    count = _asked(data_dir, run)
    if is_terminal():
        console.print(f"{count:,} will be delivered again.")
    else:
        print_json({"replayed": count})


def _asked(data_dir: Path, ask: Callable[[Settings], Coroutine[Any, Any, Answer]]) -> Answer:
    """Ask an installation that is up to date; a problem ends the command with its sentence."""
    with installation(data_dir) as settings:
        if asyncio.run(plan(settings)):
            fail("The databases here are not up to date; run `dana migrate`, and ask again.")
        try:
            return asyncio.run(ask(settings))
        except Problem as problem:
            fail(problem.detail)


def _utc(moment: datetime | None) -> datetime | None:
    return moment.replace(tzinfo=UTC) if moment else None
