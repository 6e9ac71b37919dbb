"""Pages of lists. A cursor is opaque: the sort key of the last row, so that no page ever skips or counts."""

import base64
import binascii
from typing import Generic, TypeVar

import msgspec

from dana.platform.errors import Invalid

T = TypeVar("T")


class Page(msgspec.Struct, Generic[T], frozen=True, kw_only=True):
    """One page of a list; `next_cursor` is null on the last."""

    items: list[T]
    next_cursor: str | None = None


def encode_cursor(*parts: object) -> str:
    """Make a cursor of the parts of a sort key."""
    return base64.urlsafe_b64encode(msgspec.json.encode([str(part) for part in parts])).decode().rstrip("=")


def decode_cursor(text: str, parts: int) -> list[str]:
    """Read a cursor of so many parts; raises Invalid when it is not one of ours."""
    try:
        padded = text + "=" * (-len(text) % 4)
        decoded = msgspec.json.decode(base64.b64decode(padded, altchars=b"-_", validate=True), type=list[str])
    except (binascii.Error, msgspec.DecodeError, ValueError):
        decoded = []
    if len(decoded) != parts:
        raise Invalid("This cursor is not valid here; take it from `next_cursor` of the same list.")
    return decoded
