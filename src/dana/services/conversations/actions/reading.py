"""Reading conversations and their messages."""

from datetime import datetime

from dana.contracts.ids import ConversationId
from dana.contracts.views import ConversationView, MessageView
from dana.platform.database import Tx
from dana.services.conversations import store
from dana.services.conversations.models.nouns import Counts, Filter


async def find_conversation(tx: Tx, conversation_id: ConversationId) -> ConversationView:
    """Read a conversation; raises Missing."""
    return await store.conversation(tx, conversation_id)


async def list_conversations(
    tx: Tx, wanted: Filter, before: tuple[datetime, ConversationId] | None, limit: int
) -> list[ConversationView]:
    """List conversations, newest activity first."""
    return await store.conversations(tx, wanted, before, limit)


async def list_messages_before(
    tx: Tx, conversation_id: ConversationId, before: int | None, limit: int, *, is_public: bool
) -> list[MessageView]:
    """List the messages before this one, or the newest, newest first."""
    return await store.messages_before(tx, conversation_id, before, limit, is_public=is_public)


async def list_messages_after(
    tx: Tx, conversation_id: ConversationId, after: int, limit: int, *, is_public: bool
) -> list[MessageView]:
    """List the messages after this one, oldest first."""
    return await store.messages_after(tx, conversation_id, after, limit, is_public=is_public)


async def count(tx: Tx) -> Counts:
    """Say how many conversations stand where."""
    return await store.counts(tx)
