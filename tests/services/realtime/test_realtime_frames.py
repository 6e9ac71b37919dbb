"""Frames, for every event there is: members see all but the internal ones, visitors little."""

import json
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID, uuid4

import pytest

from dana.contracts.events import EVENTS_BY_TYPE
from dana.contracts.ids import new_id
from dana.platform.errors import Invalid
from dana.platform.fanout import Committed, Events, parse
from dana.services.realtime.models import LoggedEvent, parse_cursor, parse_frame

GOLDEN = Path(__file__).parents[2] / "contracts" / "golden"
INTERNAL = {"answer_requested", "answer_proposed"}
FOR_VISITORS = {
    "message_appended",
    "conversation_taken_over",
    "conversation_assigned",
    "conversation_handed_over",
    "conversation_resolved",
    "conversation_reopened",
    "conversation_snoozed",
}


def logged(kind: str) -> tuple[LoggedEvent, dict[str, object]]:
    payload = json.loads((GOLDEN / f"{kind}.v{EVENTS_BY_TYPE[kind].version}.json").read_text())
    if "message" in payload:
        payload["message"]["is_private"] = False
    now = datetime(2026, 1, 2, tzinfo=UTC)
    event = LoggedEvent.stored(
        7, kind, new_id(), event_id=UUID(int=1), created_at=now, payload=json.dumps(payload)
    )
    return event, payload


@pytest.mark.parametrize("kind", EVENTS_BY_TYPE)
def test_members_get_the_whole_event(kind: str) -> None:
    event, payload = logged(kind)
    if kind in INTERNAL:
        assert event.for_members is None
        return
    assert event.for_members is not None
    frame = json.loads(event.for_members)
    assert frame == {
        "type": "event",
        "cursor": 7,
        "id": str(UUID(int=1)),
        "created_at": "2026-01-02T00:00:00Z",
        "event": {"type": kind, **payload},
    }


@pytest.mark.parametrize("kind", EVENTS_BY_TYPE)
def test_visitors_get_messages_and_changes_of_status_only(kind: str) -> None:
    event, payload = logged(kind)
    if kind not in FOR_VISITORS:
        assert event.for_visitor is None
        return
    assert event.for_visitor is not None
    seen = json.loads(event.for_visitor)["event"]
    assert set(seen) <= {"type", "conversation", "message"}
    assert set(seen["conversation"]) == {"id", "status", "assignee_name", "version", "last_seq"}
    assert "example.org" not in event.for_visitor.decode()
    assert seen.get("message") == payload.get("message")


def test_a_private_note_is_hidden_from_visitors() -> None:
    payload = json.loads((GOLDEN / "message_appended.v1.json").read_text())
    payload["message"]["is_private"] = True
    body = json.dumps(payload).encode()
    event = LoggedEvent(1, "message_appended", None, event_id=b'"1"', created_at=b'"2"', payload=body)
    assert event.for_visitor is None
    assert event.for_members is not None


def test_an_event_without_fields_still_makes_json() -> None:
    event = LoggedEvent(1, "something", None, event_id=b'"1"', created_at=b'"2"', payload=b"{}")
    assert event.for_members is not None
    assert json.loads(event.for_members)["event"] == {"type": "something"}


@pytest.mark.parametrize("message", [b"", b"?", b"E", b"P123", b"E12345678{", b"X"])
def test_a_garbled_message_of_the_fanout_is_an_error(message: bytes) -> None:
    with pytest.raises(ValueError, match=r"garbled|not a message"):
        parse(message)


def test_unknown_fields_of_a_newer_writer_do_not_stop_an_older_node() -> None:
    event: dict[str, object] = {
        "id": "1",
        "type": "new",
        "created_at": "now",
        "key": str(uuid4()),
        "payload": {},
        "more": "1",
    }
    parsed = parse(b"E" + (5).to_bytes(8, "big") + json.dumps([event]).encode())
    assert isinstance(parsed, Events)
    assert isinstance(parsed.events[0], Committed)
    assert parsed.first_cursor == 5


def test_what_clients_say() -> None:
    assert parse_cursor(None) is None
    assert parse_cursor("0") == 0
    assert parse_frame(b'{"type":"typing","conversation_id":"%s","is_typing":false}' % str(uuid4()).encode())
    with pytest.raises(Invalid):
        parse_frame(b'{"type":"typing","conversation_id":"1","is_typing":true}')
