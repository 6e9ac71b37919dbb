"""What the scenarios have shown, as files: the browser's own reducers are held against them.

Ids and times differ from run to run; here they are numbered in the order of their birth, so that everything
sorted by them stays sorted, and the files change only when what is shown changes. All times lie within one
millisecond, because a browser that cuts them off there gets the order wrong.
"""

import json
import re
from collections import defaultdict
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any
from uuid import UUID

from tests.law.stage import Played
from tests.law.state import Json

FOLDER = Path(__file__).parent / "golden"
VISIT = "../visit"
"""What one customer went through, for the widget's own reducer."""
OUT_OF_DATE = (
    "look at the change, then `WRITE_GOLDEN=1 .venv/bin/pytest tests/law --ignore tests/law/test_walk.py`"
)

NOUNS = {
    "members": "member",
    "member": "member",
    "inboxes": "inbox",
    "inbox": "inbox",
    "conversations": "conversation",
    "conversation": "conversation",
    "contact": "contact",
    "messages": "message",
    "message": "message",
    "documents": "document",
    "document": "document",
    "jobs": "job",
    "job": "job",
}
_ID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z")
_IN_WORDS = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d UTC")


def recorded(played: Played) -> Json:
    """Return what a file says."""
    whole = {"before": played.before, "events": played.events, "after": played.after}
    names = _ids(whole) | _times(whole)

    def named(text: str) -> str:
        text = _ID.sub(lambda found: names[found[0]], text)
        text = _TIME.sub(lambda found: names[found[0]], text)
        text = re.sub(r"inbox_[\w-]{20}", "inbox_key", text)
        return _IN_WORDS.sub("2026-01-01 00:00 UTC", text)

    changed: Json = json.loads(named(json.dumps(whole)))
    return changed


def write(name: str, whole: Json) -> None:
    """Renew a file: one line for each thing, so that a change is read easily."""
    FOLDER.mkdir(exist_ok=True)
    _path(name).write_text(_written(whole) + "\n")


def read(name: str) -> Json | None:
    """Return what a file says; None when there is none."""
    if not _path(name).exists():
        return None
    found: Json = json.loads(_path(name).read_text())
    return found


def names() -> list[str]:
    """Name the files that there are."""
    return [path.stem for path in FOLDER.glob("*.json")]


def _path(name: str) -> Path:
    return FOLDER / f"{name}.json"


def _ids(whole: Json) -> dict[str, str]:
    """Number the things of each noun in the order of their birth."""
    by_noun: defaultdict[str, dict[str, tuple[int, int]]] = defaultdict(dict)
    for noun, text, order in _births(whole, ""):
        by_noun[noun].setdefault(text, order)
    for email in _emails(whole):
        for text in _ID.findall(email):
            by_noun["mail"].setdefault(text, (_born(text), 0))
    return {
        text: f"{noun}-{number:02}"
        for noun, born in by_noun.items()
        for number, text in enumerate(sorted(born, key=lambda one: born[one]), 1)
    }


def _births(thing: Any, noun: str) -> Iterator[tuple[str, str, tuple[int, int]]]:
    if isinstance(thing, list):
        for item in thing:
            yield from _births(item, noun)
    elif isinstance(thing, dict):
        for key in ("id", "user_id"):
            if noun and isinstance(thing.get(key), str):
                yield noun, thing[key], _order(noun, thing[key], thing)
        for key, value in thing.items():
            yield from _births(value, NOUNS.get(key, noun))


def _order(noun: str, text: str, thing: Json) -> tuple[int, int]:
    """Messages of one moment have no order but `seq`."""
    return (_born(thing["conversation_id"]), thing["seq"]) if noun == "message" else (_born(text), 0)


def _emails(thing: Any) -> list[str]:
    if isinstance(thing, list):
        return [found for item in thing for found in _emails(item)]
    if isinstance(thing, dict):
        own = [value for key, value in thing.items() if key == "email" and value]
        return own + [found for value in thing.values() for found in _emails(value)]
    return []


def _born(text: str) -> int:
    return UUID(text).int >> 80


def _times(whole: Json) -> dict[str, str]:
    found = {match[0] for match in _TIME.finditer(json.dumps(whole))}
    ordered = sorted(found, key=datetime.fromisoformat)
    return {text: f"2026-01-01T00:00:00.{number:06}Z" for number, text in enumerate(ordered, 1)}


def _written(thing: Any, depth: int = 0) -> str:
    """Write JSON with a line for each member down to the things themselves."""
    flat = json.dumps(thing, ensure_ascii=False)
    if len(flat) < 100 or depth == 3 or not isinstance(thing, list | dict):
        return flat
    pad = " " * (depth + 1)
    if isinstance(thing, list):
        lines = [pad + _written(item, depth + 1) for item in thing]
        return "[\n" + ",\n".join(lines) + f"\n{pad[1:]}]"
    lines = [f"{pad}{json.dumps(key)}: {_written(value, depth + 1)}" for key, value in thing.items()]
    return "{\n" + ",\n".join(lines) + f"\n{pad[1:]}}}"
