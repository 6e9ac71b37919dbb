"""Conversations as lines of a file: what an export writes is what an import reads.

One JSON object a line. A conversation's line comes before the lines of its messages.
"""

from datetime import UTC, datetime, timedelta
from typing import Annotated

import msgspec

from dana.contracts.views import Action, Author, Citation, ConversationView, MessageView, Status
from dana.platform.errors import Invalid
from dana.services.conversations.models import checks

MAX_EXTERNAL_ID_CHARACTERS = 200
EARLIEST = datetime(1970, 1, 1, tzinfo=UTC)  # whatever is older is a mistake, such as a zero
CLOCKS_DIFFER = timedelta(days=1)  # a file may come from a machine whose clock is wrong, or of another zone

Moment = Annotated[datetime, msgspec.Meta(tz=True)]


class ContactPart(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Whom a conversation is with."""

    name: str
    email: str | None = None


class _Line(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, tag_field="type"):
    """A line, which says what it is."""


class ConversationLine(_Line, frozen=True, kw_only=True, tag="conversation"):
    """A conversation, without what was said in it."""

    external_id: str
    contact: ContactPart
    status: Status = Status.RESOLVED
    created_at: Moment
    last_activity_at: Moment | None = None
    """For whoever reads an export; an import takes it from the messages."""
    inbox: str | None = None
    """The same: an import is told the inbox."""
    assignee_name: str | None = None
    """The same: nobody is assigned by an import."""


class MessageLine(_Line, frozen=True, kw_only=True, tag="message"):
    """Something said in a conversation."""

    external_id: str
    conversation_external_id: str
    author: Author
    author_name: str
    text: str
    is_private: bool = False
    created_at: Moment
    action: Action | None = None
    citations: tuple[Citation, ...] = ()


Line = ConversationLine | MessageLine

_line = msgspec.json.Decoder(ConversationLine | MessageLine)
_encoder = msgspec.json.Encoder()


def written(lines: list[Line]) -> bytes:
    """Write lines, each with its end."""
    return b"".join(_encoder.encode(line) + b"\n" for line in lines)


def conversation_line(view: ConversationView, inbox: str) -> ConversationLine:
    """Make the line of a conversation."""
    return ConversationLine(
        external_id=str(view.id),
        contact=ContactPart(name=view.contact.name, email=view.contact.email),
        status=view.status,
        created_at=view.created_at,
        last_activity_at=view.last_activity_at,
        inbox=inbox,
        assignee_name=view.assignee_name,
    )


def message_line(view: MessageView) -> MessageLine:
    """Make the line of a message."""
    return MessageLine(
        external_id=str(view.id),
        conversation_external_id=str(view.conversation_id),
        author=view.author,
        author_name=view.author_name,
        text=view.text,
        is_private=view.is_private,
        created_at=view.created_at,
        action=view.action,
        citations=view.citations,
    )


def parsed(raw: bytes, now: datetime) -> Line:
    """Read a line; raises Invalid with what is wrong with it."""
    try:
        line: Line = _line.decode(raw)
    except msgspec.ValidationError as error:
        raise Invalid(f"{error}.") from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Invalid(f"This is not JSON: {str(error).removeprefix('JSON is malformed: ')}.") from None
    _checked_id(line.external_id)
    if not EARLIEST <= line.created_at <= now + CLOCKS_DIFFER:
        raise Invalid("`created_at` lies in the future, or before 1970.")
    if isinstance(line, MessageLine):
        _checked_id(line.conversation_external_id)
        checks.checked_text(line.text)
        checks.checked_name(line.author_name, "`author_name`")
        for citation in line.citations:
            checks.without_nul(f"{citation.title}{citation.passage}{citation.quote}", "A citation")
    else:
        checks.checked_name(line.contact.name, "The contact's name")
        if line.contact.email:
            checks.checked_email(line.contact.email)
    return line


def imported_status(line: ConversationLine) -> Status:
    """Say where an imported conversation stands: what isn't resolved waits for a person."""
    return Status.RESOLVED if line.status is Status.RESOLVED else Status.OPEN


def start_key(external_id: str) -> str:
    """Name the key under which an imported conversation is known; no visitor can choose one like it."""
    return f"import:{external_id}"


def _checked_id(external_id: str) -> None:
    if not external_id.strip() or not external_id.isprintable():
        raise Invalid("An external id must have printable characters.")
    if len(external_id) > MAX_EXTERNAL_ID_CHARACTERS:
        raise Invalid(f"An external id has at most {MAX_EXTERNAL_ID_CHARACTERS} characters.")
