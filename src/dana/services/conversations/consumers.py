"""Events in: the assistant's answers, and the members of the organization."""

from dana.contracts.events import AnswerProposed, MemberChanged, MemberJoined
from dana.platform.bus import Consumer
from dana.platform.database import Tx
from dana.services.conversations import actions


async def on_answer_proposed(tx: Tx, event: AnswerProposed) -> None:
    """Append the answer if its turn is still the current one."""
    await actions.append_answer(tx, event)


async def on_member(tx: Tx, event: MemberJoined | MemberChanged) -> None:
    """Keep the copy of the member."""
    await actions.remember_member(tx, event.member)


CONSUMERS = [
    Consumer(event=AnswerProposed, run=on_answer_proposed),
    Consumer(event=MemberJoined, run=on_member),
    Consumer(event=MemberChanged, run=on_member),
]
