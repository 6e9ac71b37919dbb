"""What people do at random during the walk, each with its weight."""

import gzip
import json
import random
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx

from tests.law.state import Json
from tests.law.world import World

KEPT_DEEDS = 400
MOST_CHATS = 60  # in one organization; then some are deleted
WORDS = ("refund", "parcel", "invoice", "broken", "thanks", "when", "where", "hello")


@dataclass
class Customer:
    """Somebody with a conversation."""

    id: str
    http: httpx.AsyncClient


@dataclass
class Company:
    """One organization, its people, and what they have done lately."""

    world: World
    owner: httpx.AsyncClient
    owner_token: str
    agents: list[httpx.AsyncClient] = field(default_factory=list)
    agent_token: str = ""
    org_id: str = ""
    colleagues: list[str] = field(default_factory=list)
    """Members that others may do anything to."""
    members: list[str] = field(default_factory=list)
    inboxes: list[Json] = field(default_factory=list)
    customers: list[Customer] = field(default_factory=list)
    documents: list[str] = field(default_factory=list)
    jobs: list[str] = field(default_factory=list)
    lately: deque[str] = field(default_factory=lambda: deque(maxlen=KEPT_DEEDS))
    done: int = 0
    unavailable: int = 0

    async def ask(
        self, http: httpx.AsyncClient, method: str, path: str, body: Any = None, **more: Any
    ) -> Json | None:
        """Send a request; None when it was refused, as is right for what has just changed or gone."""
        answer = await http.request(method, f"/api/v1/{path}", json=body, **more)
        self.lately.append(f"{self.done} {method} {path} {body or ''} -> {answer.status_code}")
        # What costs much can't begin while Valkey, where it is counted, is away.
        is_told = answer.status_code < 500 or answer.status_code == httpx.codes.SERVICE_UNAVAILABLE
        assert is_told, f"{method} {path}: {answer.status_code} {answer.text}"
        self.unavailable += answer.status_code == httpx.codes.SERVICE_UNAVAILABLE
        found: Json = answer.json() if answer.content else {}
        return found if answer.is_success else None


async def found(world: World, name: str, dice: random.Random) -> Company:
    """Sign up a company with two agents and two inboxes, of which the assistant answers in one."""
    async with world.http() as nobody:
        who = {"email": f"{dice.getrandbits(64)}@example.org", "password": "correct horse battery"}
        answer = await nobody.post(
            "/api/v1/auth/signup", json=who | {"name": name, "organization": f"{name}'s"}
        )
        session = answer.raise_for_status().json()
    company = Company(world, world.http(session["access_token"]), session["access_token"])
    company.org_id = session["organization_id"]
    company.members.append(session["user"]["user_id"])
    for number in range(2):
        session = await join(company, dice, f"{name} {number}")
        company.agents.append(world.http(session["access_token"]))
        company.agent_token = session["access_token"]
        company.colleagues.remove(session["user"]["user_id"])
    for has_assistant in (False, True):
        body = {"name": "Web", "channel": "web_widget", "is_assistant_enabled": has_assistant}
        company.inboxes.append(await company.ask(company.owner, "POST", "inboxes", body) or {})
    return company


async def join(company: Company, dice: random.Random, name: str = "Ben") -> Json:
    body = {"email": f"{dice.getrandbits(64)}@example.org", "role": "agent"}
    invitation = await company.ask(company.owner, "POST", "invitations", body) or {}
    token = invitation["link"].rpartition("/")[2]
    async with company.world.http() as nobody:
        body = {"name": name, "password": "correct horse battery"}
        session = await company.ask(nobody, "POST", f"auth/invitations/{token}/accept", body) or {}
    company.members.append(session["user"]["user_id"])
    company.colleagues.append(session["user"]["user_id"])
    return session


async def begin(company: Company, dice: random.Random) -> None:
    if len(company.customers) >= MOST_CHATS:
        return await delete_resolved(company, dice)
    inbox = dice.choice(company.inboxes)
    path = f"widget/{inbox['public_key']}/conversations"
    begun = await company.ask(company.world.http(), "POST", path, {"name": _words(dice)}) or {}
    company.customers.append(Customer(begun["conversation_id"], company.world.http(begun["token"])))
    return await customer_writes(company, dice)


async def customer_writes(company: Company, dice: random.Random) -> None:
    if company.customers:
        customer = dice.choice(company.customers[-20:] if dice.random() < 0.7 else company.customers)
        path = f"widget/conversations/{customer.id}/messages"
        await company.ask(customer.http, "POST", path, {"text": _words(dice)})


async def reply(company: Company, dice: random.Random) -> None:
    await _act(company, dice, "messages", {"text": _words(dice), "is_private": dice.random() < 0.25})


async def take_over(company: Company, dice: random.Random) -> None:
    await _act(company, dice, "take-over")


async def assign(company: Company, dice: random.Random) -> None:
    await _act(company, dice, "assign", {"assignee_id": dice.choice([None, *company.members])})


async def resolve(company: Company, dice: random.Random) -> None:
    await _act(company, dice, "resolve")


async def reopen(company: Company, dice: random.Random) -> None:
    await _act(company, dice, "reopen")


async def snooze(company: Company, dice: random.Random) -> None:
    until = datetime.now(UTC) + timedelta(seconds=dice.choice([1, 2, 3_600]))
    await _act(company, dice, "snooze", {"until": until.isoformat()})


async def read(company: Company, dice: random.Random) -> None:
    await _act(company, dice, "read")


async def change_inbox(company: Company, dice: random.Random) -> None:
    inbox = dice.choice(company.inboxes)
    await company.ask(company.owner, "PATCH", f"inboxes/{inbox['id']}", {"greeting": _words(dice)})


async def open_inbox(company: Company, dice: random.Random) -> None:
    if len(company.inboxes) < 5:
        body = {"name": _words(dice), "channel": "web_widget", "is_assistant_enabled": dice.random() < 0.3}
        if inbox := await company.ask(company.owner, "POST", "inboxes", body):
            company.inboxes.append(inbox)


async def change_member(company: Company, dice: random.Random) -> None:
    if not company.colleagues:
        await join(company, dice)
        return
    changes = [
        {"name": _words(dice)},
        {"role": dice.choice(["agent", "admin"])},
        {"is_active": dice.random() < 0.6},
    ]
    await company.ask(
        company.owner, "PATCH", f"members/{dice.choice(company.colleagues)}", dice.choice(changes)
    )


async def invite(company: Company, dice: random.Random) -> None:
    if len(company.members) < 7:
        await join(company, dice, _words(dice))


async def upload(company: Company, dice: random.Random) -> None:
    file = (f"{_words(dice)}.md", f"# {_words(dice)}\n\n{_words(dice)}.".encode())
    if document := await company.ask(company.owner, "POST", "knowledge/documents", files={"file": file}):
        company.documents.append(document["id"])


async def delete_document(company: Company, dice: random.Random) -> None:
    if company.documents:
        document = company.documents.pop(dice.randrange(len(company.documents)))
        await company.ask(company.owner, "DELETE", f"knowledge/documents/{document}")


async def reindex(company: Company, dice: random.Random) -> None:
    await _start(company, "knowledge/reindex")


async def delete_resolved(company: Company, dice: random.Random) -> None:
    since = (datetime.now(UTC) - timedelta(milliseconds=dice.choice([0, 500]))).isoformat()
    await _start(company, "conversations/deletions", {"status": "resolved", "quiet_since": since})


async def export(company: Company, dice: random.Random) -> None:
    await _start(company, "conversations/exports", {})


async def bring_in(company: Company, dice: random.Random) -> None:
    """Import conversations from long ago."""
    lines: list[Json] = []
    for number in range(3):
        when = (datetime(2020, 1, 1, tzinfo=UTC) + timedelta(days=dice.randrange(1_000))).isoformat()
        name = f"{dice.getrandbits(64)}"
        status = dice.choice(["open", "resolved"])
        lines.append(
            {
                "type": "conversation",
                "external_id": name,
                "contact": {"name": name},
                "status": status,
                "created_at": when,
            }
        )
        lines.append(
            {
                "type": "message",
                "external_id": f"{name}.{number}",
                "conversation_external_id": name,
                "author": "customer",
                "author_name": name,
                "text": _words(dice),
                "created_at": when,
            }
        )
    content = gzip.compress("".join(json.dumps(line) + "\n" for line in lines).encode())
    form = {"inbox_id": dice.choice(company.inboxes)["id"]}
    await _start(company, "conversations/imports", files={"file": ("old.jsonl.gz", content)}, data=form)


async def cancel_job(company: Company, dice: random.Random) -> None:
    if company.jobs:
        await company.ask(company.owner, "POST", f"jobs/{dice.choice(company.jobs[-3:])}/cancel")


Deed = Callable[[Company, random.Random], Awaitable[None]]

WEIGHTS: dict[Deed, float] = {
    customer_writes: 24,
    reply: 20,
    read: 8,
    begin: 8,
    assign: 7,
    resolve: 7,
    take_over: 4,
    reopen: 4,
    snooze: 4,
    change_inbox: 3,
    change_member: 3,
    upload: 0.8,
    delete_document: 0.6,
    delete_resolved: 0.5,
    open_inbox: 0.4,
    invite: 0.3,
    export: 0.3,
    bring_in: 0.3,
    cancel_job: 0.3,
    reindex: 0.2,
}


async def do_something(company: Company, dice: random.Random) -> None:
    """Do one thing."""
    company.done += 1
    [deed] = dice.choices(list(WEIGHTS), list(WEIGHTS.values()))
    await deed(company, dice)


async def _act(company: Company, dice: random.Random, verb: str, body: Any = None) -> None:
    if company.customers:
        path = f"conversations/{dice.choice(company.customers).id}/{verb}"
        await company.ask(dice.choice([company.owner, *company.agents]), "POST", path, body)


async def _start(company: Company, path: str, body: Any = None, **more: Any) -> None:
    if job := await company.ask(company.owner, "POST", path, body, **more):
        company.jobs.append(job["id"])


def _words(dice: random.Random) -> str:
    return " ".join(dice.choice(WORDS) for _ in range(dice.randrange(1, 4)))
