"""An organization with an inbox and two agents, for tests."""

from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass

from dana.contracts.ids import ConversationId, InboxId, OrgId, UserId, new_id
from dana.contracts.views import ConversationView, InboxView, MemberView, MessageView, Role
from dana.platform.database import Tx
from dana.platform.identity import SYSTEM, Actor
from dana.platform.shards import Shards
from dana.services.conversations import actions
from dana.services.conversations.models.nouns import Counts


@dataclass(frozen=True)
class Agent:
    """A member at the desk."""

    id: UserId
    name: str

    @property
    def actor(self) -> Actor:
        return Actor("user", self.id, self.name)


@dataclass(frozen=True)
class Desk:
    """One organization at work."""

    org_id: OrgId
    shards: Shards
    inbox: InboxView
    ana: Agent
    bob: Agent

    def tx(self, actor: Actor = SYSTEM) -> AbstractAsyncContextManager[Tx]:
        return self.shards.tx(self.org_id, actor)

    def by_ana(self) -> AbstractAsyncContextManager[Tx]:
        return self.tx(self.ana.actor)

    def by_bob(self) -> AbstractAsyncContextManager[Tx]:
        return self.tx(self.bob.actor)

    def read(self) -> AbstractAsyncContextManager[Tx]:
        return self.shards.read(self.org_id)

    async def start(self, name: str = "Carla") -> ConversationView:
        async with self.tx() as tx:
            return await actions.start(tx, self.inbox.id, name, None, None)

    async def write(self, view: ConversationView, text: str, key: str | None = None) -> MessageView:
        async with self.tx(customer(view)) as tx:
            return (await actions.receive(tx, view.id, text, key)).message

    async def view(self, conversation_id: ConversationId) -> ConversationView:
        async with self.read() as tx:
            return await actions.find_conversation(tx, conversation_id)

    async def messages(self, conversation_id: ConversationId) -> list[MessageView]:
        async with self.read() as tx:
            return await actions.list_messages_after(tx, conversation_id, 0, 1000, is_public=False)

    async def counts(self) -> Counts:
        async with self.read() as tx:
            return await actions.count(tx)


async def furnish(shards: Shards, org_id: OrgId) -> Desk:
    """Furnish an organization."""
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


def customer(view: ConversationView) -> Actor:
    """The customer of a conversation, as the one who acts."""
    return Actor("contact", view.contact.id, view.contact.name)
