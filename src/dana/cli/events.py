"""`dana events …`: read along in what happens, over the broker's streams."""

import asyncio
import itertools
import os
from contextlib import aclosing
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated
from uuid import UUID

import msgspec
import typer

from dana.cli.terminal import console, fail, is_terminal, print_json

if TYPE_CHECKING:
    from dana.platform.broker import StreamedEvent

group = typer.Typer(help="Read along in what happens, over RabbitMQ's streams.", no_args_is_help=True)

START_HELP = "A time (2026-01-31, 2026-01-31T12:30), an offset of one partition, `first` or `next`."
CONNECT_SECONDS = 10.0
WIDTHS = (19, 9, 36, 8, 28)
COLUMNS = ("created at", "offset", "organization", "cursor", "type")


@group.callback()
def _group() -> None:
    """Keep `tail` a command of its own, also while it is the only one."""


@group.command("tail")
def tail_events(
    start: Annotated[str, typer.Option("--from", help=START_HELP)] = "next",
    organization: Annotated[UUID | None, typer.Option(help="Only what happens in this one.")] = None,
    partition: Annotated[int | None, typer.Option(min=0, help="Only this partition.")] = None,
    count: Annotated[int | None, typer.Option(min=1, help="End after so many; otherwise at Ctrl-C.")] = None,
) -> None:
    """Show events as they happen, or again from some moment on; DANA_RABBITMQ_URL says where."""
    broker = os.environ.get("DANA_RABBITMQ_URL", "")
    if not broker:
        fail("There is no broker: set DANA_RABBITMQ_URL to the address that the services have.")
    wanted = _Wanted(_start(start, partition), organization, partition, count)
    try:
        asyncio.run(_tail(broker, wanted))
    except KeyboardInterrupt:
        return


@dataclass(frozen=True, slots=True)
class _Wanted:
    start: int | datetime | str
    organization: UUID | None
    partition: int | None
    count: int | None


def _start(text: str, partition: int | None) -> int | datetime | str:
    if text in ("first", "next"):
        return text
    if text.isdigit():
        if partition is None:
            fail("An offset counts in one partition: name it with --partition.")
        return int(text)
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        fail(f"{text} is neither a time, such as 2026-01-31T12:30, nor an offset, `first` or `next`.")
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


async def _tail(broker: str, wanted: _Wanted) -> None:
    from dana.platform.broker import Connection, tail  # noqa: PLC0415 - slow to import
    from dana.platform.broker.topology import PARTITIONS, partition_of  # noqa: PLC0415
    from dana.platform.telemetry import configure_logging  # noqa: PLC0415

    configure_logging("ERROR")

    partitions = list(range(PARTITIONS)) if wanted.partition is None else [wanted.partition]
    if wanted.organization is not None and wanted.partition is None:
        partitions = [partition_of(wanted.organization)]  # type: ignore[arg-type]
    if partitions[0] >= PARTITIONS:
        fail(f"There are {PARTITIONS} partitions; the first is 0.")

    def show(event: "StreamedEvent") -> None:
        if is_terminal():
            fields = (f"{event.created_at:%Y-%m-%d %H:%M:%S}", event.offset, event.org_id, event.cursor)
            console.print(_line(*fields, event.type), soft_wrap=True)
        else:
            print_json({**_fields(event), "event": msgspec.Raw(event.payload)})

    connection = Connection(broker, "tail")
    if not await connection.start(CONNECT_SECONDS):
        await connection.stop()
        fail("RabbitMQ can't be reached; is its address, and the login in it, right?")
    if is_terminal():
        console.print(_line(*COLUMNS), style="bold")
    seen = itertools.count(1)
    try:
        async with aclosing(tail(connection, wanted.start, partitions)) as events:
            async for event in events:
                if wanted.organization in (None, event.org_id):
                    show(event)
                    if next(seen) == wanted.count:
                        break
    finally:
        await connection.stop()


def _fields(event: "StreamedEvent") -> dict[str, object]:
    names = ("partition", "offset", "id", "org_id", "cursor", "type", "key", "created_at", "shard")
    return {name: getattr(event, name) for name in names}


def _line(*fields: object) -> str:
    return "  ".join(f"{field!s:<{width}}" for field, width in zip(fields, WIDTHS, strict=True)).rstrip()
