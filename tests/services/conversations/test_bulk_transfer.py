"""Conversations as files: an export is what was said; a file comes in once; bad lines are named."""

import gzip
import hashlib
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from dana.contracts.ids import OrgId
from dana.contracts.views import Author, ConversationView, JobState, LongJobView, Status
from dana.platform.errors import Invalid, Missing
from dana.services.conversations import actions
from dana.services.conversations.actions import exporting
from dana.services.conversations.models import files
from dana.services.conversations.models.bulk import Choice
from dana.services.conversations.models.nouns import Filter
from tests.services.conversations.bulk_desk import ask, do_chunk, finish, problems
from tests.services.conversations.conftest import OpenDesk
from tests.services.conversations.desk import Desk

WHEN = "2024-02-03T04:05:06Z"
CONVERSATION: dict[str, Any] = {
    "type": "conversation",
    "external_id": "c1",
    "contact": {"name": "Carla", "email": "carla@example.org"},
    "status": "resolved",
    "created_at": WHEN,
}
MESSAGE: dict[str, Any] = {
    "type": "message",
    "external_id": "m1",
    "conversation_external_id": "c1",
    "author": "customer",
    "author_name": "Carla",
    "text": "My octopus is broken",
    "created_at": WHEN,
}


def lines(*some: Any) -> bytes:
    return b"".join((one if isinstance(one, bytes) else json.dumps(one).encode()) + b"\n" for one in some)


async def exported(desk: Desk, choice: Choice | None = None) -> tuple[LongJobView, bytes]:
    job = await ask(desk, lambda tx: actions.request_export(tx, choice or Choice(), None))
    job = await finish(desk, job.id)
    packed = b"".join([part async for part in actions.file_content(desk.shards, desk.org_id, job.id)])
    async with desk.read() as tx:
        assert await actions.file_bytes(tx, job.id) == len(packed)
    return job, gzip.decompress(packed) if packed else b""


async def imported(desk: Desk, content: bytes, key: str | None = None) -> LongJobView:
    cut = actions.cut_file(content)
    job = await ask(desk, lambda tx: actions.request_import(tx, desk.inbox.id, "old.jsonl", cut, key))
    return await finish(desk, job.id)


async def conversations(desk: Desk) -> list[ConversationView]:
    async with desk.read() as tx:
        return await actions.list_conversations(tx, Filter(), None, 100)


async def talk(desk: Desk, name: str, *texts: str) -> ConversationView:
    view = await desk.start(name)
    for text in texts:
        await desk.write(view, text)
    return await desk.view(view.id)


async def test_an_export_has_every_word_in_order_and_says_how_to_check_it(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exporting, "CONVERSATIONS_AT_ONCE", 2)
    views = [await talk(desk, f"Carla {n}", f"hello {n}", "Grüße\n\u2028\x85 ☃") for n in range(5)]
    job, text = await exported(desk)
    found = [json.loads(line) for line in text.split(b"\n")[:-1]]
    assert [one["contact"]["name"] for one in found if one["type"] == "conversation"] == [
        view.contact.name for view in views
    ]
    said = [
        one["text"]
        for one in found
        if one["conversation_external_id" if "text" in one else "type"] == str(views[3].id)
    ]
    assert said == ["hello 3", "Grüße\n\u2028\x85 ☃"]
    async with desk.read() as tx:
        manifest = await actions.find_manifest(tx, job.id)
    assert (manifest.lines, manifest.bytes) == (len(found), len(text))
    assert len(manifest.parts) > 1
    for part in manifest.parts:
        piece = text[part.first_byte : part.first_byte + part.bytes]
        assert (hashlib.sha256(piece).hexdigest(), piece.count(b"\n")) == (part.sha256, part.lines)


@pytest.mark.parametrize("at_once", [1, 2, 3, 7, 100])
async def test_long_conversations_come_in_pieces_without_a_gap(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, at_once: int
) -> None:
    monkeypatch.setattr(exporting, "MESSAGES_AT_ONCE", at_once)
    short = await talk(desk, "Short", "one")
    long = await talk(desk, "Long", *[f"{n}" for n in range(7)])
    empty = await talk(desk, "Empty")
    job, text = await exported(desk)
    found = [json.loads(line) for line in text.split(b"\n")[:-1]]
    assert [one["external_id"] for one in found if one["type"] == "conversation"] == [
        str(view.id) for view in (short, long, empty)
    ]
    assert [one["text"] for one in found if one["type"] == "message"] == ["one", *[f"{n}" for n in range(7)]]
    assert (job.done, job.total) == (3, 3)


async def test_only_what_was_chosen_is_exported(desk: Desk) -> None:
    resolved = await talk(desk, "Resolved", "done")
    await talk(desk, "Pending", "waiting")
    async with desk.by_ana() as tx:
        await actions.resolve(tx, resolved.id)
    _, text = await exported(desk, Choice(status=Status.RESOLVED, inbox_id=desk.inbox.id))
    assert b"Resolved" in text
    assert b"Pending" not in text
    assert (await exported(desk, Choice(quiet_since=datetime(2020, 1, 1, tzinfo=UTC))))[1] == b""


async def test_the_file_of_an_unfinished_expired_or_foreign_export_is_not_there(
    desk: Desk, open_desk: OpenDesk, other_org: OrgId
) -> None:
    await talk(desk, "Carla", "hello")
    job = await ask(desk, lambda tx: actions.request_export(tx, Choice(), None))
    await do_chunk(desk, job.id)
    with pytest.raises(Missing, match="not finished"):
        async with desk.read() as tx:
            await actions.find_manifest(tx, job.id)
    job = await finish(desk, job.id)
    neighbour = await open_desk(other_org)
    with pytest.raises(Missing, match="no such job"):
        async with neighbour.read() as tx:
            await actions.find_manifest(tx, job.id)
    assert [part async for part in actions.file_content(desk.shards, other_org, job.id)] == []
    async with desk.tx() as tx:
        await tx.execute(
            "update platform.long_jobs set file_expires_at = now(), tidy_at = now() where id = $1", job.id
        )
    with pytest.raises(Missing, match="new export"):
        async with desk.read() as tx:
            await actions.find_manifest(tx, job.id)
    await actions.long_jobs(desk.shards).tidy((await desk.shards.route(desk.org_id)).shard)
    async with desk.read() as tx:
        assert (
            await tx.fetchval("select count(*) from conversations.job_parts where job_id = $1", job.id) == 0
        )


async def test_what_is_exported_here_can_be_imported_there(
    desk: Desk, open_desk: OpenDesk, other_org: OrgId
) -> None:
    view = await talk(desk, "Carla", "My octopus is broken", "Please help")
    async with desk.by_ana() as tx:
        await actions.reply(tx, view.id, "It has eight arms left", None, is_private=False)
        await actions.reply(tx, view.id, "secret", None, is_private=True)
        await actions.resolve(tx, view.id)
    _, text = await exported(desk)
    there = await open_desk(other_org)
    job = await imported(there, gzip.compress(text))
    assert (job.state, job.problems, job.done) == (JobState.DONE, 0, job.total)
    [arrived] = await conversations(there)
    assert (arrived.contact.name, arrived.status, arrived.unread_count) == ("Carla", Status.RESOLVED, 0)
    before, after = await desk.messages(view.id), await there.messages(arrived.id)
    assert [(m.seq, m.author, m.author_name, m.text, m.is_private, m.created_at) for m in before] == [
        (m.seq, m.author, m.author_name, m.text, m.is_private, m.created_at) for m in after
    ]
    assert (await there.counts()).resolved == 1
    async with there.read() as tx:
        found = await actions.search_messages(tx, "octopus", None, 10)
        by_name = await actions.search_messages(tx, "Carla", None, 10)
    assert [hit.conversation.id for hit in found.hits] == [arrived.id]
    assert [hit.conversation.id for hit in by_name.hits] == [arrived.id]


async def test_the_same_file_twice_is_one_import(desk: Desk) -> None:
    content = lines(CONVERSATION, MESSAGE, MESSAGE | {"external_id": "m2", "text": "Again"}, MESSAGE)
    await imported(desk, content)
    state = [await desk.messages(view.id) for view in await conversations(desk)]
    assert [message.text for message in state[0]] == ["My octopus is broken", "Again"]
    job = await imported(desk, content + lines(MESSAGE | {"external_id": "m3", "text": "New"}))
    assert job.problems == 0
    [view] = await conversations(desk)
    assert [m.text for m in await desk.messages(view.id)] == ["My octopus is broken", "Again", "New"]


async def test_an_export_imported_where_it_comes_from_changes_nothing(desk: Desk) -> None:
    view = await talk(desk, "Carla", "one", "two")
    _, text = await exported(desk)
    assert (await imported(desk, text)).problems == 0
    assert await conversations(desk) == [view]


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        (b"{nonsense", "not JSON"),
        (b'{"type":"conversation"}', "external_id"),
        ({"type": "order"}, "order"),
        (MESSAGE | {"external_id": "x", "text": "  "}, "empty"),
        (MESSAGE | {"external_id": "x", "text": "nul\0"}, "NUL"),
        (MESSAGE | {"external_id": "x", "is_privat": True}, "is_privat"),
        (MESSAGE | {"external_id": "x", "author": "bot"}, "author"),
        (MESSAGE | {"external_id": "x", "conversation_external_id": "c9"}, "c9"),
        (MESSAGE | {"external_id": "x", "created_at": "yesterday"}, "created_at"),
        (MESSAGE | {"external_id": "x", "created_at": "2024-01-01T00:00:00"}, "created_at"),
        (MESSAGE | {"external_id": "x", "created_at": "2999-01-01T00:00:00Z"}, "future"),
        (MESSAGE | {"external_id": "x", "created_at": "0001-01-01T00:00:00+14:00"}, "before 1970"),
        (CONVERSATION | {"external_id": "c2", "created_at": "0001-01-01T00:00:00+14:00"}, "before"),
        (MESSAGE | {"external_id": "x", "nul\0field": 1}, "unknown field"),
        (MESSAGE | {"external_id": "x", "author": "a" * 5000}, "Invalid enum value"),
        (b'{"type":"message","external_id":"\\ud800"}', "not JSON"),
        (MESSAGE | {"external_id": ""}, "external id"),
        (CONVERSATION | {"external_id": "c2", "contact": {"name": ""}}, "name"),
        (CONVERSATION | {"external_id": "c2", "contact": {"name": "X", "email": "no"}}, "e-mail"),
        (b'{"a":' * 5000, "not JSON"),
        (b'"' + b"x" * 300_000 + b'"', "longer than"),
        (b'{"type":"message","text":"\xff"}', "not JSON"),
    ],
    ids=lambda value: None if isinstance(value, dict | bytes) else value,
)
async def test_a_bad_line_is_named_and_stops_no_other(desk: Desk, bad: Any, reason: str) -> None:
    after = MESSAGE | {"external_id": "m2", "text": "the last line"}
    job = await imported(desk, lines(CONVERSATION, MESSAGE, b"", bad, after))
    [problem] = await problems(desk, job)
    assert problem.number == 4
    assert reason in problem.reason
    [view] = await conversations(desk)
    assert [m.text for m in await desk.messages(view.id)] == ["My octopus is broken", "the last line"]


async def test_many_lines_come_in_many_chunks_each_once(desk: Desk) -> None:
    texts = [f"line {n}" for n in range(files.LINES_AT_ONCE * 2 + 50)]
    some = [MESSAGE | {"external_id": f"m{n}", "text": text} for n, text in enumerate(texts)]
    cut = actions.cut_file(lines(CONVERSATION, *some))
    job = await ask(desk, lambda tx: actions.request_import(tx, desk.inbox.id, "old.jsonl", cut, None))
    done = await do_chunk(desk, job.id)
    assert (done.done, done.total) == (files.LINES_AT_ONCE, len(texts) + 1)
    await finish(desk, job.id)
    [view] = await conversations(desk)
    assert [m.text for m in await desk.messages(view.id)] == texts
    async with desk.read() as tx:
        assert (
            await tx.fetchval("select count(*) from conversations.job_parts where job_id = $1", job.id) == 0
        )


async def test_what_was_not_resolved_waits_for_a_person_and_asks_no_assistant(desk: Desk) -> None:
    await imported(desk, lines(CONVERSATION | {"status": "pending"}, MESSAGE))
    [view] = await conversations(desk)
    assert (view.status, view.last_author) == (Status.OPEN, Author.CUSTOMER)
    async with desk.read() as tx:
        asked = await tx.fetchval(
            "select count(*) from platform.event_log where org_id = $1 and type = 'answer_requested'",
            desk.org_id,
        )
    assert asked == 0


async def test_a_conversation_that_was_deleted_comes_back_with_its_file(desk: Desk) -> None:
    await imported(desk, lines(CONVERSATION, MESSAGE))
    later = Choice(quiet_since=datetime.now(UTC) - timedelta(days=1))
    await finish(desk, (await ask(desk, lambda tx: actions.request_deletion(tx, later, None))).id)
    assert await conversations(desk) == []
    await imported(desk, lines(CONVERSATION, MESSAGE))
    assert len(await conversations(desk)) == 1


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "empty"),
        (gzip.compress(b"hello\n" * 1000)[:-20], "ends in the middle"),
        (b"\x1f\x8bnot really", "damaged"),
        (b"x" * (25 * 1024 * 1024 + 1), "larger than 25 MB"),
    ],
    ids=["empty", "cut off", "damaged", "too large"],
)
def test_a_file_that_cannot_be_read_is_refused_at_once(content: bytes, reason: str) -> None:
    with pytest.raises(Invalid, match=reason):
        actions.cut_file(content)


def test_a_small_file_that_unpacks_without_end_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "MAX_TEXT_BYTES", 5_000_000)
    with pytest.raises(Invalid, match="Unpacked"):
        actions.cut_file(gzip.compress(b"\n" * 6_000_000))


def test_lines_are_cut_where_they_end() -> None:
    text = b"".join(b"%d" % n + b"\n" for n in range(1_234)) + b"last"
    for content in (text, gzip.compress(text), gzip.compress(text[:100]) + gzip.compress(text[100:])):
        _, parts = actions.cut_file(content)
        numbered = [line for part in parts for line in files.unpacked(part)]
        assert [number for number, _ in numbered] == list(range(1, 1_236))
        assert b"\n".join(line for _, line in numbered) == text
