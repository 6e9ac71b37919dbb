"""`dana up`: everything on one machine, until Ctrl-C."""

import asyncio
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

from rich.panel import Panel

from dana.cli.terminal import console, fail
from dana.platform.local.fleet import plan_of
from dana.platform.local.machine import Machine, Place
from dana.platform.local.programs import CannotStartError
from dana.platform.migrations import ChangedMigrationError

STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def up(data_dir: Path, host: str, port: int, *, is_split: bool, replicas: list[str]) -> None:
    """Start, say where, and stop in order when asked to."""
    place = Place(data_dir.absolute(), host, port)
    try:
        plan = plan_of(is_split=is_split, replicas=replicas)
        machine = Machine.prepare(place, _say, plan)
        asyncio.run(_run(machine, place))
    except CannotStartError as problem:
        fail(str(problem))
    except ChangedMigrationError as problem:
        fail(f"The database can't be brought up to date: {problem}")


async def _run(machine: Machine, place: Place) -> None:
    wanted = asyncio.Event()
    starting = asyncio.create_task(_start(machine, place))

    def ask_to_stop() -> None:
        if wanted.is_set():
            machine.kill()
        wanted.set()
        starting.cancel()

    loop = asyncio.get_running_loop()
    for number in STOP_SIGNALS:
        loop.add_signal_handler(number, ask_to_stop)
    loop.add_signal_handler(signal.SIGUSR1, machine.take_restarts)
    try:
        await asyncio.wait([starting])
        if not starting.cancelled():
            starting.result()
            await wanted.wait()
    finally:
        began = time.monotonic()
        await machine.stop()
        if wanted.is_set():
            console.print(
                f"Stopped in {time.monotonic() - began:.1f} s. Your data stays in {place.data_dir}."
            )


async def _start(machine: Machine, place: Place) -> None:
    began = time.monotonic()
    await machine.start(_begin)
    seconds = time.monotonic() - began
    text = (
        f"[bold]Dana is ready:[/bold]  [link={place.url}]{place.url}[/link]\n\n"
        f"Started in {seconds:.1f} s. Ctrl-C stops it; your data stays in {_short(place.data_dir)}.\n"
        f"Logs: {_short(place.data_dir / 'logs')}"
    )
    if console.is_terminal:
        console.print(Panel(text, expand=False, padding=(1, 3), border_style="green"))
    else:
        console.print(text, soft_wrap=True)


def _begin(name: str) -> Callable[[], None]:
    began = time.monotonic()
    status = console.status(f"{name} …") if console.is_terminal else None
    if status:
        status.start()

    def end() -> None:
        if status:
            status.stop()
        console.print(f"  [green]✓[/green] {name:<18} [dim]{time.monotonic() - began:.1f} s[/dim]")

    return end


def _say(program: str, news: str) -> None:
    console.print(f"  [yellow]![/yellow] {program} {news}", soft_wrap=True)


def _short(path: Path) -> str:
    relative = os.path.relpath(path)
    return str(path) if relative.startswith("..") else relative
