"""Inboxes, and the copies of the members who work in them."""

from uuid import UUID

import msgspec

from dana.contracts.ids import InboxId, UserId
from dana.contracts.views import InboxView, Role
from dana.platform.database import Tx
from dana.platform.errors import Missing
from dana.services.conversations.models.nouns import Agent

_INBOX = "id, name, channel, public_key, greeting, is_assistant_enabled, created_at"
_BEFORE_ALL = UUID(int=0)


async def add_inbox(tx: Tx, inbox: InboxView) -> None:
    """Write a new inbox."""
    await tx.execute(
        f"insert into conversations.inboxes ({_INBOX}) values ($1, $2, $3, $4, $5, $6, $7)",
        *msgspec.structs.astuple(inbox),
    )


async def lock_inbox(tx: Tx, inbox_id: InboxId) -> InboxView:
    """Read an inbox that is to be changed; raises Missing."""
    return await _inbox(tx, inbox_id, "for no key update")


async def save_inbox(tx: Tx, inbox: InboxView) -> None:
    """Write an inbox's settings."""
    await tx.execute(
        "update conversations.inboxes set name = $2, greeting = $3, is_assistant_enabled = $4 where id = $1",
        inbox.id,
        inbox.name,
        inbox.greeting,
        inbox.is_assistant_enabled,
    )


async def inbox(tx: Tx, inbox_id: InboxId) -> InboxView:
    """Read an inbox; raises Missing."""
    return await _inbox(tx, inbox_id, "")


async def inboxes(tx: Tx, after: UUID | None, limit: int) -> list[InboxView]:
    """List inboxes, oldest first, from after this one."""
    rows = await tx.fetch(
        f"select {_INBOX} from conversations.inboxes where id > $1 order by id limit $2",
        after or _BEFORE_ALL,
        limit,
    )
    return [InboxView(**row) for row in rows]


async def put_agent(tx: Tx, agent: Agent, role: Role) -> None:
    """Copy a member."""
    await tx.execute(
        "insert into conversations.agents (id, name, role, is_active) values ($1, $2, $3, $4)"
        " on conflict (org_id, id) do update"
        " set name = excluded.name, role = excluded.role, is_active = excluded.is_active",
        agent.id,
        agent.name,
        role,
        agent.is_active,
    )


async def agent(tx: Tx, user_id: UserId) -> Agent | None:
    """Read the copy of a member."""
    row = await tx.fetchrow("select id, name, is_active from conversations.agents where id = $1", user_id)
    return Agent(**row) if row else None


async def _inbox(tx: Tx, inbox_id: InboxId, locking: str) -> InboxView:
    row = await tx.fetchrow(
        f"select {_INBOX} from conversations.inboxes where id = $1 {locking}",
        inbox_id,
    )
    if row is None:
        raise Missing("There is no such inbox.")
    return InboxView(**row)
