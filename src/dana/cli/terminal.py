"""How commands speak: tables and colours to a person, JSON lines to a pipe."""

import sys
from collections.abc import Iterable, Sequence
from typing import Any, NoReturn

import msgspec
from rich.console import Console
from rich.table import Table

FROM_INPUT = "-"

console = Console(highlight=False)
errors = Console(stderr=True, highlight=False)


def is_terminal() -> bool:
    """Tell whether a person reads along."""
    return sys.stdout.isatty()


def print_json(content: Any) -> None:
    """Print one line of JSON."""
    sys.stdout.write(msgspec.json.encode(content, enc_hook=str).decode() + "\n")
    sys.stdout.flush()


def print_rows(rows: Sequence[Any], columns: Iterable[str], *, nothing: str) -> None:
    """Print records as a table, or one JSON object a line when piped."""
    if not is_terminal():
        for row in rows:
            print_json(row)
        return
    if not rows:
        console.print(nothing)
        return
    table = Table(box=None, header_style="bold")
    names = list(columns)
    for name in names:
        table.add_column(name.replace("_", " "), overflow="fold")
    for row in rows:
        table.add_row(*(_cell(getattr(row, name)) for name in names))
    console.print(table)


def fail(sentence: str) -> NoReturn:
    """Say one sentence and end with code 1."""
    errors.print(sentence, style="red", soft_wrap=True, markup=False)
    sys.exit(1)


def read_address(given: str) -> str:
    """Return a server's address as given; `-` asks for it, or reads it from a pipe. It holds a password."""
    if given != FROM_INPUT:
        return given
    is_person = sys.stdin.isatty()
    address = errors.input("Address: ", password=True) if is_person else sys.stdin.readline()
    return address.strip() or fail("No address was given; it is postgresql://USER:PASSWORD@HOST:PORT.")


def _cell(content: Any) -> str:
    if hasattr(content, "strftime"):
        return str(content.strftime("%Y-%m-%d %H:%M:%S"))
    return "" if content is None else str(content)
