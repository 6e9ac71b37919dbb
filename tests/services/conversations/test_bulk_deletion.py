"""Deleting many conversations: those that were chosen, with all that was said, and nobody else's."""

from datetime import UTC, datetime, timedelta

import msgspec
import pytest

from dana.contracts.events import AnswerProposed, ConversationsDeleted
from dana.contracts.ids import ConversationId, MessageId, OrgId, new_id
from dana.contracts.views import Action, ConversationView, JobState, Status
from dana.platform import longjobs
from dana.platform.errors import Invalid, Missing
from dana.services.conversations import actions, consumers
from dana.services.conversations.actions import deleting
from dana.services.conversations.models.bulk import Choice
from dana.services.conversations.models.nouns import Filter
from tests.services.conversations.bulk_desk import ask, do_chunk, finish
from tests.services.conversations.conftest import OpenDesk
from tests.services.conversations.desk import Desk

NOW = datetime.now(UTC)
LAST_YEAR = NOW - timedelta(days=365)
HALF_A_YEAR_AGO = NOW - timedelta(days=182)


async def talked(
    desk: Desk, text: str, *, at: datetime = LAST_YEAR, is_resolved: bool = True
) -> ConversationView:
    """Hold a conversation that ended long ago."""
    view = await desk.start()
    await desk.write(view, text)
    async with desk.by_ana() as tx:
        if is_resolved:
            await actions.resolve(tx, view.id)
        await tx.execute(
            "update conversations.conversations set last_activity_at = $2 where id = $1", view.id, at
        )
    return await desk.view(view.id)


async def deleted(desk: Desk, choice: Choice) -> int:
    job = await finish(desk, (await ask(desk, lambda tx: actions.request_deletion(tx, choice, None))).id)
    assert (job.state, job.done) == (JobState.DONE, job.total)
    return job.done


async def left(desk: Desk) -> set[ConversationId]:
    async with desk.read() as tx:
        return {view.id for view in await actions.list_conversations(tx, Filter(), None, 100)}


async def test_what_was_chosen_goes_with_all_that_was_said(desk: Desk) -> None:
    old = [await talked(desk, f"walrus number {n}") for n in range(3)]
    open_one = await talked(desk, "walrus that waits", is_resolved=False)
    young = await talked(desk, "young walrus", at=NOW - timedelta(days=3))
    choice = Choice(status=Status.RESOLVED, quiet_since=HALF_A_YEAR_AGO)
    assert await deleted(desk, choice) == 3
    assert await left(desk) == {open_one.id, young.id}
    counts = await desk.counts()
    assert (counts.resolved, counts.pending, counts.unread) == (1, 1, 1)
    async with desk.read() as tx:
        found = await actions.search_messages(tx, "walrus", None, 10)
        said = await tx.fetchval(
            "select count(*) from conversations.messages where conversation_id = any ($1::uuid[])",
            [view.id for view in old],
        )
    assert {hit.conversation.id for hit in found.hits} == {open_one.id, young.id}
    assert said == 0
    with pytest.raises(Missing):
        await desk.view(old[0].id)


@pytest.mark.parametrize("status", [None, *Status])
async def test_each_status_and_all_of_them_can_be_chosen(desk: Desk, status: Status | None) -> None:
    resolved = await talked(desk, "one")
    pending = await talked(desk, "two", is_resolved=False)
    gone = {None: {resolved.id, pending.id}, Status.RESOLVED: {resolved.id}, Status.PENDING: {pending.id}}
    choice = Choice(status=status, quiet_since=HALF_A_YEAR_AGO)
    assert await deleted(desk, choice) == len(gone.get(status, set()))
    there = {resolved.id, pending.id} - gone.get(status, set())
    assert await left(desk) == there
    counts = await desk.counts()
    assert (counts.resolved, counts.pending) == (resolved.id in there, pending.id in there)
    assert counts.unread == counts.pending


async def test_only_the_chosen_inbox_loses_anything(desk: Desk, open_desk: OpenDesk) -> None:
    other = await open_desk(desk.org_id)
    mine, theirs = await talked(desk, "mine"), await talked(other, "theirs")
    assert await deleted(desk, Choice(inbox_id=other.inbox.id, quiet_since=NOW)) == 1
    assert await left(desk) == {mine.id}
    with pytest.raises(Missing):
        await desk.view(theirs.id)


async def test_consoles_are_told_which_are_gone(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deleting, "CONVERSATIONS_AT_ONCE", 2)
    gone = {(await talked(desk, f"{n}")).id for n in range(5)}
    assert await deleted(desk, Choice(quiet_since=NOW)) == 5
    async with desk.read() as tx:
        rows = await tx.fetch(
            "select payload::text from platform.event_log"
            " where org_id = $1 and type = 'conversations_deleted'",
            desk.org_id,
        )
    told = [msgspec.json.decode(row["payload"], type=ConversationsDeleted) for row in rows]
    assert len(told) == 3
    assert {one for event in told for one in event.conversation_ids} == gone


async def test_chunks_are_small_in_messages_too(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deleting, "MESSAGES_AT_ONCE", 4)
    for n in range(4):
        await talked(desk, f"{n}")  # two messages each: what was asked, and that it was resolved
    job = await ask(desk, lambda tx: actions.request_deletion(tx, Choice(quiet_since=NOW), None))
    done = [(await do_chunk(desk, job.id)).done for _ in range(3)]
    assert done == [2, 4, 4]


async def test_what_came_to_life_again_meanwhile_stays(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deleting, "CONVERSATIONS_AT_ONCE", 1)
    first = await talked(desk, "first", at=LAST_YEAR)
    second = await talked(desk, "second", at=LAST_YEAR + timedelta(days=1))
    choice = Choice(quiet_since=HALF_A_YEAR_AGO)
    job = await ask(desk, lambda tx: actions.request_deletion(tx, choice, None))
    await do_chunk(desk, job.id)
    await desk.write(second, "I am back")
    job = await finish(desk, job.id)
    assert (job.done, job.total) == (1, 2)
    assert await left(desk) == {second.id}
    assert first.id != second.id


async def test_cancelled_halfway_the_rest_stays(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deleting, "CONVERSATIONS_AT_ONCE", 2)
    for n in range(5):
        await talked(desk, f"{n}")
    job = await ask(desk, lambda tx: actions.request_deletion(tx, Choice(quiet_since=NOW), None))
    await do_chunk(desk, job.id)
    async with desk.by_bob() as tx:
        cancelled = await longjobs.cancel(tx, job.id)
    assert (cancelled.done, cancelled.total) == (2, 5)
    assert await do_chunk(desk, job.id) == cancelled
    assert len(await left(desk)) == 3
    assert (await desk.counts()).resolved == 3


async def test_the_neighbour_keeps_everything(desk: Desk, open_desk: OpenDesk, other_org: OrgId) -> None:
    neighbour = await open_desk(other_org)
    theirs = await talked(neighbour, "theirs")
    await talked(desk, "mine")
    assert await deleted(desk, Choice(quiet_since=NOW)) == 1
    assert await left(neighbour) == {theirs.id}
    assert (await neighbour.counts()).resolved == 1


async def test_an_answer_that_comes_after_the_deletion_is_thrown_away(desk: Desk) -> None:
    view = await talked(desk, "Where is my parcel?", is_resolved=False)
    await deleted(desk, Choice(quiet_since=NOW))
    proposal = AnswerProposed(
        conversation_id=view.id,
        message_id=MessageId(new_id()),
        turn=1,
        action=Action.REPLY,
        text="Here.",
        citations=(),
        reason="",
        author_name="Assistant",
    )
    async with desk.tx() as tx:
        await consumers.on_answer_proposed(tx, proposal)
    assert await left(desk) == set()


@pytest.mark.parametrize(
    ("choice", "words"),
    [
        (Choice(status=Status.RESOLVED), "quiet_since"),
        (Choice(quiet_since=NOW + timedelta(days=1)), "future"),
        (Choice(quiet_since=datetime(2026, 1, 1)), "time zone"),  # noqa: DTZ001 - that is the point
    ],
)
async def test_a_deletion_without_an_age_or_from_the_future_is_refused(
    desk: Desk, choice: Choice, words: str
) -> None:
    with pytest.raises(Invalid, match=words):
        await ask(desk, lambda tx: actions.request_deletion(tx, choice, None))
