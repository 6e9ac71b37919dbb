"""Events in: the assistant's answers, the members of the organization, and the next chunks of long jobs."""

from contextlib import suppress

from dana.contracts.events import AnswerProposed, MemberChanged, MemberJoined
from dana.platform.bus import Consumer, Worker
from dana.platform.database import Tx
from dana.platform.errors import Missing
from dana.platform.shards import Shards
from dana.services.conversations import actions
from dana.services.conversations.actions.presenting import Presenting


async def on_answer_proposed(tx: Tx, event: AnswerProposed) -> None:
    """Append the answer if its turn is still the current one, and its conversation still there."""
    with suppress(Missing):
        await actions.append_answer(tx, event)


async def on_member(tx: Tx, event: MemberJoined | MemberChanged) -> None:
    """Keep the copy of the member."""
    await actions.remember_member(tx, event.member)


def consumers(shards: Shards, presenting: Presenting) -> list[Consumer | Worker]:
    """Build the consumers."""
    return [
        Consumer(event=AnswerProposed, run=on_answer_proposed),
        Consumer(event=MemberJoined, run=on_member),
        Consumer(event=MemberChanged, run=on_member),
        actions.long_jobs(shards).worker(),
        *presenting.workers(),
    ]
