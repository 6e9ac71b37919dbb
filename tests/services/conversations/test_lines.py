"""A line of a file is read, or refused with a reason; nothing else can happen, whatever it is."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as some

from dana.platform.errors import Invalid
from dana.services.conversations.models import transfer
from dana.services.conversations.models.transfer import Line, MessageLine

NOW = datetime(2026, 1, 2, tzinfo=UTC)
GOOD: dict[str, Any] = {
    "type": "message",
    "external_id": "m1",
    "conversation_external_id": "c1",
    "author": "customer",
    "author_name": "Carla",
    "text": "Hello",
    "created_at": "2024-01-01T00:00:00Z",
}
VALUES = some.recursive(
    some.none() | some.booleans() | some.integers() | some.floats() | some.text(max_size=20),
    lambda inner: some.lists(inner, max_size=3) | some.dictionaries(some.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


def is_read_or_refused(raw: bytes) -> None:
    line = read(raw)
    if isinstance(line, Invalid):
        assert line.detail.strip()
    else:
        assert read(transfer.written([line]).rstrip(b"\n")) == line


def read(raw: bytes) -> Line | Invalid:
    try:
        return transfer.parsed(raw, NOW)
    except Invalid as refusal:
        return refusal


@given(some.binary(max_size=200))
def test_any_bytes(raw: bytes) -> None:
    is_read_or_refused(raw)


@given(some.dictionaries(some.sampled_from(sorted(GOOD)), VALUES))
def test_any_change_of_a_good_line(changes: dict[str, Any]) -> None:
    is_read_or_refused(json.dumps(GOOD | changes).encode("utf-8", "surrogatepass"))


@given(some.text())
def test_any_text_that_may_be_sent_comes_back_as_it_is(text: str) -> None:
    raw = json.dumps(GOOD | {"text": text}).encode()
    try:
        line = transfer.parsed(raw, NOW)
    except Invalid:
        assert not text.strip() or "\0" in text
        return
    assert isinstance(line, MessageLine)
    assert line.text == text
    assert b"\n" not in transfer.written([line])[:-1]


def test_a_good_line_is_read() -> None:
    line = transfer.parsed(json.dumps(GOOD).encode(), NOW)
    assert isinstance(line, MessageLine)
    with pytest.raises(Invalid):
        transfer.parsed(json.dumps(GOOD | {"text": ""}).encode(), NOW)
