"""`dana backup`: the commands, thin; each imports its work when it runs."""

import os
from pathlib import Path
from typing import Annotated

import typer

group = typer.Typer(
    help="Back up the catalog, all shards and Valkey; restore them to a moment.", no_args_is_help=True
)

Data = Annotated[Path, typer.Option("--data", envvar="DANA_DATA", help="The folder of all data and secrets.")]
Folder = Annotated[
    Path | None,
    typer.Option("--folder", envvar="DANA_BACKUPS", help="The folder of backups; by default DATA/backups."),
]
Servers = Annotated[list[str] | None, typer.Option("--server", help="Only this server; may be repeated.")]
HERE = Path(".dana")


@group.command()
def run(
    full: Annotated[bool, typer.Option("--full", help="Everything, not only what has changed.")] = False,
    keep: Annotated[int, typer.Option(min=1, help="How many full backups to keep, with all after them.")] = 2,
    without_secrets: Annotated[
        bool, typer.Option("--without-secrets", help="Leave keys and passwords out; keep them elsewhere.")
    ] = False,
    data: Data = HERE,
    folder: Folder = None,
) -> None:
    """Take a backup: full when it is due, else what has changed since the last one."""
    from dana.cli.backup import work  # noqa: PLC0415

    work.run(data, folder, full=full, keep=keep, with_secrets=not without_secrets)


@group.command("list")
def show(data: Data = HERE, folder: Folder = None) -> None:
    """List backups, and to which moments each can be restored."""
    from dana.cli.backup import work  # noqa: PLC0415

    work.show(data, folder)


@group.command()
def verify(
    backup_id: Annotated[str | None, typer.Argument(metavar="[ID]", help="Only this one.")] = None,
    full: Annotated[
        bool, typer.Option("--full", help="Restore into a temporary folder, start it, and read every row.")
    ] = False,
    temporary: Annotated[
        Path | None, typer.Option("--in", exists=True, file_okay=False, help="Where to restore for --full.")
    ] = None,
    data: Data = HERE,
    folder: Folder = None,
) -> None:
    """Check that backups can be restored; ends with code 1 when not."""
    from dana.cli.backup import work  # noqa: PLC0415

    work.verify(data, folder, backup_id, full=full, temporary=temporary)


@group.command()
def restore(
    to: Annotated[str, typer.Option("--to", help="`latest`, a time (UTC unless it says), or a backup's id.")],
    data: Annotated[Path, typer.Option("--data", help="A new folder, for `dana up --data` afterwards.")],
    servers: Servers = None,
    folder: Folder = None,
) -> None:
    """Restore everything to one moment, into a new folder."""
    from dana.cli.backup import work  # noqa: PLC0415

    source = folder or Path(os.environ.get("DANA_DATA", str(HERE))) / "backups"
    work.restore(source, data, to, servers or [])


@group.command()
def reconcile(
    plan: Annotated[bool, typer.Option("--plan", help="Only say what would be changed.")] = False,
    choose: Annotated[
        list[str] | None,
        typer.Option("--choose", metavar="ORG=SHARD", help="Decide yourself who lives where."),
    ] = None,
    data: Data = HERE,
) -> None:
    """After servers were restored by other means: make catalog and shards agree on who lives where."""
    from dana.cli.backup import work  # noqa: PLC0415

    work.reconcile(data, choose or [], only_plan=plan)


@group.command()
def wal(
    servers: Servers = None,
    limit: Annotated[
        float,
        typer.Option(min=0.1, envvar="DANA_BACKUP_LIMIT", help="The most room for the log, in GiB."),
    ] = 10.0,
    off: Annotated[bool, typer.Option("--off", help="Stop it: servers keep nothing for backups.")] = False,
    data: Data = HERE,
    folder: Folder = None,
) -> None:
    """Receive the write-ahead log of all servers until stopped; `dana up` does that by itself."""
    from dana.cli.backup import work  # noqa: PLC0415

    if off:
        work.wal_off(data, folder)
    else:
        work.wal(data, folder, servers or [], limit)


@group.command(epilog="Example: dana backup point eu1 < address.txt")
def point(
    shard: str,
    url: Annotated[
        str,
        typer.Option(
            envvar="DANA_SHARD_URL",
            show_envvar=True,
            help="The server as its superuser reaches it, postgresql://USER:PASSWORD@HOST:PORT. `-` reads it "
            "from the standard input, so that no list of processes shows it.",
        ),
    ] = "-",
    data: Data = HERE,
) -> None:
    """Tell the catalog where the server of a restored shard is now."""
    from dana.cli.backup import work  # noqa: PLC0415
    from dana.cli.terminal import read_address  # noqa: PLC0415

    work.point(data, shard, read_address(url))
