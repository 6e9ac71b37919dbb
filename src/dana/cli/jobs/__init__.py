"""`dana jobs`: the commands, thin; each imports its work when it runs."""

from datetime import datetime
from pathlib import Path
from typing import Annotated
from uuid import UUID

import typer

group = typer.Typer(
    help="What consumers have yet to do, what failed for good, and bringing events to them again.",
    no_args_is_help=True,
)

Data = Annotated[Path, typer.Option("--data", envvar="DANA_DATA", help="The folder of all data and secrets.")]
Organization = Annotated[
    UUID | None, typer.Option("--organization", metavar="ORG", help="Only of this organization.")
]
Group = Annotated[str | None, typer.Option("--group", metavar="GROUP", help="Only of this consumer.")]
Moment = ["%Y-%m-%d", "%Y-%m-%dT%H:%M", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%dT%H:%M:%SZ"]
HERE = Path(".dana")


@group.command("list")
def list_due(organization: Organization = None, only: Group = None, data: Data = HERE) -> None:
    """List deliveries that are due, now or later, in that order; at most 500."""
    from dana.cli.jobs import work  # noqa: PLC0415

    work.list_due(data, organization, only)


@group.command("dead", epilog="Example: dana jobs dead | jq -r .reason | sort | uniq -c")
def list_dead(organization: Organization = None, only: Group = None, data: Data = HERE) -> None:
    """List deliveries that failed for good, and why; at most 500, oldest first."""
    from dana.cli.jobs import work  # noqa: PLC0415

    work.list_dead(data, organization, only)


@group.command("recurring")
def list_recurring(data: Data = HERE) -> None:
    """List what runs again and again: when next, and when it last ended well (UTC)."""
    from dana.cli.jobs import work  # noqa: PLC0415

    work.list_recurring(data)


@group.command()
def show(org_id: UUID, cursor: int, data: Data = HERE) -> None:
    """Show one event with what each consumer still has to do with it."""
    from dana.cli.jobs import work  # noqa: PLC0415

    work.show(data, org_id, cursor)


@group.command()
def redrive(
    org_id: Annotated[UUID | None, typer.Argument(help="Only of this organization.")] = None,
    cursor: Annotated[int | None, typer.Argument(help="Only this event.")] = None,
    only: Group = None,
    data: Data = HERE,
) -> None:
    """Send dead deliveries again."""
    from dana.cli.jobs import work  # noqa: PLC0415

    work.redrive(data, org_id, cursor, only)


@group.command(
    epilog="Example: dana jobs replay ai 0190… --from 2026-03-01T08:00 --until 2026-03-01T09:30 (UTC)"
)
def replay(  # noqa: PLR0917 - typer names them
    to: Annotated[str, typer.Argument(metavar="GROUP", help="The consumer that is to get them again.")],
    org_id: Annotated[UUID, typer.Argument(metavar="ORG", help="The organization whose events they are.")],
    conversation: Annotated[
        UUID | None, typer.Option("--conversation", help="Only of this conversation (or other key).")
    ] = None,
    since: Annotated[datetime | None, typer.Option("--from", formats=Moment, help="From then on.")] = None,
    until: Annotated[datetime | None, typer.Option("--until", formats=Moment, help="Before then.")] = None,
    data: Data = HERE,
) -> None:
    """Bring past events to one consumer again, in order; asked for again after a crash, it goes on."""
    from dana.cli.jobs import work  # noqa: PLC0415

    work.replay(data, to, org_id, conversation, (since, until))
