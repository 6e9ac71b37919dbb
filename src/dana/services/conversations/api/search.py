"""Search in everything that was said, for members."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

import msgspec
from litestar import get
from litestar.params import QueryParameter

from dana.contracts.ids import MessageId
from dana.contracts.views import Author, ConversationView
from dana.platform.errors import Invalid
from dana.platform.http import decode_cursor, encode_cursor
from dana.platform.http.limited import limited
from dana.services.conversations import actions
from dana.services.conversations.api.parameters import AtDesk, Cursor, Limit
from dana.services.conversations.models.excerpts import Piece, excerpt, marked
from dana.services.conversations.models.finding import MAX_QUERY_CHARACTERS, asked_terms
from dana.services.conversations.models.nouns import Bookmark, Candidate

LARGEST_CURSOR = 2**63 - 1

Query = Annotated[str, QueryParameter(name="q", max_length=MAX_QUERY_CHARACTERS)]


class SearchHit(msgspec.Struct, frozen=True, kw_only=True):
    """A message that was found, and its conversation. Texts come in pieces, which match or not."""

    conversation: ConversationView
    seq: int
    """The message's place in its conversation."""
    author: Author
    author_name: str
    is_private: bool
    created_at: datetime
    excerpt: list[Piece]
    contact_name: list[Piece]
    contact_email: list[Piece]
    """Empty when no address is known."""


class SearchPage(msgspec.Struct, frozen=True, kw_only=True):
    """One page of hits, newest message first."""

    items: list[SearchHit]
    next_cursor: str | None
    is_cut_short: bool
    """The search took too long and stopped, maybe without a hit: older messages have not been looked at yet.
    `next_cursor` goes on there."""


@get("/search", operation_id="search_conversations", opt=limited("search", cost=5))
async def search_conversations(
    desk: AtDesk, *, q: Query, cursor: Cursor = None, limit: Limit = 20
) -> SearchPage:
    """Find messages that have all the words of `q`, private notes included, newest first.

    A word also finds words that begin with it, from four letters on. The names and addresses of contacts are
    found in the first message of their conversation. Case, accents and punctuation make no difference.
    """
    async with desk.read() as tx:
        found = await actions.search_messages(tx, q, _bookmark(cursor), limit)
    asked = asked_terms(q)
    return SearchPage(
        items=[_hit(candidate, asked) for candidate in found.hits],
        next_cursor=encode_cursor(*found.next_page) if found.next_page else None,
        is_cut_short=found.is_cut_short,
    )


def _hit(found: Candidate, asked: list[str]) -> SearchHit:
    contact = found.conversation.contact
    return SearchHit(
        conversation=found.conversation,
        seq=found.seq,
        author=found.author,
        author_name=found.author_name,
        is_private=found.is_private,
        created_at=found.created_at,
        excerpt=excerpt(found.text, asked),
        contact_name=marked(contact.name, asked),
        contact_email=marked(contact.email or "", asked),
    )


def _bookmark(cursor: str | None) -> Bookmark | None:
    if cursor is None:
        return None
    place, message_id = decode_cursor(cursor, 2)
    try:
        found = Bookmark(int(place), MessageId(UUID(message_id)))
    except ValueError:
        found = Bookmark(-1, MessageId(UUID(int=0)))
    if not 0 <= found.cursor <= LARGEST_CURSOR:
        raise Invalid("This cursor is not valid here; take it from `next_cursor` of the same list.")
    return found
