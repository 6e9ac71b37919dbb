"""How `dana shards` speaks: tables and bars for people, JSON lines for pipes."""

import time
from types import TracebackType
from typing import Any, Self

from rich.progress import BarColumn, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.progress import Progress as Bars
from rich.table import Table
from rich.text import Text

from dana.cli.backup.showing import size_of
from dana.cli.terminal import console, is_terminal, print_json
from dana.services.placement.models.moves import Move, MoveState, TableCheck
from dana.services.placement.models.rebalancing import Plan
from dana.services.placement.models.shards import Candidate, Condition, ShardView

JSON_SECONDS = 1.0  # a script wants to see that it goes on, and no more
WAITED_SECONDS = 10.0  # a backlog older than this is worth a colour
SECONDS_A_MINUTE = 60

DOES = {
    MoveState.REQUESTED: "waits for its turn",
    MoveState.PREPARED: "is made ready",
    MoveState.COPYING: "is copied",
    MoveState.SYNCED: "is about to switch",
    MoveState.FROZEN: "switches",
    MoveState.ARRIVED: "switches",
    MoveState.SWITCHED: "has switched",
    MoveState.DISCONNECTED: "is compared",
    MoveState.ABORTING: "is given up",
}


def show_shards(shards: list[ShardView]) -> None:
    """Show all shards."""
    if not is_terminal():
        for shard in shards:
            print_json(shard)
        return
    table = _table(
        "shard", "organizations", "events/h", "size", "health", "replicas", "schema", "backlog", "takes"
    )
    for shard in shards:
        condition = shard.condition
        table.add_row(
            Text(shard.name, style="bold"),
            f"{shard.organizations:,}",
            f"{shard.events_per_hour:,.0f}",
            size_of(condition.size_bytes) if condition else "",
            Text(f"{condition.latency_ms:.1f} ms", style="green")
            if condition
            else Text(f"away: {shard.problem}", style="red"),
            _replicas(condition),
            _schema(shard),
            _backlog(condition),
            _takes(shard),
        )
    console.print(table)
    for shard in shards:
        if shard.copies:
            say = f"  {shard.name} has copies of {shard.copies:,} organizations that moved away; "
            console.print(f"{say}dana shards purge --from {shard.name}", style="dim", soft_wrap=True)


def show_places(places: list[Candidate]) -> None:
    """Show where the next organization would go."""
    if not is_terminal():
        for place in places:
            print_json(place)
        return
    table = _table("", "shard", "why")
    for place in places:
        rank = "→" if place.rank == 1 else str(place.rank or "-")
        table.add_row(rank, place.shard, place.reason, style="bold" if place.rank == 1 else "")
    console.print(table)
    if not places or places[0].rank is None:
        console.print("No shard is open: nobody can sign up. Open or add one.", style="red")


def show_moves(moves: list[Move], names: dict[Any, str]) -> None:
    """Show moves in a list."""
    if not is_terminal():
        for move in moves:
            print_json(move)
        return
    if not moves:
        console.print("There are no moves.")
        return
    table = _table("move", "organization", "from", "to", "state", "rows", "pause", "asked for")
    for move in moves:
        table.add_row(
            str(move.id),
            names.get(move.org_id) or str(move.org_id),
            move.source,
            move.target,
            state_of(move),
            f"{move.rows_copied:,}",
            "" if move.write_pause_ms is None else f"{move.write_pause_ms:.0f} ms",
            f"{move.requested_at:%Y-%m-%d %H:%M}",
        )
    console.print(table)


def show_move(move: Move, name: str) -> None:
    """Show everything about one move."""
    if not is_terminal():
        print_json(move)
        return
    table = Table(box=None, show_header=False)
    for what, content in (
        ("move", str(move.id)),
        ("organization", f"{name} ({move.org_id})" if name else str(move.org_id)),
        ("way", f"{move.source} → {move.target}, epoch {move.epoch} → {move.epoch + 1}"),
        ("state", state_of(move)),
        ("takes back", str(move.back_of) if move.back_of else ""),
        ("rows copied", f"{move.rows_copied:,} of about {max(move.rows_expected, move.rows_copied):,}"),
        ("behind", "" if move.lag_bytes is None else size_of(move.lag_bytes)),
        ("log kept for it", "" if move.held_bytes is None else size_of(move.held_bytes)),
        ("nobody could write", "" if move.write_pause_ms is None else f"for {move.write_pause_ms:.1f} ms"),
        ("asked for", f"{move.requested_at:%Y-%m-%d %H:%M:%S %Z}"),
        ("changed", f"{move.changed_at:%Y-%m-%d %H:%M:%S %Z}"),
        ("says", move.error or ""),
    ):
        if content:
            table.add_row(Text(what, style="dim"), content)
    console.print(table)
    if move.checks:
        show_checks(move.checks)


def show_checks(checks: list[TableCheck]) -> None:
    """Show what a comparison found."""
    if not is_terminal():
        for check in checks:
            print_json(check)
        return
    table = _table("table", "rows", "differ", "written since", "gone since", "compared")
    for check in checks:
        table.add_row(
            check.table,
            f"{check.rows:,}",
            Text(f"{check.differing:,}", style="red" if check.differing else "green"),
            f"{check.changed:,}",
            f"{check.missing:,}",
            "exactly" if check.is_exact else "as far as possible",
        )
    console.print(table)


def show_plan(plan: Plan, names: dict[Any, str]) -> None:
    """Show which moves would even out the load, and why."""
    if not is_terminal():
        print_json(plan)
        return
    for number, move in enumerate(plan.moves, 1):
        name = names.get(move.org_id) or str(move.org_id)
        console.print(f"[bold]{number}. {move.source} → {move.target}[/bold]  ", end="", highlight=False)
        console.print(
            f"{name}: {move.events_per_hour:,.0f} events an hour, about {size_of(move.size_bytes)}",
            markup=False,
            soft_wrap=True,
        )
        console.print(f"   {move.reason}", style="dim", soft_wrap=True)
    table = _table("shard", "load now", "then")
    for load in plan.loads:
        table.add_row(load.shard, f"{load.before:,.0f}", f"{load.after:,.0f}")
    console.print(table)
    console.print(plan.reason)


def state_of(move: Move) -> str:
    """Say a move's state, and whether it is to be aborted."""
    return f"{move.state}, abort wanted" if move.is_abort_wanted and not move.is_ended else str(move.state)


class Watching:
    """Shows how moves go on, one after another; call it with each news."""

    def __init__(self, of: int = 0) -> None:
        self._bars = (
            Bars(
                SpinnerColumn(),
                TextColumn("{task.description}", markup=False),
                BarColumn(bar_width=24),
                TextColumn("{task.fields[detail]}", markup=False),
                TimeElapsedColumn(),
                console=console,
            )
            if is_terminal()
            else None
        )
        self._all = (
            self._bars.add_task("organizations", total=of, detail=f"0 of {of}") if self._bars and of else None
        )
        self._move = self._bars.add_task("", total=None, detail="") if self._bars else None
        self._of = of
        self._done = 0
        self._last: Move | None = None
        self._said_at = 0.0

    def __enter__(self) -> Self:
        """Begin."""
        if self._bars:
            self._bars.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Leave what was shown last."""
        if self._bars:
            self._bars.stop()

    def __call__(self, move: Move) -> None:
        """Show one move's progress."""
        if self._bars is None:
            self._print(move)
        elif self._move is not None:
            is_known = move.rows_expected > 0
            self._bars.update(
                self._move,
                description=f"{move.source} → {move.target} {DOES.get(move.state, move.state)}",
                total=max(move.rows_expected, move.rows_copied) if is_known else None,
                completed=move.rows_copied,
                detail=_detail(move),
            )

    def ended(self, move: Move, sentence: str) -> None:
        """Leave a line about a move that has ended, and count it."""
        self._done += 1
        if self._bars is None:
            self._print(move)
            return
        mark = "[green]✓[/green]" if move.state != MoveState.ABORTED else "[red]✗[/red]"
        self._bars.console.print(mark, Text(sentence), soft_wrap=True)
        if self._all is not None:
            total = max(self._of, self._done)
            self._bars.update(self._all, total=total, completed=self._done, detail=f"{self._done} of {total}")

    def _print(self, move: Move) -> None:
        is_news = self._last is None or (self._last.id, self._last.state) != (move.id, move.state)
        if is_news or (move != self._last and time.monotonic() - self._said_at > JSON_SECONDS):
            self._last, self._said_at = move, time.monotonic()
            print_json(move)


def _detail(move: Move) -> str:
    parts = []
    if move.rows_expected or move.rows_copied:
        parts.append(f"{move.rows_copied:,} of {max(move.rows_expected, move.rows_copied):,} rows")
    if move.lag_bytes is not None and move.is_before_switch:
        parts.append(f"{size_of(move.lag_bytes)} behind")
    if move.held_bytes and move.is_before_switch:
        parts.append(f"{size_of(move.held_bytes)} of log kept")
    if move.write_pause_ms is not None:
        parts.append(f"paused {move.write_pause_ms:.0f} ms")
    if move.error and not move.is_ended:
        parts.append(move.error)
    return ", ".join(parts)


def _replicas(condition: Condition | None) -> str:
    if condition is None or not condition.replicas:
        return "" if condition is None else "none"
    return "\n".join(
        f"{replica.host} {'sync ' if replica.is_synchronous else ''}"
        + ("?" if replica.lag_bytes is None else f"{size_of(replica.lag_bytes)} behind")
        for replica in condition.replicas
    )


def _schema(shard: ShardView) -> Text:
    if shard.condition is None:
        return Text("")
    is_current = shard.condition.migrations == shard.migrations_wanted
    return Text(
        f"{shard.condition.migrations}/{shard.migrations_wanted}", style="" if is_current else "yellow"
    )


def _backlog(condition: Condition | None) -> Text:
    if condition is None:
        return Text("")
    seconds = condition.oldest_seconds
    spelled = f"{seconds:.0f} s" if seconds < SECONDS_A_MINUTE else f"{seconds / SECONDS_A_MINUTE:.0f} min"
    return Text(spelled if seconds else "none", style="yellow" if seconds > WAITED_SECONDS else "")


def _takes(shard: ShardView) -> Text:
    if shard.dedicated_to is not None:
        return Text(f"only {shard.dedicated_to}")
    return Text("anybody") if shard.is_open else Text("nobody", style="yellow")


def _table(*columns: str) -> Table:
    table = Table(box=None, header_style="bold")
    for column in columns:
        table.add_column(column, overflow="fold")
    return table
