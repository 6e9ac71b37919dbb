"""Events in: a request begins an answer, a moment later; a newer request or a person's act ends it.

Ending stands in the live lane, so that it never waits behind the answer it is to end.
"""

from dana.contracts.events import (
    AnswerRequested,
    ConversationAssigned,
    ConversationResolved,
    ConversationsDeleted,
    ConversationTakenOver,
)
from dana.contracts.ids import ConversationId
from dana.contracts.views import Status
from dana.platform.bus import Consumer, Envelope, Lane, Worker
from dana.platform.database import Tx
from dana.platform.identity import ASSISTANT
from dana.services.ai.actions.answering import BURST_SECONDS, answer
from dana.services.ai.actions.desk import Desk


def consumers(desk: Desk) -> list[Consumer | Worker]:
    """Bind the handlers to what they need."""

    async def on_answer_requested(envelope: Envelope, event: AnswerRequested) -> None:
        await answer(desk, envelope, event)

    async def on_newer_request(envelope: Envelope, event: AnswerRequested) -> None:
        await _supersede(desk, envelope, event.conversation_id)

    async def on_person_acted(
        envelope: Envelope, event: ConversationTakenOver | ConversationAssigned | ConversationResolved
    ) -> None:
        conversation = event.conversation
        is_still_ours = conversation.status is Status.PENDING and conversation.assignee_id is None
        if not is_still_ours:  # taking an assignment back leaves the conversation with the assistant
            await _supersede(desk, envelope, conversation.id)

    async def on_deleted(tx: Tx, event: ConversationsDeleted) -> None:
        await desk.fences.forget(tx, event.conversation_ids)

    return [
        Consumer(event=ConversationsDeleted, run=on_deleted, lane=Lane.BULK),
        Worker(event=AnswerRequested, run=on_answer_requested, lane=Lane.AI, delay_seconds=BURST_SECONDS),
        Worker(event=AnswerRequested, run=on_newer_request, lane=Lane.LIVE),
        Worker(event=ConversationTakenOver, run=on_person_acted, lane=Lane.LIVE),
        Worker(event=ConversationAssigned, run=on_person_acted, lane=Lane.LIVE),
        Worker(event=ConversationResolved, run=on_person_acted, lane=Lane.LIVE),
    ]


async def _supersede(desk: Desk, envelope: Envelope, conversation_id: ConversationId) -> None:
    desk.fences.tell(conversation_id, envelope.cursor)
    async with desk.shards.tx(envelope.org_id, ASSISTANT) as tx:
        await desk.fences.raise_to(tx, conversation_id, envelope.cursor)
