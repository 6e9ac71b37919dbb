"""Furnished organizations."""

from collections.abc import Awaitable, Callable

import pytest

from dana.contracts.ids import InboxId, OrgId, UserId, new_id
from dana.contracts.views import MemberView, Role
from dana.platform.identity import SYSTEM
from dana.platform.shards import Shards
from dana.services.conversations import actions
from tests.services.conversations.desk import Agent, Desk

OpenDesk = Callable[[OrgId], Awaitable[Desk]]


@pytest.fixture
def open_desk(shards_of: Callable[[str], Shards]) -> OpenDesk:
    """Furnish an organization."""
    shards = shards_of("conversations")

    async def furnish(org_id: OrgId) -> Desk:
        ana, bob = (Agent(UserId(new_id()), name) for name in ("Ana", "Bob"))
        inbox_id, key = InboxId(new_id()), actions.new_public_key()
        await shards.catalog.publish_route(key, org_id, inbox_id)
        async with shards.tx(org_id, SYSTEM) as tx:
            for agent in (ana, bob):
                email = f"{agent.name.lower()}@example.org"
                member = MemberView(user_id=agent.id, name=agent.name, email=email, role=Role.AGENT)
                await actions.remember_member(tx, member)
            inbox = await actions.create_inbox(tx, inbox_id, key, "Shop", "Hello!", is_assistant_enabled=True)
        return Desk(org_id, shards, inbox, ana, bob)

    return furnish


@pytest.fixture
async def desk(org: OrgId, open_desk: OpenDesk) -> Desk:
    """Furnish the test's organization."""
    return await open_desk(org)
