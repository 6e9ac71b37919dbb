"""Roles on the platform: granted by the operator, carried by the next token, and by nothing else."""

import pytest

from dana.contracts.views import PlatformRole
from dana.platform.errors import Missing
from dana.platform.identity import Keys
from dana.platform.shards import Shards
from dana.services.auth.actions import admins
from tests.services.auth.conftest import Person, Teammate, member_of


async def grant(shards: Shards, person: Person, role: PlatformRole) -> None:
    async with shards.catalog.tx() as tx:
        await admins.grant(tx, person.email, role)


async def test_nobody_has_a_role_by_signing_up(owner: Person, keys: Keys) -> None:
    assert member_of(owner, keys).platform_role is None


async def test_a_granted_role_comes_with_the_next_token(owner: Person, keys: Keys, shards: Shards) -> None:
    await grant(shards, owner, PlatformRole.ADMIN)
    assert member_of(owner, keys).platform_role is None
    await owner.refresh()
    assert member_of(owner, keys).platform_role is PlatformRole.ADMIN
    await owner.sign_in()
    assert member_of(owner, keys).platform_role is PlatformRole.ADMIN
    async with shards.catalog.read() as tx:
        assert (owner.email, PlatformRole.ADMIN) in await admins.granted(tx)


async def test_a_revoked_role_is_missing_from_the_next_token(
    owner: Person, keys: Keys, shards: Shards
) -> None:
    await grant(shards, owner, PlatformRole.SUPPORT)
    await owner.sign_in()
    async with shards.catalog.tx() as tx:
        await admins.revoke(tx, f" {owner.email.upper()}")
    await owner.refresh()
    assert member_of(owner, keys).platform_role is None


async def test_the_role_is_the_persons_in_every_organization(
    owner: Person, teammate: Teammate, keys: Keys, shards: Shards
) -> None:
    ben = await teammate(owner, "owner", "Ben")
    await grant(shards, owner, PlatformRole.ADMIN)
    await ben.refresh()
    assert member_of(ben, keys).platform_role is None
    await grant(shards, ben, PlatformRole.ADMIN)
    other = await teammate(owner)
    await ben.sign_in()
    assert member_of(ben, keys).platform_role is PlatformRole.ADMIN
    assert member_of(other, keys).platform_role is None


async def test_no_request_of_a_member_changes_it(owner: Person, keys: Keys) -> None:
    me = member_of(owner, keys)
    answer = await owner.change(str(me.user_id), platform_role="admin")
    assert answer.status_code == 422
    await owner.refresh()
    assert member_of(owner, keys).platform_role is None


async def test_nobody_is_granted_anything_before_they_have_signed_up(shards: Shards) -> None:
    with pytest.raises(Missing, match="sign up first"):
        async with shards.catalog.tx() as tx:
            await admins.grant(tx, "nobody@example.test", PlatformRole.ADMIN)
