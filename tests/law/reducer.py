"""The reference reducer: what each event does to what a client keeps. Pure.

Whoever writes a client can read here what must be done with an event: mostly nothing but to put what it
carries in the place of what was known, unless that is newer.
"""

from collections.abc import Callable
from dataclasses import replace

from tests.law.state import Json, State


class MissedError(Exception):
    """An event that can't be applied, because one before it is missing."""


def apply(state: State, event: Json) -> State:
    """Return the state after an event; one that is older, or applied again, changes nothing."""
    return REDUCERS[event["type"]](state, event)


def _conversation(state: State, event: Json) -> State:
    conversation = event["conversation"]
    return replace(state, conversations=_newer(state.conversations, conversation))


def _started(state: State, event: Json) -> State:
    conversation = event["conversation"]["id"]
    is_new = conversation not in state.conversations
    messages = {**state.messages, conversation: []} if is_new else state.messages
    return _conversation(replace(state, messages=messages), event)


def _message(state: State, event: Json) -> State:
    message = event["message"]
    conversation = message["conversation_id"]
    state = _conversation(state, event)
    known = state.messages.get(conversation)
    if known is None or message["seq"] <= len(known):
        return state
    if message["seq"] > len(known) + 1:
        raise MissedError(f"message {message['seq']} of {conversation} comes after {len(known)}")
    return replace(state, messages={**state.messages, conversation: [*known, message]})


def _deleted(state: State, event: Json) -> State:
    gone = set(event["conversation_ids"])
    return replace(
        state,
        conversations={key: one for key, one in state.conversations.items() if key not in gone},
        messages={key: some for key, some in state.messages.items() if key not in gone},
    )


def _inbox(state: State, event: Json) -> State:
    return replace(state, inboxes={**state.inboxes, event["inbox"]["id"]: event["inbox"]})


def _member(state: State, event: Json) -> State:
    return replace(state, members={**state.members, event["member"]["user_id"]: event["member"]})


def _document(state: State, event: Json) -> State:
    return replace(state, documents=_newer(state.documents, event["document"]))


def _document_deleted(state: State, event: Json) -> State:
    rest = {key: one for key, one in state.documents.items() if key != event["document_id"]}
    return replace(state, documents=rest)


def _job(state: State, event: Json) -> State:
    if state.jobs is None:
        raise MissedError("who may not see long jobs was sent one")
    return replace(state, jobs=_newer(state.jobs, event["job"]))


def _organization(state: State, event: Json) -> State:
    return replace(state, organization=event["name"])


def _newer(known: Json, thing: Json) -> Json:
    before = known.get(thing["id"])
    return known if before and before["version"] >= thing["version"] else {**known, thing["id"]: thing}


REDUCERS: dict[str, Callable[[State, Json], State]] = {
    "conversation_assigned": _conversation,
    "conversation_handed_over": _conversation,
    "conversation_read": _conversation,
    "conversation_reopened": _conversation,
    "conversation_resolved": _conversation,
    "conversation_snoozed": _conversation,
    "conversation_started": _started,
    "conversation_taken_over": _conversation,
    "conversations_deleted": _deleted,
    "conversations_job_advanced": _job,
    "document_changed": _document,
    "document_deleted": _document_deleted,
    "document_queued": _document,
    "inbox_changed": _inbox,
    "inbox_created": _inbox,
    "knowledge_job_advanced": _job,
    "member_changed": _member,
    "member_joined": _member,
    "message_appended": _message,
    "organization_created": _organization,
}
