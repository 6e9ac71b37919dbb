"""`dana shards`: the commands, thin; each imports its work when it runs."""

from pathlib import Path
from typing import Annotated
from uuid import UUID

import typer

group = typer.Typer(
    help="Which organization lives on which database server, and moving it to another while it works.",
    no_args_is_help=True,
)

Data = Annotated[Path, typer.Option("--data", envvar="DANA_DATA", help="The folder of all data and secrets.")]
Org = Annotated[str, typer.Argument(metavar="ORG", help="An organization, by its id or its name.")]
Shard = Annotated[str, typer.Argument(metavar="SHARD", help="A shard's name; see `dana shards list`.")]
MoveNumber = Annotated[UUID, typer.Argument(metavar="MOVE", help="A move's id; see `dana shards moves`.")]
To = Annotated[str, typer.Option("--to", metavar="SHARD", help="Where it is to live.")]
HERE = Path(".dana")


@group.command("list", epilog="Example: dana shards list | jq -r 'select(.is_reachable | not) | .name'")
def show_shards(data: Data = HERE) -> None:
    """List all shards: who is there, how large, how busy, and whether each is well."""
    from dana.cli.shards import registry  # noqa: PLC0415

    registry.list_shards(data)


@group.command(
    epilog="Examples: dana shards add eu1 --url - < address.txt\n\n"
    "DANA_SHARD_URL=postgresql://postgres:…@db7:5432 dana shards add eu1\n\ndana shards add extra"
)
def add(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Small letters, digits and _; for good.")],
    url: Annotated[
        str | None,
        typer.Option(
            envvar="DANA_SHARD_URL",
            show_envvar=True,
            help="The server as its superuser reaches it, postgresql://USER:PASSWORD@HOST:PORT; replicas "
            "stand beside it, HOST:PORT,HOST:PORT. `-` reads it from the standard input, so that no list of "
            "processes shows it. Without it: a database on the catalog's server.",
        ),
    ] = None,
    dedicated_to: Annotated[
        str | None, typer.Option(metavar="ORG", help="Reserve it for one organization.")
    ] = None,
    data: Data = HERE,
) -> None:
    """Add a shard while everything runs. Repeat it after a crash, or to change a shard's address or login."""
    from dana.cli.shards import registry  # noqa: PLC0415

    registry.add(data, name, url, dedicated_to)


@group.command("open")
def open_shard(shard: Shard, data: Data = HERE) -> None:
    """Let new organizations be placed on a shard."""
    from dana.cli.shards import registry  # noqa: PLC0415

    registry.set_open(data, shard, is_open=True)


@group.command("close")
def close_shard(shard: Shard, data: Data = HERE) -> None:
    """Let no more organizations come to a shard; who lives there stays."""
    from dana.cli.shards import registry  # noqa: PLC0415

    registry.set_open(data, shard, is_open=False)


@group.command()
def remove(shard: Shard, data: Data = HERE) -> None:
    """Forget a shard on which nobody lives; drain it first. Its database stays on its server."""
    from dana.cli.shards import registry  # noqa: PLC0415

    registry.remove(data, shard)


@group.command(
    epilog="Examples: dana shards place\n\ndana shards place Acme --dedicated big1\n\n"
    "dana shards place Acme --undedicate"
)
def place(
    org: Annotated[str | None, typer.Argument(metavar="ORG", help="An organization, by id or name.")] = None,
    dedicated: Annotated[
        str | None,
        typer.Option(metavar="SHARD", help="Reserve this shard for the organization, and move it there."),
    ] = None,
    undedicate: Annotated[
        bool, typer.Option("--undedicate", help="End its reservation; it stays where it is.")
    ] = False,
    data: Data = HERE,
) -> None:
    """Show where the next organization would go, and why; or give one organization a shard of its own."""
    from dana.cli.shards import registry  # noqa: PLC0415

    registry.place(data, org, dedicated, is_given_back=undedicate)


@group.command(epilog="Ctrl-C stops after no harm: the same command goes on where it was cut.")
def drain(shard: Shard, data: Data = HERE) -> None:
    """Close a shard and move everybody away, one by one, each to the least loaded other shard."""
    from dana.cli.shards import evening  # noqa: PLC0415

    evening.drain(data, shard)


@group.command(epilog="Example: dana shards move Acme --to eu1")
def move(org: Org, to: To, data: Data = HERE) -> None:
    """Move an organization to another shard while it works; nobody can write for some 20 milliseconds."""
    from dana.cli.shards import moves  # noqa: PLC0415

    moves.move(data, org, to)


@group.command("moves")
def show_moves(
    only_open: Annotated[bool, typer.Option("--open", help="Only those that haven't ended.")] = False,
    data: Data = HERE,
) -> None:
    """List moves, newest first."""
    from dana.cli.shards import moves  # noqa: PLC0415

    moves.list_moves(data, only_open=only_open)


@group.command()
def show(
    move: MoveNumber,
    follow: Annotated[bool, typer.Option("--follow", help="Stay until it has ended.")] = False,
    data: Data = HERE,
) -> None:
    """Show one move; with --follow drive it on when nobody else does."""
    from dana.cli.shards import moves  # noqa: PLC0415

    moves.show(data, move, is_followed=follow)


@group.command()
def abort(move: MoveNumber, data: Data = HERE) -> None:
    """End a move before its switch; the organization stays where it is, and nothing is lost."""
    from dana.cli.shards import moves  # noqa: PLC0415

    moves.abort(data, move)


@group.command()
def rollback(move: MoveNumber, data: Data = HERE) -> None:
    """Move an organization back after the switch, with everything that was written meanwhile."""
    from dana.cli.shards import moves  # noqa: PLC0415

    moves.rollback(data, move)


@group.command()
def verify(move: MoveNumber, data: Data = HERE) -> None:
    """Compare the copy that a move left behind with what had arrived, row by row. If not: code 1."""
    from dana.cli.shards import moves  # noqa: PLC0415

    moves.verify(data, move)


@group.command(epilog="Examples: dana shards purge MOVE\n\ndana shards purge --from old1")
def purge(
    moves: Annotated[
        list[UUID] | None, typer.Argument(metavar="MOVE...", help="Moves; see `dana shards moves`.")
    ] = None,
    left: Annotated[
        str | None, typer.Option("--from", metavar="SHARD", help="All copies left on this shard.")
    ] = None,
    accept_unproven: Annotated[
        bool,
        typer.Option("--accept-unproven", help="Also where it isn't proven that every row has arrived."),
    ] = False,
    data: Data = HERE,
) -> None:
    """Delete the copies that moves left behind; they can't be rolled back after that."""
    from dana.cli.shards import moves as work  # noqa: PLC0415

    work.purge(data, moves or [], left, accept_unproven=accept_unproven)


@group.command(
    epilog="Examples: dana shards rebalance --plan\n\ndana shards rebalance --apply --tolerance 10"
)
def rebalance(
    plan: Annotated[bool, typer.Option("--plan", help="Only say which moves, and why.")] = False,
    apply: Annotated[bool, typer.Option("--apply", help="Carry them out, one by one.")] = False,
    tolerance: Annotated[
        int, typer.Option(min=1, max=100, help="How many per cent from the mean count as even.")
    ] = 20,
    data: Data = HERE,
) -> None:
    """Even out the load of shards with few moves."""
    from dana.cli.shards import evening  # noqa: PLC0415

    if plan == apply:
        raise typer.BadParameter("Say either --plan or --apply.")
    evening.rebalance(data, tolerance / 100, is_applied=apply)


@group.command(epilog="Example: dana shards export Acme --to /backups/acme-2026-11-25")
def export(
    org: Org,
    to: Annotated[Path, typer.Option("--to", metavar="FOLDER", help="A new folder.")],
    data: Data = HERE,
) -> None:
    """Write one organization, whole, into a folder of JSON lines with checksums, while it works."""
    from dana.cli.shards import exports  # noqa: PLC0415

    exports.export(data, org, to)


@group.command("import", epilog="Example: dana shards import /backups/acme-2026-11-25 --to eu1")
def import_folder(
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="What `dana shards export` wrote.")],
    to: Annotated[
        str | None, typer.Option("--to", metavar="SHARD", help="By default the least loaded.")
    ] = None,
    data: Data = HERE,
) -> None:
    """Bring an exported organization in, here or in another installation. Safe to repeat after a crash."""
    from dana.cli.shards import exports  # noqa: PLC0415

    exports.import_folder(data, folder, to)
