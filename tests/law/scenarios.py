"""A real action, or a few, for every event that members see.

Each scenario prepares its own organization; what it then does must publish the events that it names.
"""

import gzip
import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime

from dana.contracts import events as published
from dana.contracts.events import Event, event_type
from tests.law.stage import Stage
from tests.law.state import Json

PAGE = "# Returns\n\nYou may send everything back within thirty days."
UNREADABLE = "\x00\x01"
ENDED = {"done", "failed", "cancelled"}

Act = Callable[[Stage], Awaitable[object]]
IsOver = Callable[[list[Json]], bool]


@dataclass(frozen=True)
class Scenario:
    """What happens on a stage, and when all of it has been heard."""

    name: str
    shows: tuple[type[Event], ...]
    prepare: Act
    act: Act
    is_over: IsOver
    begins_with_nothing: bool = False
    """Whether the organization itself is what happens."""


SCENARIOS: list[Scenario] = []


def scenario(
    *shows: type[Event],
    prepare: Act | None = None,
    is_over: IsOver | None = None,
    begins_with_nothing: bool = False,
) -> Callable[[Act], Act]:
    """Make a scenario of what a function does; it is over when each of the events was heard."""

    def add(act: Act) -> Act:
        over = is_over or heard(*shows)
        name = act.__name__
        SCENARIOS.append(Scenario(name, shows, prepare or _nothing, act, over, begins_with_nothing))
        return act

    return add


def heard(*types: type[Event]) -> IsOver:
    """Make the question whether each of these events was heard."""
    wanted = {event_type(one) for one in types}
    return lambda events: wanted <= {event["type"] for event in events}


def is_job_over(events: list[Json]) -> bool:
    """Tell whether a long job was heard to end."""
    return any("job" in event and event["job"]["state"] in ENDED for event in events)


def ends_as(status: str) -> IsOver:
    """Make the question whether a document has come that far."""
    return lambda events: any("document" in one and one["document"]["status"] == status for one in events)


async def _nothing(stage: Stage) -> None:
    """Everything needed is there."""


async def _chat(stage: Stage) -> None:
    """Two conversations, of which the older one is on stage."""
    inbox = stage.props["inbox"] = await stage.open_inbox()
    stage.props["chat"] = await stage.begin(inbox, "Hello?")
    await stage.begin(inbox, "Is anybody there?", name="Finn")


async def _mine(stage: Stage) -> None:
    await _chat(stage)
    await stage.reply(stage.props["chat"], "Here I am.")


async def _resolved(stage: Stage) -> None:
    await _mine(stage)
    await stage.act(stage.props["chat"], "resolve")


async def _snoozed(stage: Stage) -> None:
    await _mine(stage)
    await stage.act(stage.props["chat"], "snooze", {"until": stage.later(hours=2)})


async def _colleague(stage: Stage) -> None:
    """A second member, who is assigned the conversation on stage."""
    await _chat(stage)
    stage.props["ben"] = await stage.join(await stage.invite())
    await stage.is_assignable(stage.props["ben"], stage.props["chat"])


async def _document(stage: Stage) -> None:
    stage.props["document"] = await stage.searchable("returns.md", PAGE)


@scenario(published.OrganizationCreated, published.MemberJoined, begins_with_nothing=True)
async def sign_up(stage: Stage) -> None:
    """Signing up was everything."""


async def _invited(stage: Stage) -> None:
    stage.props["invitation"] = await stage.invite()


@scenario(published.MemberJoined, prepare=_invited)
async def join(stage: Stage) -> None:
    await stage.join(stage.props["invitation"])


async def _invited_elder(stage: Stage) -> None:
    """Invite somebody who was there before the organization's owner."""
    stage.props["invitation"] = await stage.invite(stage.props["elder"]["email"])


@scenario(published.MemberJoined, prepare=_invited_elder)
async def join_who_was_somewhere_else_before(stage: Stage) -> None:
    await stage.join(stage.props["invitation"], "Zoe")


@scenario(published.MemberChanged, published.ConversationAssigned, prepare=_colleague)
async def rename_member(stage: Stage) -> None:
    await stage.do("PATCH", f"members/{stage.props['ben']['user_id']}", {"name": "Benedict", "role": "admin"})


@scenario(published.MemberChanged, published.MessageAppended, prepare=_colleague)
async def end_access_of_member(stage: Stage) -> None:
    await stage.do("PATCH", f"members/{stage.props['ben']['user_id']}", {"is_active": False})


@scenario(published.InboxCreated)
async def open_inbox(stage: Stage) -> None:
    await stage.open_inbox("Web", has_assistant=True)


async def _inboxes(stage: Stage) -> None:
    stage.props["inbox"] = await stage.open_inbox("Web")
    await stage.open_inbox("Shop")


@scenario(published.InboxChanged, prepare=_inboxes)
async def change_inbox(stage: Stage) -> None:
    body = {"name": "Website", "greeting": "Good day"}
    await stage.do("PATCH", f"inboxes/{stage.props['inbox']['id']}", body)


@scenario(published.ConversationStarted, prepare=_chat)
async def begin(stage: Stage) -> None:
    await stage.begin(stage.props["inbox"], name="Gil")


@scenario(published.MessageAppended, prepare=_chat)
async def customer_writes(stage: Stage) -> None:
    await stage.write(stage.props["chat"], "Hello again?")


@scenario(published.MessageAppended, prepare=_mine)
async def reply(stage: Stage) -> None:
    await stage.reply(stage.props["chat"], "Can I help?")


@scenario(published.MessageAppended, prepare=_chat)
async def note(stage: Stage) -> None:
    await stage.reply(stage.props["chat"], "She has called before.", is_private=True)


@scenario(published.ConversationTakenOver, published.MessageAppended, prepare=_chat)
async def take_over(stage: Stage) -> None:
    await stage.act(stage.props["chat"], "take-over")


@scenario(published.ConversationAssigned, published.MessageAppended, prepare=_colleague)
async def unassign(stage: Stage) -> None:
    await stage.act(stage.props["chat"], "assign", {"assignee_id": None})


async def _helped(stage: Stage) -> None:
    stage.props["chat"] = await stage.begin(await stage.open_inbox("Help", has_assistant=True))


@scenario(
    published.ConversationHandedOver,
    prepare=_helped,
    is_over=lambda events: any(
        "message" in event and event["message"]["text"].startswith("Handed over") for event in events
    ),
)
async def hand_over(stage: Stage) -> None:
    await stage.write(stage.props["chat"], "Which moons of Jupiter can I see from your terrace?")


@scenario(published.ConversationResolved, published.MessageAppended, prepare=_chat)
async def resolve(stage: Stage) -> None:
    await stage.act(stage.props["chat"], "resolve")


@scenario(published.ConversationReopened, published.MessageAppended, prepare=_resolved)
async def reopen(stage: Stage) -> None:
    await stage.act(stage.props["chat"], "reopen")


@scenario(published.ConversationReopened, published.MessageAppended, prepare=_resolved)
async def customer_reopens(stage: Stage) -> None:
    await stage.write(stage.props["chat"], "It is broken again.")


@scenario(published.ConversationReopened, published.MessageAppended, prepare=_snoozed)
async def customer_wakes(stage: Stage) -> None:
    await stage.write(stage.props["chat"], "Wake up!")


@scenario(published.ConversationSnoozed, published.MessageAppended, prepare=_chat)
async def snooze(stage: Stage) -> None:
    await stage.act(stage.props["chat"], "snooze", {"until": stage.later(hours=2)})


@scenario(published.ConversationRead, prepare=_chat)
async def read(stage: Stage) -> None:
    await stage.act(stage.props["chat"], "read")


@scenario(
    published.ConversationsDeleted,
    published.ConversationsJobAdvanced,
    prepare=_resolved,
    is_over=is_job_over,
)
async def delete_conversations(stage: Stage) -> None:
    body = {"status": "resolved", "quiet_since": stage.later()}
    await stage.do("POST", "conversations/deletions", body)


@scenario(published.ConversationsJobAdvanced, prepare=_chat, is_over=is_job_over)
async def export_conversations(stage: Stage) -> None:
    await stage.do("POST", "conversations/exports", {})


@scenario(
    published.ConversationStarted,
    published.MessageAppended,
    published.ConversationsJobAdvanced,
    prepare=_chat,
    is_over=is_job_over,
)
async def import_conversations(stage: Stage) -> None:
    """One comes from long ago, and is in no way the newest."""
    when = datetime(2020, 1, 2, 3, 4, 5, 678901, UTC).isoformat()
    contact = {"name": "Hal"}
    lines = [
        {
            "type": "conversation",
            "external_id": "1",
            "contact": contact,
            "status": "open",
            "created_at": when,
        },
        {
            "type": "message",
            "external_id": "2",
            "conversation_external_id": "1",
            "author": "customer",
            "author_name": "Hal",
            "text": "Do you read me?",
            "created_at": when,
        },
    ]
    content = gzip.compress("".join(json.dumps(line) + "\n" for line in lines).encode())
    form = {"inbox_id": stage.props["inbox"]["id"]}
    await stage.do("POST", "conversations/imports", files={"file": ("old.jsonl.gz", content)}, data=form)


@scenario(
    published.DocumentQueued, published.DocumentChanged, prepare=_document, is_over=ends_as("searchable")
)
async def upload(stage: Stage) -> None:
    await stage.upload("shipping.md", PAGE.replace("Returns", "Shipping"))


@scenario(published.DocumentChanged, is_over=ends_as("failed"))
async def upload_unreadable(stage: Stage) -> None:
    await stage.upload("broken.pdf", UNREADABLE)


async def _failed(stage: Stage) -> None:
    document = stage.props["document"] = await stage.upload("broken.pdf", UNREADABLE)
    await stage.until(f"knowledge/documents/{document['id']}", lambda one: one["status"] == "failed")


@scenario(published.DocumentQueued, published.DocumentChanged, prepare=_failed, is_over=ends_as("failed"))
async def retry_document(stage: Stage) -> None:
    await stage.do("POST", f"knowledge/documents/{stage.props['document']['id']}/retry")


@scenario(published.DocumentDeleted, prepare=_document)
async def delete_document(stage: Stage) -> None:
    await stage.do("DELETE", f"knowledge/documents/{stage.props['document']['id']}")


@scenario(published.KnowledgeJobAdvanced, published.DocumentChanged, prepare=_document, is_over=is_job_over)
async def reindex(stage: Stage) -> None:
    await stage.do("POST", "knowledge/reindex")
