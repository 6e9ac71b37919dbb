"""Sessions, invitations and failed attempts, on the catalog."""

from uuid import UUID

from asyncpg import Record

from dana.contracts.ids import InvitationId, OrgId, UserId
from dana.contracts.views import Role
from dana.platform.database import CatalogTx
from dana.services.auth.models import (
    IDLE_SECONDS,
    SESSION_SECONDS,
    Invitation,
    StoredSession,
)

_INVITATION = """
select i.id, i.org_id, o.name as organization_name, i.email, i.role, i.seed, i.expires_at
  from auth.invitations i join auth.organizations o on o.id = i.org_id"""


async def insert_session(
    tx: CatalogTx, session_id: UUID, org_id: OrgId, user_id: UserId, seed: bytes
) -> None:
    """Begin a family of refresh tokens."""
    await tx.execute(
        "insert into auth.sessions (id, org_id, user_id, seed, expires_at, ends_at)"
        " values ($1, $2, $3, $4, now() + make_interval(secs => $5), now() + make_interval(secs => $6))",
        session_id,
        org_id,
        user_id,
        seed,
        float(IDLE_SECONDS),
        float(SESSION_SECONDS),
    )


async def lock_session(tx: CatalogTx, session_id: UUID) -> StoredSession | None:
    """Read a session and keep others from changing it until the end of the transaction."""
    row = await tx.fetchrow(
        "select id, org_id, user_id, seed, generation,"
        " extract(epoch from clock_timestamp() - rotated_at)::float8 as rotated_seconds_ago,"
        " revoked_at is not null or expires_at < now() or ends_at < now() as is_over"
        " from auth.sessions where id = $1 for update",
        session_id,
    )
    return StoredSession(**dict(row)) if row else None


async def rotate_session(tx: CatalogTx, session_id: UUID) -> None:
    """Begin the next generation of refresh tokens."""
    await tx.execute(
        "update auth.sessions set generation = generation + 1, rotated_at = clock_timestamp(),"
        " expires_at = now() + make_interval(secs => $2) where id = $1",
        session_id,
        float(IDLE_SECONDS),
    )


async def revoke_session(tx: CatalogTx, session_id: UUID) -> None:
    """End a family of refresh tokens."""
    await tx.execute(
        "update auth.sessions set revoked_at = now() where id = $1 and revoked_at is null", session_id
    )


async def revoke_sessions(tx: CatalogTx, user_id: UserId, org_id: OrgId | None = None) -> None:
    """End a person's sessions, in one organization or in all."""
    await tx.execute(
        "update auth.sessions set revoked_at = now()"
        " where user_id = $1 and revoked_at is null and ($2::uuid is null or org_id = $2)",
        user_id,
        org_id,
    )


async def put_invitation(tx: CatalogTx, invitation: Invitation, invited_by: UserId) -> Invitation:
    """Add an invitation, or renew the one that waits for this address; then its former link is dead."""
    row = await tx.fetchrow(
        "insert into auth.invitations as i (id, org_id, email, role, seed, invited_by, expires_at)"
        " values ($1, $2, $3, $4, $5, $6, $7)"
        " on conflict (org_id, email) where accepted_at is null do update"
        " set role = excluded.role, seed = excluded.seed, invited_by = excluded.invited_by,"
        " expires_at = excluded.expires_at"
        " returning i.id, i.org_id, $8::text as organization_name, i.email, i.role, i.seed, i.expires_at",
        invitation.id,
        invitation.org_id,
        invitation.email,
        invitation.role,
        invitation.seed,
        invited_by,
        invitation.expires_at,
        invitation.organization_name,
    )
    if row is None:
        raise LookupError("An upsert returned no row.")
    return _invitation(row)


async def open_invitation(tx: CatalogTx, invitation_id: UUID) -> Invitation | None:
    """Find an invitation that may still be accepted."""
    row = await tx.fetchrow(
        _INVITATION + " where i.id = $1 and i.accepted_at is null and i.expires_at > now()", invitation_id
    )
    return _invitation(row) if row else None


async def open_invitations_after(
    tx: CatalogTx, org_id: OrgId, after: InvitationId, limit: int
) -> list[Invitation]:
    """Read the invitations that wait, oldest first."""
    rows = await tx.fetch(
        _INVITATION + " where i.org_id = $1 and i.id > $2 and i.accepted_at is null and i.expires_at > now()"
        " order by i.id limit $3",
        org_id,
        after,
        limit,
    )
    return [_invitation(row) for row in rows]


async def accept_invitation(tx: CatalogTx, invitation: Invitation) -> bool:
    """Use an invitation up; False when it is gone, renewed, expired or used meanwhile."""
    used = await tx.fetchval(
        "update auth.invitations set accepted_at = now()"
        " where id = $1 and seed = $2 and accepted_at is null and expires_at > now() returning true",
        invitation.id,
        invitation.seed,
    )
    return used is True


async def delete_invitation(tx: CatalogTx, org_id: OrgId, invitation_id: InvitationId) -> bool:
    """Take an invitation back; False when there is none to take back."""
    gone = await tx.fetchval(
        "delete from auth.invitations where org_id = $1 and id = $2 and accepted_at is null returning true",
        org_id,
        invitation_id,
    )
    return gone is True


async def count_attempt(tx: CatalogTx, key: bytes, window_seconds: float) -> tuple[int, float]:
    """Count one more attempt; returns how many there were in the window, and the seconds until it ends."""
    row = await tx.fetchrow(
        "insert into auth.attempts as a (key, attempts, window_ends_at)"
        " values ($1, 1, now() + make_interval(secs => $2))"
        " on conflict (key) do update set"
        " attempts = case when a.window_ends_at < now() then 1 else a.attempts + 1 end,"
        " window_ends_at ="
        " case when a.window_ends_at < now() then excluded.window_ends_at else a.window_ends_at end"
        " returning attempts, extract(epoch from window_ends_at - now())::float8 as seconds_left",
        key,
        window_seconds,
    )
    return (row["attempts"], row["seconds_left"]) if row else (1, window_seconds)


async def forget_attempt(tx: CatalogTx, key: bytes) -> None:
    """Take one attempt back, since it was not a failed one."""
    await tx.execute("update auth.attempts set attempts = greatest(attempts - 1, 0) where key = $1", key)


async def forget_attempts(tx: CatalogTx, key: bytes) -> None:
    """Take all attempts back."""
    await tx.execute("delete from auth.attempts where key = $1", key)


async def sweep(tx: CatalogTx, kept_days: int) -> None:
    """Delete what ended long ago."""
    await tx.execute(
        "delete from auth.sessions where expires_at < now() - make_interval(days => $1)", kept_days
    )
    await tx.execute(
        "delete from auth.invitations where expires_at < now() - make_interval(days => $1)", kept_days
    )
    await tx.execute("delete from auth.attempts where window_ends_at < now()")


def _invitation(row: Record) -> Invitation:
    return Invitation(
        id=row["id"],
        org_id=row["org_id"],
        organization_name=row["organization_name"],
        email=row["email"],
        role=Role(row["role"]),
        seed=row["seed"],
        expires_at=row["expires_at"],
    )
