"""Sessions: opened at sign-in, renewed by rotating refresh tokens, ended by signing out or by reuse."""

import structlog

from dana.contracts.ids import new_id
from dana.platform.database import CatalogTx
from dana.platform.errors import Unauthenticated
from dana.platform.identity import Member
from dana.services.auth import store
from dana.services.auth.actions.desk import Desk
from dana.services.auth.adapters import TokenKey, new_seed
from dana.services.auth.models import Membership, Opened, Refresh, StoredSession, judge_refresh

log = structlog.get_logger(__name__)


async def open_session(tx: CatalogTx, tokens: TokenKey, member: Membership) -> Opened:
    """Begin a session of a member."""
    session_id, seed = new_id(), new_seed()
    await store.access.insert_session(tx, session_id, member.org_id, member.user_id, seed)
    await store.people.note_sign_in(tx, member.org_id, member.user_id)
    organization = await store.people.organization(tx, member.org_id)
    return Opened(organization, member, session_id, tokens.make(session_id, 0, seed))


async def refresh(desk: Desk, token: str) -> Opened:
    """Renew a session; raises Unauthenticated when the token is not good, or not good any more."""
    async with desk.catalog.tx() as tx:
        opened = await renew(tx, desk.refresh_tokens, token)
    if opened is None:
        raise Unauthenticated("The session has ended. Sign in again.")
    return opened


async def renew(tx: CatalogTx, tokens: TokenKey, token: str) -> Opened | None:
    """Rotate a refresh token. None when it is not good, so that a revocation commits all the same."""
    session, presented = await _find(tx, tokens, token)
    if session is None or session.is_over:
        return None
    verdict = judge_refresh(presented, session.generation, session.rotated_seconds_ago)
    member = await store.people.member(tx, session.org_id, session.user_id)
    if verdict is Refresh.REVOKE:
        log.warning("refresh_reused", organization=str(session.org_id), session=str(session.id))
    if verdict is Refresh.REVOKE or member is None or not member.is_active:
        await store.access.revoke_session(tx, session.id)
        return None
    generation = session.generation
    if verdict is Refresh.ROTATE:
        generation += 1
        await store.access.rotate_session(tx, session.id)
    organization = await store.people.organization(tx, session.org_id)
    return Opened(organization, member, session.id, tokens.make(session.id, generation, session.seed))


async def sign_out(tx: CatalogTx, tokens: TokenKey, token: str) -> None:
    """End the session of a refresh token; a token that is not good ends nothing."""
    session, _ = await _find(tx, tokens, token)
    if session is not None:
        await store.access.revoke_session(tx, session.id)


async def sign_out_everywhere(tx: CatalogTx, member: Member) -> None:
    """End all sessions of a person, in every organization."""
    await store.access.revoke_sessions(tx, member.user_id)


async def _find(tx: CatalogTx, tokens: TokenKey, token: str) -> tuple[StoredSession | None, int]:
    claim = tokens.read(token)
    session = await store.access.lock_session(tx, claim.id) if claim else None
    if claim is None or session is None or not tokens.proves(claim, session.seed):
        return None, 0
    return session, claim.generation
