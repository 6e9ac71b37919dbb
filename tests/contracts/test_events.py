"""Every event's JSON is a golden file: changing one without a new version breaks whoever reads old ones."""

import json
import os
from datetime import UTC, datetime
from enum import Enum
from pathlib import Path
from types import UnionType
from typing import Any, Union, get_args, get_origin
from uuid import UUID

import msgspec
import pytest

from dana.contracts.events import ALL_EVENTS, EVENTS_BY_TYPE, Event, event_type

GOLDEN = Path(__file__).parent / "golden"


def example(kind: Any) -> Any:
    """Make an example of a type: every field filled, the same on every run."""
    origin = get_origin(kind)
    if origin in (Union, UnionType):
        return example(next(arg for arg in get_args(kind) if arg is not type(None)))
    if origin is tuple:
        return (example(get_args(kind)[0]),)
    if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
        hints = msgspec.structs.fields(kind)
        return kind(**{field.name: example(field.type) for field in hints})
    if isinstance(kind, type) and issubclass(kind, Enum):
        return next(iter(kind))
    kind = getattr(kind, "__supertype__", kind)
    plain: dict[Any, Any] = {
        UUID: UUID("01900000-0000-7000-8000-000000000001"),
        datetime: datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC),
        str: "text",
        int: 7,
        float: 0.5,
        bool: True,
    }
    return plain[kind]


@pytest.mark.parametrize("event", ALL_EVENTS, ids=event_type)
def test_an_event_keeps_its_shape(event: type[Event]) -> None:
    file = GOLDEN / f"{event_type(event)}.v{event.version}.json"
    now = json.loads(msgspec.json.encode(example(event)))
    if os.environ.get("WRITE_GOLDEN") and not file.exists():
        file.parent.mkdir(exist_ok=True)
        file.write_text(json.dumps(now, indent=2, sort_keys=True) + "\n")
    assert now == json.loads(file.read_text()), "a changed event needs a new version and a new golden file"
    assert msgspec.convert(json.loads(file.read_text()), event) == example(event)


@pytest.mark.parametrize("event", ALL_EVENTS, ids=event_type)
def test_an_event_is_frozen_and_refuses_unknown_fields(event: type[Event]) -> None:
    body = json.loads(msgspec.json.encode(example(event))) | {"surprise": 1}
    with pytest.raises(msgspec.ValidationError, match="surprise"):
        msgspec.convert(body, event)
    name = msgspec.structs.fields(event)[0].name
    with pytest.raises(AttributeError):
        setattr(example(event), name, None)


def test_no_golden_file_is_left_over() -> None:
    wanted = {f"{event_type(event)}.v{event.version}.json" for event in ALL_EVENTS}
    assert wanted <= {file.name for file in GOLDEN.iterdir()}
    assert set(EVENTS_BY_TYPE) == {event_type(event) for event in ALL_EVENTS}
