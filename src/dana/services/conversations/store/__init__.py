"""The SQL of conversations. Row-level security adds the organization to every statement."""

from dana.services.conversations.store.finding import (
    candidates,
    make_searchable,
    search,
    tidy_search,
    unsearchable,
)
from dana.services.conversations.store.inboxes import (
    add_inbox,
    agent,
    inbox,
    inboxes,
    lock_inbox,
    put_agent,
    save_inbox,
)
from dana.services.conversations.store.reading import (
    assigned_to,
    conversation,
    conversations,
    counts,
    messages_after,
    messages_before,
)
from dana.services.conversations.store.writing import (
    add_conversation,
    due,
    lock,
    lock_start,
    lock_to_write,
    save,
)

__all__ = [
    "add_conversation",
    "add_inbox",
    "agent",
    "assigned_to",
    "candidates",
    "conversation",
    "conversations",
    "counts",
    "due",
    "inbox",
    "inboxes",
    "lock",
    "lock_inbox",
    "lock_start",
    "lock_to_write",
    "make_searchable",
    "messages_after",
    "messages_before",
    "put_agent",
    "save",
    "save_inbox",
    "search",
    "tidy_search",
    "unsearchable",
]
