"""What the REST API shows of an organization, as one value that can be compared.

State        what a client keeps: things by their id
shown(…)     the same as lists, in the order and with the counts in which REST shows it
fetch(…)     what REST shows now
"""

from collections import Counter
from dataclasses import dataclass, field, fields
from datetime import datetime
from typing import Any

import httpx

from dana.contracts.views import Status

Json = dict[str, Any]

PAGE = 100
STATUSES = tuple(status.value for status in Status)


@dataclass(frozen=True)
class State:
    """One organization as somebody sees it. Only conversations that were looked into have messages here."""

    organization: str | None = None
    members: Json = field(default_factory=dict)
    inboxes: Json = field(default_factory=dict)
    conversations: Json = field(default_factory=dict)
    messages: Json = field(default_factory=dict)
    documents: Json = field(default_factory=dict)
    jobs: Json | None = field(default_factory=dict)
    """None for those who may not see them."""

    @classmethod
    def of(cls, seen: Json) -> "State":
        """Take in what was fetched."""
        by_id = {
            name: None
            if seen[name] is None
            else {thing.get("id") or thing["user_id"]: thing for thing in seen[name]}
            for name in ("members", "inboxes", "conversations", "documents", "jobs")
        }
        return cls(organization=seen["organization"], messages=seen["messages"], **by_id)  # type: ignore[arg-type]


def shown(state: State) -> Json:
    """Return what REST must show of this state."""
    conversations = sorted(state.conversations.values(), key=_activity, reverse=True)
    members = sorted(state.members.values(), key=_user_id)
    inboxes = sorted(state.inboxes.values(), key=_id)
    return {
        "organization": state.organization,
        "members": members,
        "inboxes": inboxes,
        "conversations": conversations,
        "lists": [
            {"filter": wanted, "ids": [one["id"] for one in conversations if wanted.items() <= one.items()]}
            for wanted in filters(inboxes, members)
        ],
        "counts": _counts(conversations),
        "messages": dict(sorted(state.messages.items())),
        "documents": sorted(state.documents.values(), key=_id, reverse=True),
        "jobs": None if state.jobs is None else sorted(state.jobs.values(), key=_id, reverse=True),
    }


def filters(inboxes: list[Json], members: list[Json]) -> list[Json]:
    """Return all lists that the console may show."""
    narrow: list[Json] = [{}]
    narrow += [{"inbox_id": inbox["id"]} for inbox in inboxes]
    narrow += [{"assignee_id": member["user_id"]} for member in members]
    return [{"status": status} | more for more in narrow for status in STATUSES]


async def fetch(http: httpx.AsyncClient, *, has_jobs: bool, is_thorough: bool = False) -> tuple[Json, int]:
    """Fetch all that REST shows, and up to which cursor, at a moment when nothing changes.

    Only thoroughly is each conversation asked for alone, too.
    """
    while True:
        seen, before = await fetch_parts(http, has_jobs=has_jobs)
        seen["lists"] = [
            {"filter": wanted, "ids": await _list(http, wanted, seen["conversations"])}
            for wanted in filters(seen["inboxes"], seen["members"])
        ]
        seen["counts"] = await _get(http, "/api/v1/conversations/counts")
        alone = [await _get(http, f"/api/v1/conversations/{one}") for one in seen["messages"] if is_thorough]
        if await cursor_of(http) == before:
            assert not is_thorough or {one["id"]: one for one in alone} == State.of(seen).conversations
            return {name: seen[name] for name in shown(State())}, before


async def fetch_parts(http: httpx.AsyncClient, *, has_jobs: bool) -> tuple[Json, int]:
    """Fetch what a client keeps, while it may be changing; and the cursor of before the first request."""
    cursor = await cursor_of(http)
    conversations = await _pages(http, "/api/v1/conversations", {})
    return {
        "organization": (await _get(http, "/api/v1/auth/me"))["organization_name"],
        "members": await _pages(http, "/api/v1/members", {}),
        "inboxes": await _pages(http, "/api/v1/inboxes", {}),
        "conversations": conversations,
        "messages": {
            one: found
            for one in sorted(one["id"] for one in conversations)
            if (found := await messages_of(http, one)) is not None
        },
        "documents": await _pages(http, "/api/v1/knowledge/documents", {}),
        "jobs": await _pages(http, "/api/v1/jobs", {}) if has_jobs else None,
    }, cursor


async def messages_of(http: httpx.AsyncClient, conversation_id: str) -> list[Json] | None:
    """Fetch all messages of a conversation, oldest first; None when it is gone."""
    found: list[Json] = []
    before: Json = {}
    while True:
        path = f"/api/v1/conversations/{conversation_id}/messages"
        answer = await http.get(path, params={"limit": PAGE} | before)
        if answer.status_code == httpx.codes.NOT_FOUND:
            return None
        page = answer.raise_for_status().json()
        found = page["items"] + found
        if page["next_cursor"] is None:
            return found
        before = {"before": page["next_cursor"]}


async def cursor_of(http: httpx.AsyncClient) -> int:
    """Ask how far the organization's events have come."""
    page = await _get(http, "/api/v1/conversations", {"limit": 1})
    return int(page["org_cursor"])


async def _list(http: httpx.AsyncClient, wanted: Json, conversations: list[Json]) -> list[str]:
    items = await _pages(http, "/api/v1/conversations", wanted)
    known = {one["id"]: one for one in conversations}
    changed = [one for one in items if known.get(one["id"], one) != one]
    return [one["id"] for one in items] if not changed else [f"shown otherwise: {changed}"]


async def _pages(http: httpx.AsyncClient, path: str, params: Json) -> list[Json]:
    found: list[Json] = []
    cursor: Json = {}
    while True:
        page = await _get(http, path, params | {"limit": PAGE} | cursor)
        found += page["items"]
        if page["next_cursor"] is None:
            return found
        cursor = {"cursor": page["next_cursor"]}


async def _get(http: httpx.AsyncClient, path: str, params: Json | None = None) -> Json:
    answer = await http.get(path, params=params)
    assert answer.status_code == httpx.codes.OK, f"{path}: {answer.text}"
    found: Json = answer.json()
    return found


def _counts(conversations: list[Json]) -> Json:
    by_status = Counter(one["status"] for one in conversations)
    unread = sum(one["unread_count"] > 0 for one in conversations)
    return {status: by_status[status] for status in ("open", "pending", "snoozed", "resolved")} | {
        "unread": unread
    }


def _activity(conversation: Json) -> tuple[datetime, str]:
    return datetime.fromisoformat(conversation["last_activity_at"]), conversation["id"]


def _id(thing: Json) -> str:
    return str(thing["id"])


def _user_id(member: Json) -> str:
    return str(member["user_id"])


def difference(one: Json, other: Json) -> list[str]:
    """Name where two things that REST shows differ, in as few lines as say it."""
    return [
        f"{name}:\n  applied {_only(one.get(name), other.get(name))}"
        f"\n  fetched {_only(other.get(name), one.get(name))}"
        for name in {**one, **other}
        if one.get(name) != other.get(name)
    ]


def _only(this: Any, that: Any) -> Any:
    """Leave out what is the same on the other side."""
    if isinstance(this, dict) and isinstance(that, dict):
        known = {"id": this["id"]} if "id" in this else {}
        return known | {
            key: _only(value, that.get(key)) for key, value in this.items() if value != that.get(key)
        }
    if not isinstance(this, list) or not isinstance(that, list):
        return this
    others = {_name(item): item for item in that}
    changed = [_only(item, others.get(_name(item))) for item in this if item not in that]
    return changed or [_name(item) for item in this]  # then it is their order


def _name(item: Any) -> str:
    return str(item.get("id") or item.get("user_id") or item) if isinstance(item, dict) else str(item)


assert {one.name for one in fields(State)} <= set(shown(State()))
