"""Search: where messages stand that have certain keys, and the keys of messages that were written without."""

from datetime import timedelta

import msgspec

from dana.contracts.ids import MessageId, OrgId
from dana.contracts.views import Author
from dana.platform.database import Tx, outages_are_problems
from dana.platform.shards import Shards
from dana.services.conversations.models.finding import findable_texts, search_keys
from dana.services.conversations.models.nouns import Bookmark, Candidate, Unsearchable
from dana.services.conversations.store.rows import COLUMNS, WITH_CONTACT, contact_of, conversation_of

_json = msgspec.json.Encoder()

_CANDIDATES = f"""
  select m.id as message_id, m.cursor, m.seq, m.author, m.author_name, m.text, m.is_private,
         m.created_at as written_at, {COLUMNS}
    from conversations.messages m
    join conversations.conversations c on c.org_id = m.org_id and c.id = m.conversation_id {WITH_CONTACT}
   where m.id = any ($1::uuid[]) order by m.cursor desc, m.id desc
"""

_LOCK_KEYLESS = f"""
  select m.id as message_id, m.seq, m.author, m.text, {COLUMNS}
    from conversations.messages m
    join conversations.conversations c on c.org_id = m.org_id and c.id = m.conversation_id {WITH_CONTACT}
   where m.id = any ($1::uuid[]) and m.search_keys is null order by m.id for update of m skip locked
"""

_ADD_KEYS = """
  update conversations.messages m
     set cursor = k.cursor,
         search_keys = case when k.keys = '{}' then k.keys
                            else k.keys || conversations.window_keys(m.org_id, k.cursor) end
    from json_to_recordset($1::text::json) as k (id uuid, cursor bigint, keys int[])
   where m.id = k.id
"""


async def search(
    tx: Tx, keys: list[int], before: Bookmark | None, limit: int, patience_seconds: float
) -> tuple[list[MessageId], Bookmark | None]:
    """Find the newest messages with all these keys; and from where to go on, if there may be more."""
    rows = await tx.fetch(
        "select cursor, id, is_hit from conversations.search($1, $2, $3, $4, $5)",
        keys,
        before.cursor if before else None,
        before.message_id if before else None,
        limit,
        timedelta(seconds=patience_seconds),
    )
    stops = [Bookmark(row["cursor"], row["id"]) for row in rows if not row["is_hit"]]
    return [row["id"] for row in rows if row["is_hit"]], stops[0] if stops else None


async def candidates(tx: Tx, message_ids: list[MessageId]) -> list[Candidate]:
    """Read messages with their conversations, newest first."""
    rows = await tx.fetch(_CANDIDATES, message_ids)
    return [
        Candidate(
            bookmark=Bookmark(row["cursor"], row["message_id"]),
            conversation=conversation_of(row),
            seq=row["seq"],
            author=Author(row["author"]),
            author_name=row["author_name"],
            text=row["text"],
            is_private=row["is_private"],
            created_at=row["written_at"],
        )
        for row in rows
    ]


async def unsearchable(shards: Shards, shard: str, limit: int) -> list[Unsearchable]:
    """Name messages without keys on one shard, over all its organizations; raises Unavailable."""
    with outages_are_problems():
        pool = await shards.pool(shard)
        rows = await pool.fetch("select org_id, id from conversations.unsearchable($1)", limit)
    return [Unsearchable(OrgId(row["org_id"]), MessageId(row["id"])) for row in rows]


async def make_searchable(tx: Tx, message_ids: list[MessageId]) -> int:
    """Give messages their keys, and places in the order right after the message before; returns how many."""
    rows = await tx.fetch(_LOCK_KEYLESS, message_ids)
    if not rows:
        return 0
    before = await tx.fetchval(
        "select cursor from conversations.messages where id < $1 order by id desc limit 1",
        rows[0]["message_id"],
    )
    added = []
    for cursor, row in enumerate(rows, start=(before or 0) + 1):
        texts = findable_texts(row["seq"], Author(row["author"]), row["text"], contact_of(row))
        keys = search_keys(tx.org_id, *texts)
        added.append({"id": row["message_id"], "cursor": cursor, "keys": keys})
    await tx.execute(_ADD_KEYS, _json.encode(added).decode())
    return len(added)


async def tidy_search(shards: Shards, shard: str) -> None:
    """Sort in what the index of one shard has put off; raises Unavailable."""
    with outages_are_problems():
        pool = await shards.pool(shard)
        await pool.fetchval("select conversations.tidy_search()")
