"""The same for the catalog, and for what spans the organizations of a shard."""

from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

from dana.contracts.events import ConversationsJobAdvanced
from dana.contracts.ids import InvitationId, OrgId, UserId, new_id
from dana.contracts.views import PlatformRole, Role
from dana.platform import longjobs
from dana.platform.database import CatalogTx, Tx
from dana.platform.outbox import EMIT
from dana.platform.shards import Shards
from dana.services.auth.models import Invitation, Membership, Organization, User
from dana.services.auth.store import access, announcements, people
from dana.services.conversations import store as talk
from dana.services.realtime import store as realtime
from tests.plans.calls import NOW, PAGE, SHARD, Cast

LONG_AGO = UUID(int=0)


async def _every_session(tx: CatalogTx, c: Cast) -> None:
    await access.insert_session(tx, uuid4(), c.org_id, c.user_id, b"")
    await access.lock_session(tx, c.session_id)
    await access.rotate_session(tx, c.session_id)
    await access.revoke_session(tx, c.session_id)
    await access.revoke_sessions(tx, c.user_id, c.org_id)
    await access.revoke_sessions(tx, c.user_id)


async def _every_invitation(tx: CatalogTx, c: Cast) -> None:
    invitation = Invitation(
        InvitationId(new_id()), c.org_id, "n", "new@example.org", Role.AGENT, b"seed", NOW + timedelta(days=1)
    )
    await access.put_invitation(tx, invitation, c.user_id)
    await access.put_invitation(tx, invitation, c.user_id)
    await access.open_invitation(tx, c.invitation_id)
    for after in (InvitationId(LONG_AGO), c.invitation_id):
        await access.open_invitations_after(tx, c.org_id, after, PAGE)
    await access.accept_invitation(tx, invitation)
    await access.delete_invitation(tx, c.org_id, c.invitation_id)


async def _every_attempt(tx: CatalogTx, c: Cast) -> None:
    for key in (b"new", b"\x00" * 32):
        await access.count_attempt(tx, key, 60.0)
        await access.forget_attempt(tx, key)
        await access.forget_attempts(tx, key)


async def _every_person(tx: CatalogTx, c: Cast) -> None:
    user_id = UserId(new_id())
    await people.insert_user(tx, User(user_id, "new@example.org", "hash"))
    await people.insert_user(tx, User(UserId(new_id()), "user7@example.org", "hash"))
    await people.user_by_email(tx, "user7@example.org")
    await people.change_password_hash(tx, user_id, "hash", "other")
    await people.insert_membership(tx, c.org_id, user_id, "New", Role.AGENT)
    await people.note_sign_in(tx, c.org_id, c.user_id)
    await people.last_used_membership(tx, c.user_id)
    await people.grant_platform_role(tx, "user7@example.org", PlatformRole.SUPPORT)
    await people.platform_roles(tx)


async def _every_member(tx: CatalogTx, c: Cast) -> None:
    member = await people.member(tx, c.org_id, c.user_id)
    assert member is not None
    await people.update_membership(tx, member)
    await people.is_member(tx, c.org_id, "user7@example.org")
    for after in (UserId(LONG_AGO), c.user_id):
        await people.members_after(tx, c.org_id, after, PAGE)
    await people.other_active_owners(tx, c.org_id, c.user_id)
    await people.organization(tx, c.org_id)
    await people.lock_organization(tx, c.org_id)


async def _new_organization(tx: CatalogTx, c: Cast) -> None:
    org_id = OrgId(new_id())
    await tx.execute("select platform.place_organization($1)", org_id)
    await people.insert_organization(tx, Organization(org_id, "New"))


async def _every_announcement(tx: CatalogTx, c: Cast) -> None:
    await announcements.unannounced_organizations(tx, PAGE)
    await announcements.unannounced_organization(tx, c.org_id)
    found: list[Membership] = await announcements.unannounced_members(tx, c.org_id, PAGE)
    await announcements.confirm_organization(tx, c.org_id)
    await announcements.confirm_members(tx, c.org_id, found)


async def _every_claim(tx: Tx, c: Cast) -> None:
    """Claim where nothing is due yet, from a flood, behind what is stuck, and what has just become due."""
    for group in ("ai-group", "flooded-group", "stuck-group", "ripe-group"):
        for _ in range(2):
            claim = "select * from platform.claim($1, 'ai', 8, interval '1 minute', $2, 24)"
            found = await tx.fetch(claim, group, uuid4())
            assert bool(found) == (group in {"flooded-group", "ripe-group"})
            await tx.fetchval("select platform.due_in($1, 'ai')", group)


ON_CATALOG: dict[str, Callable[[CatalogTx, Cast], Awaitable[Any]]] = {
    "insert_session lock_session rotate_session revoke_session revoke_sessions": _every_session,
    "put_invitation open_invitation open_invitations_after accept_invitation"
    " delete_invitation": _every_invitation,
    "count_attempt forget_attempt forget_attempts": _every_attempt,
    "insert_user user_by_email change_password_hash insert_membership note_sign_in last_used_membership"
    " grant_platform_role platform_roles": _every_person,
    "member update_membership is_member members_after other_active_owners organization"
    " lock_organization": _every_member,
    "insert_organization": _new_organization,
    "unannounced_organizations unannounced_organization unannounced_members confirm_organization"
    " confirm_members": _every_announcement,
    "sweep": lambda tx, c: access.sweep(tx, 30),
}

AUTH: dict[str, Callable[[Tx, Cast], Awaitable[Any]]] = {
    "note": lambda tx, c: announcements.note(tx, c.user_id, 5),
}


async def _every_long_job(tx: Tx, c: Cast) -> None:
    asked = longjobs.Request("export_conversations", "All", {}, str(uuid4()))
    view, _ = await longjobs.request(tx, ConversationsJobAdvanced, asked)
    await longjobs.request(tx, ConversationsJobAdvanced, asked)
    job = await longjobs.records.lock(tx, view.id)
    assert job is not None
    problem = longjobs.JobProblem(number=1, reason="x")
    await longjobs.records.advance(tx, job, longjobs.Advance(more=1, resume={}, problems=[problem]))
    await longjobs.find(tx, view.id)
    for before in (None, view.id):
        await longjobs.list_jobs(tx, before, PAGE)
    await longjobs.list_problems(tx, view.id, 0, PAGE)
    await longjobs.cancel(tx, view.id)
    await longjobs.records.tidied(tx, job)


PLATFORM: dict[str, Callable[[Tx, Cast], Awaitable[Any]]] = {
    "emit": lambda tx, c: tx.execute(
        EMIT, [new_id()], ["message_appended"], [1], ["message"], [c.conversation_id], ["{}"], NOW, "{}",
        [None],
    ),
    "claim": _every_claim,
    "finish": lambda tx, c: tx.execute(
        "select platform.finish($1, $2, 'ai-group', 'ai', $3)", c.org_id, c.cursor, uuid4()
    ),
    "renew": lambda tx, c: tx.execute(
        "select platform.renew($1, $2, 'ai-group', 'ai', $3, interval '1 minute')",
        c.org_id, c.cursor, uuid4(),
    ),
    "postpone": lambda tx, c: tx.execute(
        "select platform.postpone($1, $2, 'ai-group', 'ai', $3, 'error', interval '1 minute', true)",
        c.org_id, c.cursor, uuid4(),
    ),
    "long jobs": _every_long_job,
    "backlog": lambda tx, c: tx.fetch("select * from platform.backlog()"),
}  # fmt: skip

ON_SHARD: dict[str, Callable[[Shards, Cast], Awaitable[Any]]] = {
    "due": lambda shards, c: talk.due(shards, SHARD, NOW, 500),
    "unsearchable": lambda shards, c: talk.unsearchable(shards, SHARD, 500),
    "tidy_search": lambda shards, c: talk.tidy_search(shards, SHARD),
    "to_tidy": lambda shards, c: longjobs.records.to_tidy(shards, SHARD, "conversations_job_advanced", 100),
    "read_cursors": lambda shards, c: realtime.read_cursors(shards, SHARD, [c.org_id, OrgId(LONG_AGO)]),
}

ROUTES: dict[str, Callable[[CatalogTx, Cast], Awaitable[Any]]] = {
    "publish_route": lambda tx, c: tx.execute(
        "select platform.publish_route($1, $2, $3)", "inbox_new", c.org_id, c.inbox_id
    ),
}

CATALOG_READS: dict[str, Callable[[Shards, Cast], Awaitable[Any]]] = {
    "locate": lambda shards, c: shards.catalog.locate(c.org_id),
    "shards": lambda shards, c: shards.catalog.shards(),
    "route": lambda shards, c: shards.catalog.route(f"inbox_{c.org_id}"),
}
