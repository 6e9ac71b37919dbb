"""Columns, and the views made of them."""

import asyncpg
import msgspec

from dana.contracts.ids import ContactId
from dana.contracts.views import Action, Author, Citation, ContactView, ConversationView, MessageView, Status
from dana.platform.errors import Missing

COLUMNS = """
  c.id, c.inbox_id, c.status, c.assignee_id, c.assignee_name, c.last_seq, c.last_text, c.last_author,
  c.unread_count, c.version, c.snoozed_until, c.last_activity_at, c.created_at,
  p.id as contact_id, p.name as contact_name, p.email as contact_email, p.created_at as contact_created_at
"""

WITH_CONTACT = "join conversations.contacts p on p.org_id = c.org_id and p.id = c.contact_id"

CONVERSATION = f"{COLUMNS} from conversations.conversations c {WITH_CONTACT}"

MESSAGE = """
  id, conversation_id, seq, author, author_id, author_name, text, is_private, created_at, action, citations
"""

_citations = msgspec.json.Decoder(tuple[Citation, ...])


def conversation_of(row: asyncpg.Record) -> ConversationView:
    """Read a row of COLUMNS."""
    return ConversationView(
        id=row["id"],
        inbox_id=row["inbox_id"],
        contact=contact_of(row),
        status=Status(row["status"]),
        assignee_id=row["assignee_id"],
        assignee_name=row["assignee_name"],
        last_seq=row["last_seq"],
        last_text=row["last_text"],
        last_author=Author(row["last_author"]) if row["last_author"] else None,
        unread_count=row["unread_count"],
        version=row["version"],
        snoozed_until=row["snoozed_until"],
        last_activity_at=row["last_activity_at"],
        created_at=row["created_at"],
    )


def contact_of(row: asyncpg.Record) -> ContactView:
    """Read the contact of a row of COLUMNS."""
    return ContactView(
        id=ContactId(row["contact_id"]),
        name=row["contact_name"],
        email=row["contact_email"],
        created_at=row["contact_created_at"],
    )


def message_of(row: asyncpg.Record) -> MessageView:
    """Read a row of MESSAGE."""
    fields = dict(row)
    fields["author"] = Author(fields["author"])
    fields["action"] = Action(fields["action"]) if fields["action"] else None
    fields["citations"] = _citations.decode(fields["citations"])
    return MessageView(**fields)


def no_conversation() -> Missing:
    """Say that a conversation isn't there, or isn't theirs to see."""
    return Missing("There is no such conversation.")
