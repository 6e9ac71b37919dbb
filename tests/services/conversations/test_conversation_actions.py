"""The actions on a real database: what is stored is what the rules said, under concurrency, too."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from dana.contracts.events import AnswerProposed
from dana.contracts.ids import ConversationId, MessageId, UserId, new_id
from dana.contracts.views import Action, Author, ConversationView, MemberView, Role, Status
from dana.platform.database import Tx
from dana.platform.errors import Conflict, Invalid, Missing
from dana.services.conversations import actions, store
from dana.services.conversations.jobs import jobs
from dana.services.conversations.models.nouns import Counts, Filter
from tests.services.conversations.desk import Desk


async def propose(
    desk: Desk, conversation_id: ConversationId, turn: int, action: Action = Action.REPLY
) -> None:
    async with desk.tx() as tx:
        await actions.append_answer(
            tx,
            AnswerProposed(
                conversation_id=conversation_id,
                turn=turn,
                message_id=MessageId(new_id()),
                action=action,
                text="Within 30 days.",
                citations=(),
                reason="The knowledge does not cover it." if action is Action.HAND_OVER else "",
                author_name="Robin",
            ),
        )


async def turn_of(desk: Desk, conversation_id: ConversationId) -> int:
    async with desk.tx() as tx:
        return (await store.lock(tx, conversation_id)).turn


async def test_a_conversation_from_question_to_reopening(desk: Desk) -> None:
    view = await desk.start()
    assert (view.status, view.contact.name) == (Status.PENDING, "Carla")
    await desk.write(view, "How long can I return it?")
    await propose(desk, view.id, await turn_of(desk, view.id))
    await desk.write(view, "And the food bowl of my cat?")
    await propose(desk, view.id, await turn_of(desk, view.id), Action.HAND_OVER)
    assert (await desk.view(view.id)).status is Status.OPEN
    async with desk.by_ana() as tx:
        taken = await actions.take_over(tx, view.id)
    assert (taken.assignee_id, taken.assignee_name, taken.unread_count) == (desk.ana.id, "Ana", 0)
    async with desk.by_ana() as tx:
        await actions.reply(tx, view.id, "Yes, of course.", "k1", is_private=False)
        await actions.resolve(tx, view.id)
    assert await desk.counts() == Counts(resolved=1)
    await desk.write(view, "Thank you!")
    after = await desk.view(view.id)
    assert (after.status, after.assignee_name, after.unread_count) == (Status.OPEN, "Ana", 1)
    assert await desk.counts() == Counts(open=1, unread=1)
    written = await desk.messages(view.id)
    assert [message.seq for message in written] == list(range(1, len(written) + 1))
    assert [(m.author, m.author_name) for m in written if m.author is Author.ASSISTANT] == [
        (Author.ASSISTANT, "Robin")
    ] * 2
    assert after.last_seq == len(written)


async def test_parallel_messages_of_one_customer_come_in_order_and_once(desk: Desk) -> None:
    view = await desk.start()
    texts = [f"message {number}" for number in range(12)]
    await asyncio.gather(*(desk.write(view, text, key=text) for text in texts * 2))
    written = await desk.messages(view.id)
    assert [message.seq for message in written] == list(range(1, 13))
    assert sorted(message.text for message in written) == sorted(texts)
    assert (await desk.view(view.id)).unread_count == 12
    assert await turn_of(desk, view.id) == 12


async def test_two_messages_of_a_new_contact_in_parallel_are_one_conversation(desk: Desk) -> None:
    key = str(new_id())

    async def arrive(text: str) -> ConversationView:
        async with desk.tx() as tx:
            view = await actions.start(tx, desk.inbox.id, "Carla", "carla@example.org", key)
        await desk.write(view, text)
        return view

    first, second = await asyncio.gather(arrive("one"), arrive("two"))
    assert (first.id, first.contact.id) == (second.id, second.contact.id)
    assert sorted(message.text for message in await desk.messages(first.id)) == ["one", "two"]
    assert await desk.counts() == Counts(pending=1, unread=1)


async def test_a_key_used_for_another_message_is_refused(desk: Desk) -> None:
    view = await desk.start()
    first = await desk.write(view, "hello", "same")
    assert await desk.write(view, "hello", "same") == first
    with pytest.raises(Conflict):
        await desk.write(view, "something else", "same")
    with pytest.raises(Conflict):
        async with desk.by_ana() as tx:
            await actions.reply(tx, view.id, "hello", "same", is_private=False)
    assert len(await desk.messages(view.id)) == 1


async def test_an_answer_of_an_older_turn_is_thrown_away(desk: Desk) -> None:
    view = await desk.start()
    await desk.write(view, "one")
    turn = await turn_of(desk, view.id)
    await desk.write(view, "two")
    await propose(desk, view.id, turn)
    await propose(desk, view.id, turn + 1)
    await propose(desk, view.id, turn + 1)
    authors = [message.author for message in await desk.messages(view.id)]
    assert authors == [Author.CUSTOMER, Author.CUSTOMER, Author.ASSISTANT]


@pytest.mark.parametrize("act", ["take_over", "reply", "assign", "resolve", "snooze"])
async def test_no_answer_comes_after_a_person_acted(desk: Desk, act: str) -> None:
    view = await desk.start()
    await desk.write(view, "a question")
    turn = await turn_of(desk, view.id)
    async with desk.by_ana() as tx:
        await _act(tx, act, desk, view)
    await propose(desk, view.id, turn)
    assert Author.ASSISTANT not in [message.author for message in await desk.messages(view.id)]


async def test_a_race_between_answer_and_take_over_has_one_order(desk: Desk) -> None:
    for _ in range(10):
        view = await desk.start()
        await desk.write(view, "a question")
        turn = await turn_of(desk, view.id)

        async def take_over(conversation_id: ConversationId = view.id) -> None:
            async with desk.by_ana() as tx:
                await actions.take_over(tx, conversation_id)

        await asyncio.gather(propose(desk, view.id, turn), take_over())
        authors = [message.author for message in await desk.messages(view.id)]
        if Author.ASSISTANT in authors:
            assert authors.index(Author.ASSISTANT) < authors.index(Author.SYSTEM)


async def _act(tx: Tx, act: str, desk: Desk, view: ConversationView) -> None:
    match act:
        case "reply":
            await actions.reply(tx, view.id, "I am here.", None, is_private=False)
        case "assign":
            await actions.assign(tx, view.id, desk.bob.id)
        case "snooze":
            await actions.snooze(tx, view.id, datetime.now(UTC) + timedelta(hours=1))
        case _:
            await getattr(actions, act)(tx, view.id)


async def test_only_active_members_may_be_assigned(desk: Desk) -> None:
    view = await desk.start()
    bob_id = desk.bob.id
    with pytest.raises(Invalid, match="no member"):
        async with desk.by_ana() as tx:
            await actions.assign(tx, view.id, UserId(new_id()))
    async with desk.by_ana() as tx:
        assigned = await actions.assign(tx, view.id, bob_id)
    assert (assigned.status, assigned.assignee_name) == (Status.OPEN, "Bob")
    left = MemberView(user_id=bob_id, name="Bob", email="bob@example.org", role=Role.AGENT, is_active=False)
    async with desk.tx() as tx:
        await actions.remember_member(tx, left)
    assert (await desk.view(view.id)).assignee_id is None
    with pytest.raises(Invalid, match="not active"):
        async with desk.by_ana() as tx:
            await actions.assign(tx, view.id, bob_id)


async def test_a_new_name_reaches_the_conversations_of_that_person(desk: Desk) -> None:
    view = await desk.start()
    async with desk.by_ana() as tx:
        before = await actions.take_over(tx, view.id)
    renamed = MemberView(user_id=desk.ana.id, name="Ana Lima", email="ana@example.org", role=Role.AGENT)
    async with desk.tx() as tx:
        await actions.remember_member(tx, renamed)
    after = await desk.view(view.id)
    assert (after.assignee_name, after.version) == ("Ana Lima", before.version + 1)


async def test_the_clock_wakes_sleepers_and_calls_a_person_where_nobody_answered(desk: Desk) -> None:
    sleeper, waiting, fresh = await desk.start(), await desk.start(), await desk.start()
    await desk.write(waiting, "hello?")
    await desk.write(fresh, "hello?")
    async with desk.by_ana() as tx:
        await actions.snooze(tx, sleeper.id, datetime.now(UTC) + timedelta(milliseconds=20))
    await asyncio.sleep(0.05)
    async with desk.tx() as tx:
        change = await store.lock(tx, waiting.id)
        change.asked_at = datetime.now(UTC) - actions.ANSWER_PATIENCE - timedelta(seconds=1)
        change.set()
        await store.save(tx, change)
    clock = next(job for job in jobs(desk.shards) if job.name == "clock")
    await clock.run()
    assert [(await desk.view(c.id)).status for c in (sleeper, waiting, fresh)] == [
        Status.OPEN,
        Status.OPEN,
        Status.PENDING,
    ]
    assert await desk.counts() == Counts(open=2, pending=1, unread=2)


async def test_lists_page_by_activity_and_filter(desk: Desk) -> None:
    views = [await desk.start(f"Customer {number}") for number in range(5)]
    await desk.write(views[0], "I am the newest now")
    async with desk.by_bob() as tx:
        await actions.take_over(tx, views[1].id)
    expected = [views[1].id, views[0].id, views[4].id, views[3].id, views[2].id]
    seen: list[ConversationId] = []
    place = None
    async with desk.read() as tx:
        while page := await actions.list_conversations(tx, Filter(), place, 2):
            seen += [view.id for view in page]
            place = (page[-1].last_activity_at, page[-1].id)
        opened = await actions.list_conversations(tx, Filter(status=Status.OPEN), None, 9)
        bobs = await actions.list_conversations(tx, Filter(assignee_id=desk.bob.id), None, 9)
        inbox = await actions.list_conversations(tx, Filter(inbox_id=desk.inbox.id), None, 9)
    assert seen == expected
    assert [view.id for view in opened] == [view.id for view in bobs] == [views[1].id]
    assert len(inbox) == 5


async def test_a_start_key_must_be_hard_to_guess(desk: Desk) -> None:
    with pytest.raises(Invalid, match="UUID"):
        async with desk.tx() as tx:
            await actions.start(tx, desk.inbox.id, None, None, "1")


async def test_nothing_of_a_missing_conversation_or_inbox(desk: Desk) -> None:
    with pytest.raises(Missing):
        await desk.view(ConversationId(new_id()))
    with pytest.raises(Missing):
        async with desk.by_ana() as tx:
            await actions.resolve(tx, ConversationId(new_id()))


async def test_writing_at_once_stores_what_the_rules_say(desk: Desk) -> None:
    view = await desk.start()
    async with desk.by_ana() as tx:
        await actions.take_over(tx, view.id)
    await desk.write(view, "opens the count of unread")
    for text in ("a", "b" * 300, "🙂" * 250):
        before = await desk.view(view.id)
        async with desk.by_ana() as tx:
            note = (await actions.reply(tx, view.id, text, text[:9], is_private=True)).message
        written = await desk.write(view, text)
        async with desk.by_ana() as tx:
            await actions.reply(tx, view.id, "seen", None, is_private=False)
        async with desk.by_ana() as tx:
            reply = (await actions.reply(tx, view.id, text, None, is_private=False)).message
        assert [m for m in await desk.messages(view.id) if m.id in {note.id, written.id, reply.id}] == [
            note,
            written,
            reply,
        ]
        after = await desk.view(view.id)
        assert (after.last_text, after.last_author) == (text[:200], Author.AGENT)
        assert (after.last_seq, after.unread_count) == (before.last_seq + 4, 0)
        assert after.last_activity_at == reply.created_at
        await desk.write(view, "unread again")
    assert await desk.counts() == Counts(open=1, unread=1)
