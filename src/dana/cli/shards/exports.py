"""`dana shards export` and `import`: one organization as files."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn
from rich.progress import Progress as Bars

from dana.cli.shards.desk import at_desk
from dana.cli.terminal import console, is_terminal, print_json
from dana.services.placement.actions import registry
from dana.services.placement.actions.desk import Desk
from dana.services.placement.actions.exporting import export_organization
from dana.services.placement.actions.importing import import_organization
from dana.services.placement.models.exports import Exported, Manifest


def export(data_dir: Path, org: str, folder: Path) -> None:
    """Export an organization."""

    async def run(desk: Desk) -> Manifest:
        organization = await registry.find_organization(desk, org)
        with _bar() as on_progress:
            return await export_organization(desk, organization.id, folder, on_progress)

    manifest = at_desk(data_dir, run, interrupted="Stopped; nothing was left behind.")
    _say(manifest, f"is in {folder}. It holds password hashes and everything customers wrote: keep it safe.")


def import_folder(data_dir: Path, folder: Path, shard: str | None) -> None:
    """Import an organization."""

    async def run(desk: Desk) -> Manifest:
        with _bar() as on_progress:
            return await import_organization(desk, folder, shard, on_progress)

    manifest = at_desk(
        data_dir, run, interrupted="Stopped; nobody can reach it yet. Repeat the command to begin anew."
    )
    _say(manifest, "is here, and open.")


@contextmanager
def _bar() -> Iterator[Callable[[Exported], None]]:
    if not is_terminal():
        yield lambda _: None
        return
    columns = (
        TextColumn("{task.description}"),
        BarColumn(bar_width=24),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    with Bars(*columns, console=console) as bars:
        task = bars.add_task("", total=None)
        yield lambda news: bars.update(
            task, description=news.table, completed=news.rows, total=news.expected or None
        )


def _say(manifest: Manifest, what: str) -> None:
    rows = sum(table.rows for table in manifest.tables)
    if is_terminal():
        console.print(f"{manifest.organization} ({rows:,} rows) {what}", markup=False, soft_wrap=True)
    else:
        print_json({"organization": manifest.org_id, "name": manifest.organization, "rows": rows})
