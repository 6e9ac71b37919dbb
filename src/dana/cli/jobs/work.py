"""What `dana jobs` does, and how it shows it."""

import asyncio
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID

import msgspec

from dana.cli.installation import installation
from dana.cli.terminal import console, errors, fail, is_terminal, print_json, print_rows
from dana.contracts.ids import OrgId
from dana.platform import deadletters, replaying, schedules
from dana.platform.errors import Problem

COLUMNS = ("age", "shard", "org_id", "cursor", "type", "group", "lane", "state", "attempts", "reason")
SCHEDULE = ("name", "rhythm", "due_at", "ran_at", "is_running")


def list_due(data_dir: Path, org_id: UUID | None, group: str | None) -> None:
    """List what is due."""
    with installation(data_dir) as settings:
        letters = asyncio.run(deadletters.due(settings, org_id, group))
    print_rows(letters, COLUMNS, nothing="Nothing is due: every event has been consumed.")


def list_dead(data_dir: Path, org_id: UUID | None, group: str | None) -> None:
    """List what failed for good."""
    with installation(data_dir) as settings:
        letters = asyncio.run(deadletters.dead(settings, org_id, group))
    print_rows(letters, COLUMNS, nothing="Nothing is dead.")


def show(data_dir: Path, org_id: UUID, cursor: int) -> None:
    """Show one event."""
    with installation(data_dir) as settings:
        letters = asyncio.run(deadletters.show(settings, org_id, cursor))
    print_rows(letters, COLUMNS, nothing="Every consumer is done with this event, or it is not there.")
    if letters and is_terminal():
        console.print_json(msgspec.json.format(letters[0].payload.encode()).decode())


def list_recurring(data_dir: Path) -> None:
    """List recurring jobs."""
    with installation(data_dir) as settings:
        found = asyncio.run(schedules.list_schedules(settings))
    print_rows(found, SCHEDULE, nothing="No process has run yet, so there are no recurring jobs.")


def redrive(data_dir: Path, org_id: UUID | None, cursor: int | None, group: str | None) -> None:
    """Send dead deliveries again."""
    with installation(data_dir) as settings:
        count = asyncio.run(deadletters.redrive(settings, org_id, cursor, group))
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
    with installation(data_dir) as settings, errors.status("Looking …") as status:
        try:
            count = asyncio.run(
                replaying.replay(settings, asked, lambda so_far: status.update(f"{so_far:,} so far …"))
            )
        except Problem as problem:
            fail(problem.detail)
    if is_terminal():
        console.print(f"{count:,} will be delivered again.")
    else:
        print_json({"replayed": count})


def _utc(moment: datetime | None) -> datetime | None:
    return moment.replace(tzinfo=UTC) if moment else None
