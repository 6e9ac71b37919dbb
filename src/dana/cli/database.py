"""`dana migrate`."""

import asyncio
from pathlib import Path

from dana.cli.installation import installation
from dana.cli.terminal import console, fail, is_terminal, print_json
from dana.platform import migrations
from dana.platform.migrations import ChangedMigrationError, Step


def migrate(data_dir: Path, *, only_plan: bool) -> None:
    """Run what is pending, or list it."""
    with installation(data_dir) as settings:
        try:
            if only_plan:
                steps = asyncio.run(migrations.plan(settings))
                for step in steps:
                    _show(step)
                count = len(steps)
            else:
                count = asyncio.run(migrations.migrate(settings, _show))
        except ChangedMigrationError as problem:
            fail(str(problem))
    if is_terminal():
        console.print(f"{count} to run." if only_plan else f"{count} run; everything is up to date.")


def _show(step: Step) -> None:
    migration = step.migration
    if is_terminal():
        console.print(f"  {step.database:<14} {migration.owner:<14} {migration.number:04} {migration.name}")
    else:
        print_json(
            {
                "database": step.database,
                "owner": migration.owner,
                "number": migration.number,
                "name": migration.name,
            }
        )
