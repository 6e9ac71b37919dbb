"""The verbs: what can be done with inboxes and conversations. Each runs inside the caller's transaction."""

from dana.services.conversations.actions.bulk import long_jobs
from dana.services.conversations.actions.deleting import request_deletion
from dana.services.conversations.actions.exporting import (
    Manifest,
    file_bytes,
    file_content,
    find_manifest,
    request_export,
)
from dana.services.conversations.actions.importing import cut_file, request_import
from dana.services.conversations.actions.inboxes import (
    change_inbox,
    create_inbox,
    find_inbox,
    list_inboxes,
    new_public_key,
)
from dana.services.conversations.actions.reading import (
    count,
    find_conversation,
    list_conversations,
    list_messages_after,
    list_messages_before,
)
from dana.services.conversations.actions.searching import (
    find_unsearchable,
    make_searchable,
    search_messages,
    tidy_search,
)
from dana.services.conversations.actions.talking import (
    ANSWER_PATIENCE,
    append_answer,
    assign,
    find_due,
    follow_clock,
    read,
    receive,
    remember_member,
    reopen,
    reply,
    resolve,
    snooze,
    start,
    take_over,
)

__all__ = [
    "ANSWER_PATIENCE",
    "Manifest",
    "append_answer",
    "assign",
    "change_inbox",
    "count",
    "create_inbox",
    "cut_file",
    "file_bytes",
    "file_content",
    "find_conversation",
    "find_due",
    "find_inbox",
    "find_manifest",
    "find_unsearchable",
    "follow_clock",
    "list_conversations",
    "list_inboxes",
    "list_messages_after",
    "list_messages_before",
    "long_jobs",
    "make_searchable",
    "new_public_key",
    "read",
    "receive",
    "remember_member",
    "reopen",
    "reply",
    "request_deletion",
    "request_export",
    "request_import",
    "resolve",
    "search_messages",
    "snooze",
    "start",
    "take_over",
    "tidy_search",
]
