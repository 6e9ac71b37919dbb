"""What clients say. Whatever can't be read is a bug of the client, and ends its socket."""

from typing import Annotated, Literal

import msgspec

from dana.contracts.ids import ConversationId
from dana.platform.errors import Invalid

MAX_CURSOR = 2**62

_Cursor = Annotated[int, msgspec.Meta(ge=0, le=MAX_CURSOR)]
_Name = Annotated[str, msgspec.Meta(max_length=100)]


class _Frame(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="type", tag=str.lower):
    """The base of all: `type` is the class's name."""


class Typing(_Frame, frozen=True):
    """I am typing, or have stopped."""

    conversation_id: ConversationId
    is_typing: bool


class Ack(_Frame, frozen=True):
    """I have applied all events up to this cursor."""

    cursor: _Cursor


class Renew(_Frame, frozen=True):
    """Here is a newer token: let me stay."""

    token: str


class Subscribe(_Frame, frozen=True):
    """Let me follow a channel."""

    channel: _Name


class Unsubscribe(_Frame, frozen=True):
    """I follow a channel no longer."""

    channel: _Name


class State(_Frame, frozen=True):
    """I am at the screen, or away from it."""

    state: Literal["online", "away"]


Said = Typing | Ack | Renew | Subscribe | Unsubscribe | State

_said: msgspec.json.Decoder[Said] = msgspec.json.Decoder(Said)


def parse_frame(frame: bytes) -> Said:
    """Read what a client says; raises Invalid."""
    try:
        return _said.decode(frame)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Invalid("This frame can't be read.") from error


def parse_cursor(text: str | None) -> int | None:
    """Read the cursor from which a client wants to continue; raises Invalid."""
    if not text:
        return None
    if not (text.isascii() and text.isdigit()) or int(text[:20]) > MAX_CURSOR:
        raise Invalid("The cursor is not a number.")
    return int(text[:20])
