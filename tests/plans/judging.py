"""What PostgreSQL says it did for each statement, nested ones included, and what must not be among it.

auto_explain writes every plan with its real numbers of rows into the server's log, also of the statements
inside SQL functions, as they run for the service's own role under row-level security.
"""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

SETTINGS = {
    "session_preload_libraries": "auto_explain",
    "auto_explain.log_nested_statements": "on",
    "auto_explain.log_analyze": "on",
    "auto_explain.log_timing": "off",
    "auto_explain.log_format": "json",
    "auto_explain.log_parameter_max_length": "0",
}
MOST_SORTED = 101  # a page, and the row that tells whether there is another
MOST_READ = 500  # by one node of a plan: four ranges of a page, merged
MOST_OF_A_WINDOW = 262_144  # entries of the search index that one step may look at, by construction

SCANS = {"Seq Scan", "Index Scan", "Index Only Scan", "Bitmap Heap Scan", "Bitmap Index Scan", "Tid Scan"}
GATHERING = {"Hash", "Aggregate", "WindowAgg", "Unique", "Materialize", "Group", "SetOp"}
SMALL_TABLES = {
    "subscriptions": "a row for each kind of event and consumer, whatever the load",
    "shards": "a row for each shard",
    "move_markers": "a row for each organization that is just being moved",
}
DRIVERS_OWN = "typeinfo_tree"  # asyncpg looks up a type, once on each connection
WINDOWS = "messages_search"

_PLAN = re.compile(r"LOG:  duration: [\d.]+ ms  plan:\n((?:\t.*\n)+)")


@dataclass(frozen=True, slots=True)
class Explained:
    """One statement that ran, and how."""

    sql: str
    plan: dict[str, Any]


class Log:
    """The server's log, from where it was read last."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._read = path.stat().st_size

    def news(self) -> list[Explained]:
        """Return what has run since."""
        with self._path.open("rb") as file:
            file.seek(self._read)
            text = file.read().decode()
        self._read += len(text.encode())
        plans = (json.loads(match.group(1)) for match in _PLAN.finditer(text))
        return [
            Explained(" ".join(found["Query Text"].split()), found["Plan"])
            for found in plans
            if DRIVERS_OWN not in found["Query Text"]
        ]


def faults(explained: Explained, may_read: int = 0) -> Iterator[str]:
    """Say what is wrong with how a statement ran; one that may read more may also sort and gather that."""
    most_read, most_sorted = max(may_read, MOST_READ), max(may_read, MOST_SORTED)
    for node in _nodes(explained.plan):
        kind = node["Node Type"]
        read = _read(node)
        where = node.get("Relation Name") or node.get("Index Name")
        if kind == "Seq Scan" and read and where not in SMALL_TABLES and not may_read:
            yield f"reads all of {where}"
        elif kind in SCANS and read > (MOST_OF_A_WINDOW if node.get("Index Name") == WINDOWS else most_read):
            yield f"reads {read:.0f} rows by {kind} on {where}"
        elif "Sort" in kind and _taken(node) > most_sorted:
            yield f"sorts {_taken(node):.0f} rows"
        elif kind in GATHERING and _taken(node) > most_read:
            yield f"gathers {_taken(node):.0f} rows ({kind})"


def _nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for child in plan.get("Plans", ()):
        yield from _nodes(child)


def _read(node: dict[str, Any]) -> float:
    """Count the rows a node looked at: those it returned and those it threw away."""
    removed = sum(
        node.get(f"Rows Removed by {what}", 0) for what in ("Filter", "Index Recheck", "Join Filter")
    )
    rows: float = (node.get("Actual Rows", 0) + removed) * node.get("Actual Loops", 0)
    return rows


def _taken(node: dict[str, Any]) -> float:
    """Count the rows a node was given by those below it."""
    taken: float = sum(
        child.get("Actual Rows", 0) * child.get("Actual Loops", 0) for child in node.get("Plans", ())
    )
    return taken
