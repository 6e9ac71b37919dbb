"""What the shard hears of an organization, also when the way there was cut in the middle."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any, NoReturn

import pytest

from dana.contracts.ids import OrgId, UserId, new_id
from dana.contracts.views import Role
from dana.platform.errors import Unavailable
from dana.platform.identity import SYSTEM, Actor, Keys
from dana.platform.settings import Settings
from dana.platform.shards import Shards
from dana.services.auth import store
from dana.services.auth.actions.announcements import announce, announce_all, tell
from dana.services.auth.adapters import Passwords
from dana.services.auth.jobs import jobs
from dana.services.auth.models import Membership, Organization
from tests.services.auth.conftest import Newcomer, Person, Teammate, desk_of, newcomers, org_id, user_id


async def told(shards: Shards, org: OrgId) -> list[tuple[str, dict[str, Any]]]:
    """Read what the organization's log says."""
    async with shards.read(org) as tx:
        rows = await tx.fetch(
            "select type, payload from platform.event_log where org_id = $1 order by cursor", org
        )
    return [(row["type"], json.loads(row["payload"])) for row in rows]


async def kinds(shards: Shards, org: OrgId) -> list[str]:
    return [kind for kind, _ in await told(shards, org)]


async def test_sign_up_joining_and_changes_are_told_in_order(
    owner: Person, teammate: Teammate, shards: Shards
) -> None:
    org = await org_id(owner)
    ben = await teammate(owner)
    await owner.change(await user_id(ben), role="admin", name="Benjamin")
    await owner.change(await user_id(ben), role="admin")
    events = await told(shards, org)
    assert [kind for kind, _ in events] == [
        "organization_created",
        "member_joined",
        "member_joined",
        "member_changed",
    ], "a change that changes nothing is not told"
    assert events[0][1] == {"name": "Acme"}
    assert events[1][1]["member"]["role"] == "owner"
    assert events[3][1]["member"] == {
        "user_id": await user_id(ben),
        "name": "Benjamin",
        "email": ben.email,
        "role": "admin",
        "is_active": True,
    }


class CutOff(Shards):
    """The catalog can be reached, the shards can't be written."""

    def tx(self, org_id: OrgId, actor: Actor) -> NoReturn:
        raise Unavailable("The database can't be reached; nothing was saved.")


@pytest.fixture
async def cut_off(settings: Settings, passwords: Passwords, keys: Keys) -> AsyncIterator[Newcomer]:
    """Make people whose requests are cut off from the shards."""
    shards = CutOff(settings, "auth")
    async with newcomers(desk_of(settings, shards, passwords), keys) as make:
        yield make
    await shards.close()


async def test_a_sign_up_that_was_cut_is_finished_later(cut_off: Newcomer, shards: Shards) -> None:
    ana = cut_off()
    assert (await ana.sign_up()).status_code == 201, "the account is there all the same"
    org = await org_id(ana)
    finish, _ = jobs(shards)
    await finish.run()
    assert await kinds(shards, org) == ["organization_created", "member_joined"]
    await finish.run()
    assert len(await told(shards, org)) == 2


async def test_a_cut_before_the_confirmation_tells_nothing_twice(owner: Person, shards: Shards) -> None:
    org = await org_id(owner)
    before = await told(shards, org)
    async with shards.catalog.tx() as tx:
        await tx.execute("update auth.memberships set announced_version = 0 where org_id = $1", org)
        await tx.execute("update auth.organizations set announced_at = null where id = $1", org)
    await asyncio.gather(*(announce(shards, org) for _ in range(4)), announce_all(shards))
    assert await told(shards, org) == before
    async with shards.catalog.read() as tx:
        assert org not in await store.announcements.unannounced_organizations(tx, 1000)


async def test_a_late_announcement_never_takes_back_a_newer_one(
    owner: Person, teammate: Teammate, shards: Shards
) -> None:
    org = await org_id(owner)
    ben_id = await user_id(await teammate(owner))
    async with shards.catalog.read() as catalog:
        late = [m for m in await store.people.members_after(catalog, org, _first(), 10) if m.name == "Ben"]
    await owner.change(ben_id, name="Benjamin")
    async with shards.tx(org, SYSTEM) as tx:
        await tell(tx, None, late)
    assert (await told(shards, org))[-1][1]["member"]["name"] == "Benjamin"


async def test_a_member_changed_before_anything_was_told_joins_as_they_are_now(
    org: OrgId, shards: Shards
) -> None:
    changed = Membership(
        org, UserId(new_id()), "Ana II", "ana@example.test", Role.AGENT, is_active=True, version=2
    )
    async with shards.tx(org, SYSTEM) as tx:
        await tell(tx, None, [changed])
    events = await told(shards, org)
    assert [kind for kind, _ in events] == ["member_joined"]
    assert events[0][1]["member"]["name"] == "Ana II"


async def test_nothing_is_told_when_the_transaction_fails(org: OrgId, shards: Shards) -> None:
    with pytest.raises(ZeroDivisionError):
        async with shards.tx(org, SYSTEM) as tx:
            await tell(tx, Organization(org, "Acme"), [])
            raise ZeroDivisionError
    assert await told(shards, org) == []


async def test_what_ended_long_ago_is_deleted(owner: Person, shards: Shards) -> None:
    org = await org_id(owner)
    await owner.invite("x@example.test")
    async with shards.catalog.tx() as tx:
        past = "set expires_at = now() - interval '31 days' where org_id = $1"
        await tx.execute(f"update auth.sessions {past}", org)
        await tx.execute(f"update auth.invitations {past}", org)
        await tx.execute("insert into auth.attempts values ('old', 3, now() - interval '1 s')")
    _, delete = jobs(shards)
    await delete.run()
    async with shards.catalog.read() as tx:
        assert not await tx.fetch("select from auth.sessions where org_id = $1", org)
        assert not await tx.fetch("select from auth.invitations where org_id = $1", org)
        assert not await tx.fetch("select from auth.attempts where key = 'old'")


def _first() -> Any:
    return "00000000-0000-0000-0000-000000000000"
