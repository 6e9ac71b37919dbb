"""Identifiers. Every id is a uuid version 7 made by the application, so ids sort by time of birth."""

import os
import time
from typing import NewType
from uuid import UUID

OrgId = NewType("OrgId", UUID)
UserId = NewType("UserId", UUID)
InvitationId = NewType("InvitationId", UUID)
InboxId = NewType("InboxId", UUID)
ContactId = NewType("ContactId", UUID)
ConversationId = NewType("ConversationId", UUID)
MessageId = NewType("MessageId", UUID)
DocumentId = NewType("DocumentId", UUID)
LongJobId = NewType("LongJobId", UUID)
EventId = NewType("EventId", UUID)


def new_id() -> UUID:
    """Make a uuid version 7 (RFC 9562, section 5.7): 48 bits of Unix milliseconds, then random bits."""
    milliseconds = time.time_ns() // 1_000_000
    value = (milliseconds << 80) | int.from_bytes(os.urandom(10), "big")
    value = (value & ~(0xF << 76)) | (0x7 << 76)
    value = (value & ~(0x3 << 62)) | (0x2 << 62)
    return UUID(int=value)
