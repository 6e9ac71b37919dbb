"""What routes ask for by name."""

from typing import Annotated
from uuid import UUID

from litestar.di import NamedDependency
from litestar.params import FromPath, PathParameter, QueryParameter, SkipValidation

from dana.platform.identity import Member
from dana.services.placement.actions.desk import Desk

PAGE_MOST = 100

AtDesk = NamedDependency[SkipValidation[Desk]]
SignedIn = NamedDependency[SkipValidation[Member]]
Id = FromPath[UUID]
ShardName = Annotated[str, PathParameter(max_length=60)]
Limit = Annotated[int, QueryParameter(ge=1, le=PAGE_MOST)]
Cursor = Annotated[str | None, QueryParameter(max_length=200)]
