"""What routes ask for by name: who is asking, the database, and recurring parts of the request."""

from typing import Annotated
from uuid import UUID

from litestar.di import NamedDependency
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import FromPath, HeaderParameter, QueryParameter, SkipValidation

from dana.contracts.views import MessageView
from dana.platform.identity import Keys, Member, Visitor
from dana.platform.shards import Shards

MAX_PAGE = 100
LARGEST_SEQ = 2**31 - 1

SignedIn = NamedDependency[SkipValidation[Member]]
Customer = NamedDependency[SkipValidation[Visitor]]
Database = NamedDependency[SkipValidation[Shards]]
Signer = NamedDependency[SkipValidation[Keys]]

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
