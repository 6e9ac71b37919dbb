"""Search through the whole service: what is found, in which order, by whom, and how it stops early."""

import random
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import asyncpg
import pytest

from dana.contracts.ids import MessageId, OrgId, new_id
from dana.contracts.views import ConversationView
from dana.platform.database import address
from dana.platform.settings import Settings
from dana.services.conversations import actions, store
from dana.services.conversations.jobs import jobs
from dana.services.conversations.models.finding import asked_keys, search_keys
from dana.services.conversations.models.nouns import Bookmark, Found
from tests.services.conversations.conftest import OpenDesk
from tests.services.conversations.desk import Desk

FORMER_WRITE = (  # as a process of the release before would call it
    "select conversations.lock_to_write($1, null, $2, 'customer', null, 'Carla', $3, false, now(), $3,"
    " array['open', 'pending'], false, true, 1)"
)


async def found(desk: Desk, query: str, before: Bookmark | None = None, limit: int = 50) -> Found:
    async with desk.read() as tx:
        return await actions.search_messages(tx, query, before, limit)


async def seqs(desk: Desk, query: str) -> list[int]:
    return [hit.seq for hit in (await found(desk, query)).hits]


async def everything(desk: Desk, query: str, limit: int) -> list[MessageId]:
    """Turn all the pages."""
    ids, place = [], None
    while True:
        page = await found(desk, query, place, limit)
        assert len(page.hits) <= limit
        ids += [hit.bookmark.message_id for hit in page.hits]
        if page.next_page is None:
            return ids
        place = page.next_page


async def start(desk: Desk, name: str, email: str | None) -> ConversationView:
    async with desk.tx() as tx:
        return await actions.start(tx, desk.inbox.id, name, email, None)


@pytest.fixture
async def admin(desk: Desk, settings: Settings) -> AsyncIterator[asyncpg.Connection]:
    """The administrator on the desk's shard."""
    route = await desk.shards.route(desk.org_id)
    homes = await desk.shards.catalog.shards()
    connection = await asyncpg.connect(address(settings.database_url, database=homes[route.shard].database))
    yield connection
    await connection.close()


async def test_what_everybody_wrote_is_found_newest_first(desk: Desk) -> None:
    view = await desk.start()
    await desk.write(view, "My order has not arrived")  # opens with the rules
    await desk.write(view, "The order number is 4711")
    async with desk.by_ana() as tx:
        await actions.take_over(tx, view.id)
        await actions.reply(tx, view.id, "Let me look at your order", None, is_private=False)
        await actions.reply(tx, view.id, "third order this week", None, is_private=True)
    assert await seqs(desk, "order") == [5, 4, 2, 1]
    assert await seqs(desk, "ORDER 4711") == [2]
    assert await seqs(desk, "orders") == []
    assert await seqs(desk, "joined") == []
    hit = (await found(desk, "third order")).hits[0]
    assert (hit.is_private, hit.author_name, hit.conversation.id) == (True, "Ana", view.id)
    assert hit.conversation == await desk.view(view.id)


async def test_a_plain_message_is_found_as_one_written_by_the_rules(desk: Desk) -> None:
    view = await desk.start()
    async with desk.by_ana() as tx:
        await actions.take_over(tx, view.id)
    for word in ("plainly", "plainly again"):
        async with desk.by_ana() as tx:
            await actions.reply(tx, view.id, word, None, is_private=False)
    assert await seqs(desk, "plainly") == [3, 2]


async def test_a_contact_is_found_by_name_and_address_in_the_first_message(desk: Desk) -> None:
    carla = await start(desk, "Carla Núñez", "carla.nunez@example.org")
    other = await start(desk, "Carl", None)
    for view in (carla, other):
        await desk.write(view, "hello")
        await desk.write(view, "are you there?")
    for query in ("carla", "nuñez", "carla.nunez@example.org", "hello carla", "example.org nunez"):
        assert [(hit.conversation.id, hit.seq) for hit in (await found(desk, query)).hits] == [(carla.id, 1)]
    assert await seqs(desk, "carl") == [1, 1]
    assert await seqs(desk, "carla there") == []


async def test_a_first_message_that_looks_plain_is_found_by_its_contact(desk: Desk) -> None:
    view = await start(desk, "Dorothea", None)
    async with desk.by_ana() as tx:
        await actions.reply(tx, view.id, "note to self", None, is_private=True)
    assert await seqs(desk, "dorothea") == [1]


async def test_a_second_organization_finds_only_its_own(
    desk: Desk, other_org: OrgId, open_desk: OpenDesk
) -> None:
    other = await open_desk(other_org)
    for one in (desk, other):
        await one.write(await start(one, f"Zacharias {one.org_id.hex}", None), "a secret word")
    for one in (desk, other):
        hits = (await found(one, "secret zacharias")).hits
        assert [hit.conversation.contact.name for hit in hits] == [f"Zacharias {one.org_id.hex}"]
    async with other.read() as tx:  # even with the first one's numbers, and what the function itself returns
        assert await store.search(tx, asked_keys(desk.org_id, ["secret"]), None, 10, 1.0) == ([], None)
        [own], _ = await store.search(tx, [], None, 10, 1.0)
        assert [hit.bookmark.message_id for hit in await store.candidates(tx, [own])] == [own]


WORDS = {"common": 2, "frequent": 10, "seldom": 400, "rare": 2_000}
MESSAGES = 3_000


async def crowd(desk: Desk, admin: asyncpg.Connection, latest: int) -> dict[str, list[MessageId]]:
    """Fill all sizes of windows; returns which messages have which word, newest first."""
    chance = random.Random(5)  # noqa: S311 - a load
    view = await desk.start()
    cursors = sorted(chance.choices(range(latest), k=MESSAGES // 2))
    cursors += range(latest, latest + MESSAGES // 2)  # a dense end after a sparse beginning
    rows, having = [], {word: list[MessageId]() for word in WORDS}
    for seq, cursor in enumerate(cursors, start=10):
        message_id = MessageId(new_id())
        said = [word for word, one_in in WORDS.items() if chance.randrange(one_in) == 0] or ["nothing"]
        rows.append((desk.org_id, message_id, view.id, seq, " ".join(said), cursor))
        for word in said:
            having.setdefault(word, []).append(message_id)
    order = {row[1]: (row[5], row[1]) for row in rows}
    await admin.executemany(
        "insert into conversations.messages (org_id, id, conversation_id, seq, author, author_name, text,"
        " is_private, created_at, cursor, search_keys)"
        " values ($1, $2, $3, $4, 'customer', 'Carla', $5, false, now(), $6,"
        " $7::int[] || conversations.window_keys($1, $6))",
        [(*row, search_keys(desk.org_id, row[4])) for row in rows],
    )
    await admin.execute(
        "update platform.org_cursor set value = $2 where org_id = $1", desk.org_id, latest + MESSAGES
    )
    return {word: sorted(ids, key=order.__getitem__, reverse=True) for word, ids in having.items()}


async def test_every_page_of_every_frequency_is_complete_and_in_order(
    desk: Desk, admin: asyncpg.Connection
) -> None:
    having = await crowd(desk, admin, 700_000)
    for word in WORDS:
        assert await everything(desk, word, 100) == having[word], word
    assert (await everything(desk, "seldom", 3)) == having["seldom"]
    both = [one for one in having["frequent"] if one in set(having["common"])]
    assert len(both) > 50
    assert await everything(desk, "common frequent", 37) == both
    assert await everything(desk, "common nothing", 10) == []


async def test_a_search_that_stops_early_says_so_and_goes_on_where_it_stopped(
    desk: Desk, admin: asyncpg.Connection
) -> None:
    having = await crowd(desk, admin, 50_000)
    ids: list[MessageId] = []
    place: Bookmark | None = None
    stops = 0
    async with desk.read() as tx:
        while stops == 0 or place is not None:
            some, place = await store.search(tx, asked_keys(desk.org_id, ["seldom"]), place, 10, 0.0)
            ids += some
            stops += 1
    assert ids == having["seldom"]
    assert stops > 3


async def test_what_an_older_release_wrote_is_found_after_the_job(
    desk: Desk, admin: asyncpg.Connection
) -> None:
    view = await start(desk, "Carla Gómez", None)
    await desk.write(view, "first of all")
    async with desk.tx() as tx:
        await tx.execute(FORMER_WRITE, view.id, new_id(), "second of all")
        await tx.execute(FORMER_WRITE, view.id, new_id(), "third of all")
    await desk.write(view, "fourth of all")
    await admin.execute(
        "update conversations.messages set search_keys = null, cursor = null"
        " where conversation_id = $1 and seq = 1",
        view.id,
    )
    assert await seqs(desk, "all") == [4]
    for job in jobs(desk.shards):
        await job.run()
    assert await seqs(desk, "all") == [4, 3, 2, 1]
    assert await seqs(desk, "gomez") == [1]
    assert await admin.fetchval("select count(*) from conversations.messages where search_keys is null") == 0


async def test_nothing_is_woken_or_made_searchable_where_an_organization_no_longer_lives(
    desk: Desk, admin: asyncpg.Connection
) -> None:
    view = await desk.start()
    await desk.write(view, "left behind")
    await admin.execute(
        "update conversations.messages set search_keys = null where conversation_id = $1", view.id
    )
    route = await desk.shards.route(desk.org_id)
    shard, later = route.shard, datetime.max.replace(tzinfo=UTC)
    assert desk.org_id in {one.org_id for one in await store.unsearchable(desk.shards, shard, 10_000)}
    assert desk.org_id in {one.org_id for one in await store.due(desk.shards, shard, later, 10_000)}
    await admin.execute("update platform.org_placement set state = 'moved' where org_id = $1", desk.org_id)
    assert desk.org_id not in {one.org_id for one in await store.unsearchable(desk.shards, shard, 10_000)}
    assert desk.org_id not in {one.org_id for one in await store.due(desk.shards, shard, later, 10_000)}


@pytest.mark.parametrize("query", ["?!", "\N{SLIGHTLY SMILING FACE}", "' or 1=1 --", "%_", "\x00"])
async def test_strange_queries_find_nothing(desk: Desk, query: str) -> None:
    await desk.write(await desk.start(), "hello")
    assert await found(desk, query) == Found([], None, is_cut_short=False)


async def test_the_index_is_the_services_only_through_the_function(desk: Desk) -> None:
    """Reads past row-level security stay inside the function: the table itself shows only one's own."""
    async with desk.read() as tx:
        rows: list[Any] = await tx.fetch("select distinct org_id from conversations.messages")
    assert {row["org_id"] for row in rows} <= {desk.org_id}
