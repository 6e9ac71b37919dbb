"""What routes ask for by name: who is asking, the database, and recurring parts of the request."""

from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Annotated
from uuid import UUID

from litestar.di import NamedDependency
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import FromPath, HeaderParameter, QueryParameter, SkipValidation

from dana.contracts.ids import InboxId, OrgId
from dana.contracts.views import MessageView
from dana.platform.database import Tx
from dana.platform.errors import Missing
from dana.platform.identity import Keys, Member, Visitor
from dana.platform.shards import Shards
from dana.services.conversations.actions.presenting import Presenting

MAX_PAGE = 100
LARGEST_SEQ = 2**31 - 1
MAX_PUBLIC_KEY = 100


@dataclass(frozen=True, slots=True)
class Desk:
    """Where a member works: their organization's database, in their name.

    One dependency that asks for the other: the framework starts tasks to resolve two that stand side by side,
    and that alone costs a tenth of a request.
    """

    member: Member
    shards: Shards

    def tx(self) -> AbstractAsyncContextManager[Tx]:
        """Open a transaction that writes."""
        return self.shards.tx(self.member.org_id, self.member.actor)

    def read(self) -> AbstractAsyncContextManager[Tx]:
        """Open a transaction that reads."""
        return self.shards.read(self.member.org_id)


@dataclass(frozen=True, slots=True)
class Booth:
    """Where a visitor writes: the database of the organization they write to."""

    visitor: Visitor
    shards: Shards

    def tx(self) -> AbstractAsyncContextManager[Tx]:
        """Open a transaction that writes."""
        return self.shards.tx(self.visitor.org_id, self.visitor.actor)

    def read(self) -> AbstractAsyncContextManager[Tx]:
        """Open a transaction that reads."""
        return self.shards.read(self.visitor.org_id)


@dataclass(frozen=True, slots=True)
class Entrance:
    """Where somebody comes in who is nobody yet."""

    shards: Shards
    keys: Keys
    presenting: Presenting

    async def inbox(self, public_key: str) -> tuple[OrgId, InboxId]:
        """Find whose inbox a public key opens; raises Missing, also for what no database could store."""
        if not public_key.isprintable() or len(public_key) > MAX_PUBLIC_KEY:
            raise Missing("There is no inbox with this key; copy the snippet again.")
        return await self.shards.catalog.route(public_key)


SignedIn = NamedDependency[SkipValidation[Member]]
Customer = NamedDependency[SkipValidation[Visitor]]
AtDesk = NamedDependency[SkipValidation[Desk]]
AtBooth = NamedDependency[SkipValidation[Booth]]
AtEntrance = NamedDependency[SkipValidation[Entrance]]

Id = FromPath[UUID]
Limit = Annotated[int, QueryParameter(ge=1, le=MAX_PAGE)]
Seq = Annotated[int | None, QueryParameter(ge=0, le=LARGEST_SEQ)]
Cursor = Annotated[str | None, QueryParameter(max_length=400)]
IdempotencyKey = Annotated[str | None, HeaderParameter(name="Idempotency-Key")]

REPEATED = {
    200: ResponseSpec(
        data_container=MessageView,
        description="Written before with the same Idempotency-Key",
        generate_examples=False,
    )
}
