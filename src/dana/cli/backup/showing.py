"""How `dana backup` speaks: tables, bars and advice for people, JSON for pipes."""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from rich.progress import BarColumn, DownloadColumn, TaskID, TextColumn, TimeElapsedColumn
from rich.progress import Progress as Bars

from dana.cli.terminal import console, is_terminal, print_json
from dana.platform.backup import choosing, restoring
from dana.platform.backup.folder import Backups, Manifest
from dana.platform.backup.placement import Verdict
from dana.platform.backup.reconciling import Reconciled
from dana.platform.backup.restoring import Restored
from dana.platform.backup.taking import Taken
from dana.platform.backup.tools import Progress, Tell
from dana.platform.backup.verifying import Verified

COLUMNS = ("id", "kind", "size", "servers", "restorable_from", "restorable_to", "health")
UNIT = 1024


@dataclass(frozen=True, slots=True)
class Row:
    """One backup, for people and scripts."""

    id: str
    kind: str
    size_bytes: int
    size: str
    servers: str
    restorable_from: datetime
    restorable_to: datetime
    health: str


def show_taken(taken: Taken) -> None:
    """Say what was backed up."""
    manifest = taken.manifest
    if not is_terminal():
        said = {"because": taken.because, "removed": taken.removed.backups, "problems": taken.problems}
        print_json(summary(manifest) | said)
        return
    size = size_of(manifest.size_bytes)
    console.print(f"[green]✓[/green] {manifest.id}: {manifest.kind}, {size}, because {taken.because}.")
    if taken.removed.backups:
        console.print(f"Removed, not needed any more: {', '.join(taken.removed.backups)}.")
    for problem in taken.problems:
        console.print(f"  [yellow]![/yellow] {problem}", soft_wrap=True)
    if manifest.has_secrets:
        console.print("It holds this installation's keys and passwords: keep it where nobody else can read.")
    else:
        console.print(
            "[yellow]It holds no keys: keep the secrets folder yourself, or it is worthless.[/yellow]"
        )


def show_verified(result: Verified) -> None:
    """Say what was checked, and what is wrong."""
    if not is_terminal():
        print_json(
            {
                "id": result.backup_id,
                "is_sound": not result.problems,
                "problems": result.problems,
                "files": result.files,
                "segments": result.segments,
                "rows": result.rows,
            }
        )
        return
    mark = "[red]✗[/red]" if result.problems else "[green]✓[/green]"
    read = ", ".join(f"{name} {count:,}" for name, count in result.rows.items())
    what = f"restored; rows read: {read}" if read else f"{result.files} files, {result.segments} segments"
    console.print(f"{mark} {result.backup_id}: {what}", soft_wrap=True)
    for problem in result.problems:
        console.print(f"    {problem}", style="red", soft_wrap=True, markup=False)


def row_of(backups: Backups, manifest: Manifest) -> Row:
    """Describe a backup."""
    window = choosing.window(backups, manifest)
    fault = backups.fault(manifest)
    sound = {one.id for one in backups.sound()}
    gaps = "; ".join(window.problems)
    health = fault or (gaps if manifest.id in sound else "what it continues is gone")
    return Row(
        id=manifest.id,
        kind=manifest.kind,
        size_bytes=manifest.size_bytes,
        size=size_of(manifest.size_bytes),
        servers=", ".join(manifest.servers),
        restorable_from=window.begins_at,
        restorable_to=window.ends_at,
        health=health or "good",
    )


def summary(manifest: Manifest) -> dict[str, Any]:
    """Describe a backup for scripts."""
    return {
        "id": manifest.id,
        "kind": manifest.kind,
        "needs": manifest.needs,
        "size_bytes": manifest.size_bytes,
        "began_at": manifest.began_at,
        "ended_at": manifest.ended_at,
        "servers": {name: part.kind for name, part in manifest.servers.items()},
        "has_secrets": manifest.has_secrets,
    }


def explain(restored: Restored) -> None:
    """Say what was restored, and what to do next."""
    where = f"from {restored.backup_id} into {restored.data_dir}"
    console.print(f"[green]✓[/green] Restored {where}.", soft_wrap=True)
    for server in restored.servers:
        when = (
            f"{server.last_commit_at:%Y-%m-%d %H:%M:%S} UTC"
            if server.last_commit_at
            else "of the backup itself"
        )
        console.print(f"  {server.name}: {', '.join(server.databases)}; last commit {when}", soft_wrap=True)
        if server.problem:
            console.print(f"    [yellow]It ends there because {server.problem}[/yellow]", soft_wrap=True)
    if restored.reconciled:
        show_reconciled(restored.reconciled, only_plan=False)
    else:
        console.print("Not everything was restored: run `dana backup reconcile` once it is in its place.")
    if not restored.has_secrets:
        console.print(
            "[yellow]The backup has no keys: copy the secrets folder into it before you start.[/yellow]"
        )
    for server in restored.servers:
        if server.name == restoring.CATALOG_SERVER:
            console.print(f"Start it: dana up --data {restored.data_dir}", soft_wrap=True)
        else:
            shard = next(iter(server.databases))
            console.print(f"Start {server.name}: postgres -D {server.cluster} -p PORT", soft_wrap=True)
            console.print(f"  and say where it is: dana backup point {shard}", soft_wrap=True)


def restored_as_json(restored: Restored) -> dict[str, Any]:
    """Say what was restored, for scripts."""
    return {
        "backup": restored.backup_id,
        "data": str(restored.data_dir),
        "servers": [
            {
                "name": server.name,
                "cluster": str(server.cluster),
                "databases": server.databases,
                "last_commit_at": server.last_commit_at,
                "problem": server.problem,
            }
            for server in restored.servers
        ],
        "reconciled": reconciled_as_json(restored.reconciled) if restored.reconciled else None,
        "has_secrets": restored.has_secrets,
    }


def show_reconciled(done: Reconciled, *, only_plan: bool) -> None:
    """Say who lives where from now on, or would."""
    plan = done.plan
    if plan.is_clean:
        console.print("Catalog and shards agree on who lives where.")
    verb = "would live" if only_plan else "lives"
    for verdict in plan.corrected:
        if verdict.owner:
            place = f"{verdict.owner.shard}, epoch {verdict.owner.epoch}"
            console.print(f"  {verdict.org_id} {verb} on {place}: {verdict.because}", soft_wrap=True)
    for verdict in plan.undecided:
        console.print(f"  [red]{verdict.org_id} stays closed[/red]: {verdict.because}", soft_wrap=True)
    for copy in plan.leftovers:
        rows = f"rows of {copy.org_id}, which lives elsewhere"
        console.print(f"  left over on {copy.shard}: {rows}", soft_wrap=True)
    if done.subscriptions or done.moves:
        ends = "would end" if only_plan else "ended"
        names = ", ".join(done.subscriptions) or "none"
        console.print(f"  {ends}: {done.moves} moves, subscriptions {names}")
    if plan.undecided:
        console.print("To decide yourself: dana backup reconcile --choose ORGANIZATION=SHARD")


def reconciled_as_json(done: Reconciled) -> dict[str, Any]:
    """Say who lives where, for scripts."""

    def as_json(verdict: Verdict) -> dict[str, Any]:
        owner = verdict.owner
        return {
            "org_id": verdict.org_id,
            "shard": owner.shard if owner else None,
            "epoch": owner.epoch if owner else None,
            "because": verdict.because,
        }

    return {
        "is_clean": done.plan.is_clean,
        "corrected": [as_json(verdict) for verdict in done.plan.corrected],
        "undecided": [as_json(verdict) for verdict in done.plan.undecided],
        "leftovers": [{"org_id": copy.org_id, "shard": copy.shard} for copy in done.plan.leftovers],
        "subscriptions": done.subscriptions,
        "moves": done.moves,
    }


@contextlib.contextmanager
def progress_bars() -> Iterator[Tell]:
    """Show bars to a person; say nothing to a pipe, which gets the result."""
    if not is_terminal():
        yield lambda _: None
        return
    tasks: dict[str, TaskID] = {}
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TimeElapsedColumn())
    with Bars(*columns, console=console) as bars:

        def tell(progress: Progress) -> None:
            if progress.what not in tasks:
                tasks[progress.what] = bars.add_task(progress.what, total=progress.total_bytes)
            bars.update(tasks[progress.what], completed=progress.done_bytes, total=progress.total_bytes)

        yield tell


def size_of(count: float) -> str:
    """Write a size for people."""
    for unit in ("B", "KiB", "MiB", "GiB"):
        if count < UNIT:
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= UNIT
    return f"{count:.1f} TiB"
