"""Furnished organizations."""

from collections.abc import Awaitable, Callable
from functools import partial

import pytest

from dana.contracts.ids import OrgId
from dana.platform.shards import Shards
from tests.services.conversations.desk import Desk, furnish

OpenDesk = Callable[[OrgId], Awaitable[Desk]]


@pytest.fixture
def open_desk(shards_of: Callable[[str], Shards]) -> OpenDesk:
    """Furnish an organization."""
    return partial(furnish, shards_of("conversations"))


@pytest.fixture
async def desk(org: OrgId, open_desk: OpenDesk) -> Desk:
    """Furnish the test's organization."""
    return await open_desk(org)
