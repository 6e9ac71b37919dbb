"""Search in everything that was said, by words, and by the names and addresses of contacts."""

import time

from dana.platform.database import Tx
from dana.platform.shards import Shards
from dana.services.conversations import store
from dana.services.conversations.models import finding
from dana.services.conversations.models.nouns import Bookmark, Candidate, Found, Unsearchable

PATIENCE_SECONDS = 0.1  # then the page is shown as it is; the search goes on where it ended
UNSEARCHABLE_AT_ONCE = 500


async def search_messages(tx: Tx, query: str, before: Bookmark | None, limit: int) -> Found:
    """Find the newest messages with all the words of a query, private notes included; raises Invalid."""
    asked = finding.asked_terms(query)
    if not asked:
        return Found([], None, is_cut_short=False)
    keys = finding.asked_keys(tx.org_id, asked)
    hits: list[Candidate] = []
    left_seconds = PATIENCE_SECONDS
    deadline = time.monotonic() + PATIENCE_SECONDS
    while left_seconds > 0:
        wanted = limit + 1 - len(hits)
        ids, before = await store.search(tx, keys, before, wanted, left_seconds)
        candidates = await store.candidates(tx, ids) if ids else []
        hits += [one for one in candidates if _is_hit(one, asked)]
        if len(hits) > limit:
            return Found(hits[:limit], hits[limit - 1].bookmark, is_cut_short=False)
        if before is None:
            return Found(hits, None, is_cut_short=False)
        left_seconds = deadline - time.monotonic()
    return Found(hits, before, is_cut_short=True)


async def find_unsearchable(shards: Shards, shard: str) -> list[Unsearchable]:
    """Name messages of all organizations of a shard that were written without keys."""
    return await store.unsearchable(shards, shard, UNSEARCHABLE_AT_ONCE)


async def make_searchable(tx: Tx, messages: list[Unsearchable]) -> int:
    """Let messages be found that were written without keys, as by an older release; returns how many."""
    return await store.make_searchable(tx, [message.message_id for message in messages])


async def tidy_search(shards: Shards, shard: str) -> None:
    """Sort in what the index of a shard has put off, so that no writer has to."""
    await store.tidy_search(shards, shard)


def _is_hit(candidate: Candidate, asked: list[str]) -> bool:
    """Look at the words themselves: the index knows their beginnings, and only as numbers."""
    contact = candidate.conversation.contact
    return finding.has_all(
        asked, *finding.findable_texts(candidate.seq, candidate.author, candidate.text, contact)
    )
