"""`dana events …`: what the consumers have yet to do."""

import asyncio
from pathlib import Path
from uuid import UUID

import msgspec

from dana.cli.installation import installation
from dana.cli.terminal import console, is_terminal, print_json, print_rows
from dana.platform import deadletters

COLUMNS = ("created_at", "shard", "org_id", "cursor", "type", "group", "state", "attempts", "error")


def list_due(data_dir: Path) -> None:
    """List what is due."""
    with installation(data_dir) as settings:
        letters = asyncio.run(deadletters.due(settings))
    print_rows(letters, COLUMNS, nothing="Nothing is due: every event has been consumed.")


def list_dead(data_dir: Path) -> None:
    """List what failed for good."""
    with installation(data_dir) as settings:
        letters = asyncio.run(deadletters.dead(settings))
    print_rows(letters, COLUMNS, nothing="Nothing is dead.")


def show(data_dir: Path, org_id: UUID, cursor: int) -> None:
    """Show one event."""
    with installation(data_dir) as settings:
        letters = asyncio.run(deadletters.show(settings, org_id, cursor))
    print_rows(letters, COLUMNS, nothing="Every consumer is done with this event, or it is not there.")
    if letters and is_terminal():
        console.print_json(msgspec.json.format(letters[0].payload.encode()).decode())


def redrive(data_dir: Path, org_id: UUID | None, cursor: int | None) -> None:
    """Send dead deliveries again."""
    with installation(data_dir) as settings:
        count = asyncio.run(deadletters.redrive(settings, org_id, cursor))
    if is_terminal():
        console.print(f"{count} will be tried again.")
    else:
        print_json({"redriven": count})
