"""What long jobs on conversations are told, and remember from chunk to chunk."""

from datetime import datetime, timedelta
from typing import NamedTuple

import msgspec

from dana.contracts.ids import ConversationId, InboxId
from dana.contracts.views import Status
from dana.platform.errors import Invalid
from dana.services.conversations.models.checks import MAX_NAME_CHARACTERS

CLOCKS_DIFFER = timedelta(minutes=5)  # "now" of a browser whose clock is fast


class Choice(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Which conversations a job is for; null leaves a condition out."""

    status: Status | None = None
    inbox_id: InboxId | None = None
    quiet_since: datetime | None = None
    """Only conversations without activity since then."""


class Deletion(msgspec.Struct, frozen=True, kw_only=True):
    """How far a deletion has come: the last place in the order of activity that it has looked at."""

    active_at: datetime
    conversation_id: ConversationId


class Export(msgspec.Struct, frozen=True, kw_only=True):
    """How far an export has come."""

    after: ConversationId | None = None
    """The last conversation that is in the file as a whole."""
    partial: ConversationId | None = None
    """One that is so long that it comes in pieces."""
    seq: int = 0
    """How much of it is in the file already."""
    parts: int = 0
    lines: int = 0


class Import(msgspec.Struct, frozen=True, kw_only=True):
    """What an import is told."""

    inbox_id: InboxId
    sha256: str
    parts: int
    lines: int


class Part(NamedTuple):
    """A piece of a file, packed."""

    number: int
    first_line: int
    lines: int
    size_bytes: int
    sha256: bytes
    content: bytes


class Described(NamedTuple):
    """A piece of a file, without what is in it."""

    number: int
    first_line: int
    lines: int
    size_bytes: int
    sha256: bytes
    packed_bytes: int


class Doomed(NamedTuple):
    """A conversation that is about to be deleted."""

    id: ConversationId
    status: Status
    has_unread: bool


class Place(NamedTuple):
    """A conversation's place in the order of activity, and how much was said in it."""

    active_at: datetime
    id: ConversationId
    last_seq: int


def checked_choice(choice: Choice, now: datetime) -> Choice:
    """Return a choice that can be meant; raises Invalid."""
    if choice.quiet_since is not None:
        if choice.quiet_since.tzinfo is None:
            raise Invalid("`quiet_since` needs a time zone, such as a Z at its end.")
        if choice.quiet_since > now + CLOCKS_DIFFER:
            raise Invalid("`quiet_since` lies in the future; give a time that has passed.")
    return choice


def about(choice: Choice, inbox_name: str | None) -> str:
    """Say in words which conversations are chosen."""
    said = f"{choice.status.value.capitalize()} conversations" if choice.status else "All conversations"
    if inbox_name:
        said += f" in “{inbox_name[:MAX_NAME_CHARACTERS]}”"
    if choice.quiet_since:
        said += f" without activity since {choice.quiet_since:%-d %B %Y}"
    return said
