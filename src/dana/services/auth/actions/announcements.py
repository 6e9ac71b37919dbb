"""Announcements: what the catalog decided is told on the organization's shard, where events are.

Two databases can't commit together. So the catalog keeps, per member, the newest version and the newest one
announced; the shard keeps the newest one heard. Whatever is cut between them is found and finished later,
and no version is told twice.
"""

import structlog

from dana.contracts.events import MemberChanged, MemberJoined, OrganizationCreated
from dana.contracts.ids import OrgId
from dana.platform.database import Tx
from dana.platform.identity import SYSTEM
from dana.platform.shards import Shards
from dana.services.auth import store
from dana.services.auth.models import Membership, Organization

MEMBERS_AT_ONCE = 500
ORGANIZATIONS_AT_ONCE = 200
ONLY_VERSION = 1  # an organization's creation is told once

log = structlog.get_logger(__name__)


async def announce_or_leave(shards: Shards, org_id: OrgId) -> None:
    """Announce now if it can be done; what fails is left to the periodic job."""
    try:
        await announce(shards, org_id)
    except Exception as error:
        log.warning("announcement_postponed", organization=str(org_id), exc_info=error)


async def announce(shards: Shards, org_id: OrgId) -> None:
    """Tell an organization's shard all that it has not heard."""
    async with shards.catalog.read() as catalog:
        # Members first: whoever is seen here was committed together with, or after, the organization.
        members = await store.announcements.unannounced_members(catalog, org_id, MEMBERS_AT_ONCE)
        organization = await store.announcements.unannounced_organization(catalog, org_id)
    if organization is None and not members:
        return
    async with shards.tx(org_id, SYSTEM) as tx:
        await tell(tx, organization, members)
    async with shards.catalog.tx() as catalog:
        await store.announcements.confirm_members(catalog, org_id, members)
        if organization is not None:
            await store.announcements.confirm_organization(catalog, org_id)


async def tell(tx: Tx, organization: Organization | None, members: list[Membership]) -> None:
    """Emit what is news on this shard."""
    if organization is not None:
        is_news, _ = await store.announcements.note(tx, organization.id, ONLY_VERSION)
        if is_news:
            tx.emit(OrganizationCreated(name=organization.name))
    for member in members:
        is_news, is_first = await store.announcements.note(tx, member.user_id, member.version)
        if is_news:
            tx.emit((MemberJoined if is_first else MemberChanged)(member=member.view()))


async def announce_all(shards: Shards) -> None:
    """Finish what crashes and outages left unannounced."""
    async with shards.catalog.read() as catalog:
        waiting = await store.announcements.unannounced_organizations(catalog, ORGANIZATIONS_AT_ONCE)
    for org_id in waiting:
        await announce_or_leave(shards, org_id)
