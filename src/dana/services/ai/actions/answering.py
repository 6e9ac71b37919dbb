"""Answering a customer: decide, show the draft while it grows, propose the answer, unless superseded."""

import asyncio
import time
from contextlib import suppress
from typing import Any

import structlog
from prometheus_client import Counter, Histogram

from dana.contracts.events import AnswerProposed, AnswerRequested
from dana.contracts.ids import ConversationId, MessageId, OrgId
from dana.contracts.views import Action
from dana.platform.bus import Envelope
from dana.platform.identity import Actor
from dana.services.ai import store
from dana.services.ai.actions.assistants import assistant_of
from dana.services.ai.actions.deciding import decide
from dana.services.ai.actions.desk import Desk
from dana.services.ai.actions.inquiry import Inquiry
from dana.services.ai.models.answer import QUOTES, Answer
from dana.services.ai.models.assistant import Assistant

ATTEMPTS_BEFORE_A_PERSON = 2  # after so many failed attempts the customer gets a person, not silence
STREAM_FRAMES = 10  # a quoted answer is there at once; it is shown in a few steps so that it can be followed
FRAME_SECONDS = 0.05
BURST_SECONDS = 0.5  # people write several short messages; those that come within this time get one answer
SETTLE_SECONDS = 0.5  # they greet, and ask right after; one more moment, and one answer does for both
TYPING_SECONDS = 3.0  # "is typing" is said again this often, because clients let it fade

ANSWERS = Counter("dana_answers_total", "What the assistant decided.", ["action", "made_by"])
ANSWER_SECONDS = Histogram(
    "dana_answer_seconds",
    "From taking a question up to proposing the answer.",
    ["made_by"],
    buckets=(0.1, 0.25, 0.5, 1, 2, 4, 8, 15, 30, 60),
)

log = structlog.get_logger(__name__)


async def answer(desk: Desk, envelope: Envelope, event: AnswerRequested) -> None:
    """Answer a customer's message, once, or not at all where somebody else has settled it.

    The message will have the id of the event that asked for it, so that a second attempt makes no second one.
    """
    async with desk.shards.tx(envelope.org_id, _actor(Assistant())) as tx:
        if not await store.raise_fence(tx, event.conversation_id, envelope.cursor):
            return
        assistant = await assistant_of(tx, desk.secrets)
    show = _Show(desk, envelope, event, assistant.name)
    with desk.fences.watching(event.conversation_id, envelope.cursor) as watch:
        work = asyncio.create_task(_answer(desk, envelope, event, assistant, show))
        watcher = asyncio.create_task(desk.fences.wait(envelope.org_id, event.conversation_id, watch))
        typing = asyncio.create_task(show.keep_typing())
        try:
            await asyncio.wait([work, watcher], return_when=asyncio.FIRST_COMPLETED)
            if not work.done():
                log.info("answer_superseded", organization=str(envelope.org_id), turn=event.turn)
                show.withdraw()
                return
            await work
        finally:
            await _stopped(work, watcher, typing)
            show.stop_typing()


async def _answer(
    desk: Desk, envelope: Envelope, event: AnswerRequested, assistant: Assistant, show: "_Show"
) -> None:
    started = time.perf_counter()
    inquiry = Inquiry(envelope.org_id, assistant, event.question, event.history)
    try:
        decided = await decide(desk, inquiry, show.draft)
    except Exception as error:
        if envelope.attempt < ATTEMPTS_BEFORE_A_PERSON:
            raise
        log.exception("answer_failed", organization=str(envelope.org_id), turn=event.turn)
        decided = _gave_up(inquiry, error)
    if decided.action is not Action.HAND_OVER and not decided.citations:
        await asyncio.sleep(SETTLE_SECONDS)
    if decided.made_by == QUOTES and decided.action is not Action.HAND_OVER:
        await show.stream(decided.text)
    await _propose(desk, envelope, event, assistant, decided)
    seconds = time.perf_counter() - started
    ANSWERS.labels(decided.action.value, decided.made_by).inc()
    ANSWER_SECONDS.labels(decided.made_by).observe(seconds)
    log.info(
        "answered",
        organization=str(envelope.org_id),
        conversation=str(event.conversation_id),
        action=decided.action.value,
        made_by=decided.made_by,
        confidence=round(decided.confidence, 3),
        reason=decided.reason,
        took_ms=round(seconds * 1000),
    )


async def _propose(
    desk: Desk, envelope: Envelope, event: AnswerRequested, assistant: Assistant, decided: Answer
) -> None:
    async with desk.shards.tx(envelope.org_id, _actor(assistant)) as tx:
        if not await store.finish_turn(tx, event.conversation_id, envelope.cursor):
            return
        tx.emit(
            AnswerProposed(
                conversation_id=event.conversation_id,
                turn=event.turn,
                message_id=MessageId(envelope.id),
                author_name=assistant.name,
                action=decided.action,
                text=decided.text,
                citations=decided.citations,
                reason=decided.reason,
            )
        )


class _Show:
    """What the customer and the team see of an answer before it is one: typing, and the growing draft."""

    def __init__(self, desk: Desk, envelope: Envelope, event: AnswerRequested, name: str) -> None:
        self._ephemera = desk.ephemera
        self._org_id: OrgId = envelope.org_id
        self._conversation_id: ConversationId = event.conversation_id
        self._turn = event.turn
        self._message_id = MessageId(envelope.id)
        self._name = name
        self._is_shown = False

    def draft(self, text: str) -> None:
        """Show the whole text so far."""
        self._is_shown = True
        self._draft(text, is_done=False)

    async def stream(self, text: str) -> None:
        """Show a finished text in a few steps."""
        words = text.split(" ")
        step = max(1, -(-len(words) // STREAM_FRAMES))
        for end in range(step, len(words), step):
            self.draft(" ".join(words[:end]))
            await asyncio.sleep(FRAME_SECONDS)
        self.draft(text)

    def withdraw(self) -> None:
        """Take the draft back: there will be no such message."""
        if self._is_shown:
            self._draft("", is_done=True)

    async def keep_typing(self) -> None:
        """Say that it is typing until cancelled."""
        while True:
            self._typing(is_typing=True)
            await asyncio.sleep(TYPING_SECONDS)

    def stop_typing(self) -> None:
        """Say that it no longer is."""
        self._typing(is_typing=False)

    def _draft(self, text: str, *, is_done: bool) -> None:
        self._publish(name="draft", message_id=self._message_id, turn=self._turn, text=text, done=is_done)

    def _typing(self, *, is_typing: bool) -> None:
        self._publish(name="typing", who="assistant", author_name=self._name, is_typing=is_typing)

    def _publish(self, **payload: Any) -> None:
        self._ephemera.publish(self._org_id, self._conversation_id, payload)


async def _stopped(*tasks: asyncio.Task[None]) -> None:
    for task in tasks:
        task.cancel()
    for task in tasks:
        with suppress(asyncio.CancelledError, Exception):
            await task


def _gave_up(inquiry: Inquiry, error: Exception) -> Answer:
    return Answer(
        action=Action.HAND_OVER,
        text=f"{inquiry.wording.failed} {inquiry.hand_over_text}",
        reason=f"The assistant failed ({type(error).__name__}).",
    )


def _actor(assistant: Assistant) -> Actor:
    return Actor("assistant", None, assistant.name)
