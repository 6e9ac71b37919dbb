"""Deleting many conversations, as a long job: a hundred at a time, so that nobody waits long behind it."""

from typing import Any

import msgspec

from dana.contracts.events import ConversationsDeleted, ConversationsJobAdvanced
from dana.contracts.views import LongJobView
from dana.platform.database import Tx
from dana.platform.errors import Invalid
from dana.platform.longjobs import Advance, Kind, LongJob, Request, request
from dana.services.conversations import store
from dana.services.conversations.models import bulk
from dana.services.conversations.models.bulk import Choice, Deletion, Place

CONVERSATIONS_AT_ONCE = 100
MESSAGES_AT_ONCE = 2_000  # some 50 ms; one conversation with more than that goes as a whole


async def request_deletion(tx: Tx, choice: Choice, key: str | None) -> tuple[LongJobView, bool]:
    """Ask for conversations to be deleted; raises Invalid unless it is said how long they have been quiet."""
    if choice.quiet_since is None:
        raise Invalid("Say with `quiet_since` since when the conversations must have been quiet.")
    choice = bulk.checked_choice(choice, tx.now)
    inbox = await store.inbox(tx, choice.inbox_id) if choice.inbox_id else None
    about = bulk.about(choice, inbox.name if inbox else None)
    return await request(tx, ConversationsJobAdvanced, Request("delete_conversations", about, choice, key))


async def _delete_some(tx: Tx, job: LongJob, _: Any) -> Advance:
    choice = msgspec.convert(job.arguments, Choice)
    total = None
    if job.resume is None:
        total = await store.count_chosen(tx, choice)
    last = msgspec.convert(job.resume, Deletion | None)
    places = _a_chunk(await store.places_after(tx, choice, last, CONVERSATIONS_AT_ONCE))
    if not places:
        return Advance(more=0, total=total, is_finished=True)
    doomed = await store.lock_quiet(tx, choice, [place.id for place in places])
    if doomed:
        await store.delete_conversations(tx, doomed)
        tx.emit(ConversationsDeleted(conversation_ids=tuple(one.id for one in doomed)))
    end = places[-1]
    return Advance(
        more=len(doomed),
        total=total,
        resume=Deletion(active_at=end.active_at, conversation_id=end.id),
    )


def _a_chunk(places: list[Place]) -> list[Place]:
    """Take as many conversations as have few enough messages, but at least one."""
    messages = 0
    for count, place in enumerate(places):
        messages += place.last_seq
        if messages > MESSAGES_AT_ONCE and count:
            return places[:count]
    return places


DELETION = Kind("delete_conversations", _delete_some)
