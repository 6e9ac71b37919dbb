"""Members and invitations: who may do what to whom, and what is left of somebody who was shut out."""

import asyncio
from uuid import uuid4

import pytest

from dana.platform.shards import Shards
from tests.services.auth.conftest import Newcomer, Person, Teammate, user_id


async def test_an_invited_person_joins(owner: Person, newcomer: Newcomer) -> None:
    ben = newcomer()
    invitation = await owner.invite(ben.email.upper(), "admin")
    assert invitation.status_code == 201
    link = invitation.json()["link"]
    assert link.startswith("http://localhost:8080/invite/")
    token = link.rpartition("/")[2]
    card = await newcomer().http.get(f"/api/v1/auth/invitations/{token}")
    assert card.json() == {"organization_name": "Acme", "email": ben.email, "role": "admin"}

    joined = await ben.accept(link)
    assert joined.status_code == 201
    assert (joined.json()["user"]["role"], joined.json()["organization_name"]) == ("admin", "Acme")
    members = (await ben.http.get("/api/v1/members")).json()
    assert [member["name"] for member in members["items"]] == ["Ana", "Ben"]
    assert members["next_cursor"] is None
    assert (await owner.http.get("/api/v1/invitations")).json() == {"items": [], "next_cursor": None}


async def test_an_invitation_is_used_once(owner: Person, newcomer: Newcomer) -> None:
    ben = newcomer()
    link = (await owner.invite(ben.email)).json()["link"]
    answers = await asyncio.gather(*(newcomer(ben.email).accept(link) for _ in range(4)))
    codes = sorted(answer.status_code for answer in answers)
    assert codes[0] == 201
    assert all(code in (401, 404, 409) for code in codes[1:])
    assert (await ben.accept(link)).status_code == 404


async def test_a_renewed_invitation_has_another_link(owner: Person, newcomer: Newcomer) -> None:
    ben = newcomer()
    first = (await owner.invite(ben.email)).json()
    second = (await owner.invite(ben.email, "admin")).json()
    assert first["id"] == second["id"]
    assert (await ben.accept(first["link"])).status_code == 404
    waiting = (await owner.http.get("/api/v1/invitations")).json()["items"]
    assert waiting == [second], "the list shows the link again, to be copied later"
    assert (await ben.accept(second["link"])).json()["user"]["role"] == "admin"


async def test_an_invitation_can_be_taken_back(owner: Person, newcomer: Newcomer) -> None:
    ben = newcomer()
    invitation = (await owner.invite(ben.email)).json()
    path = f"/api/v1/invitations/{invitation['id']}"
    assert (await owner.http.delete(path)).status_code == 204
    assert (await owner.http.delete(path)).status_code == 404
    assert (await ben.accept(invitation["link"])).status_code == 404


async def test_an_invitation_expires(owner: Person, newcomer: Newcomer, shards: Shards) -> None:
    ben = newcomer()
    invitation = (await owner.invite(ben.email)).json()
    async with shards.catalog.tx() as tx:
        await tx.execute(
            "update auth.invitations set expires_at = now() - interval '1 s' where id = $1", invitation["id"]
        )
    assert (await ben.accept(invitation["link"])).status_code == 404


async def test_somebody_with_an_account_joins_with_its_password(owner: Person, newcomer: Newcomer) -> None:
    cleo = newcomer()
    await cleo.sign_up(organization="Cleo's", name="Cleo")
    link = (await owner.invite(cleo.email)).json()["link"]
    assert (await cleo.accept(link, password="not the password")).status_code == 401
    joined = await cleo.accept(link, name="Cleo at Acme")
    assert joined.json()["organization_name"] == "Acme"
    signed_in = await newcomer(cleo.email).sign_in()
    assert signed_in.json()["organization_name"] == "Acme", "where they were last"
    assert (await owner.invite(cleo.email)).status_code == 409, "a member already"


async def test_an_agent_invites_nobody_and_changes_nobody(owner: Person, teammate: Teammate) -> None:
    ben = await teammate(owner, "agent")
    assert (await ben.invite("x@example.test")).status_code == 403
    assert (await ben.http.get("/api/v1/invitations")).status_code == 403
    assert (await ben.http.delete(f"/api/v1/invitations/{uuid4()}")).status_code == 403
    assert (await ben.change(await user_id(owner), name="Ana!")).status_code == 403
    assert (await ben.change(await user_id(ben), role="owner")).status_code == 403
    renamed = await ben.change(await user_id(ben), name="Benjamin")
    assert renamed.json()["name"] == "Benjamin", "but everybody may change their own name"


async def test_an_admin_makes_and_changes_no_owner(owner: Person, teammate: Teammate) -> None:
    admin = await teammate(owner, "admin")
    agent = await teammate(owner, "agent", "Cleo")
    assert (await admin.invite("x@example.test", "owner")).status_code == 403
    assert (await admin.change(await user_id(owner), is_active=False)).status_code == 403
    assert (await admin.change(await user_id(agent), role="owner")).status_code == 403
    assert (await admin.change(await user_id(agent), role="admin")).status_code == 200


async def test_the_last_owner_stays(owner: Person, teammate: Teammate) -> None:
    ana = await user_id(owner)
    for change in ({"role": "admin"}, {"is_active": False}):
        refused = await owner.change(ana, **change)
        assert refused.status_code == 409
        assert "last owner" in refused.json()["detail"]
    ben = await teammate(owner, "owner")
    assert (await ben.change(ana, role="agent")).status_code == 200


async def test_two_owners_who_demote_each_other_at_once(owner: Person, teammate: Teammate) -> None:
    ben = await teammate(owner, "owner")
    ana_id, ben_id = await user_id(owner), await user_id(ben)
    answers = await asyncio.gather(owner.change(ben_id, role="agent"), ben.change(ana_id, role="agent"))
    codes = sorted(answer.status_code for answer in answers)
    assert codes in ([200, 403], [200, 409]), "one of them is still an owner"


async def test_a_demoted_admin_has_no_rights_left_although_the_token_says_so(
    owner: Person, teammate: Teammate
) -> None:
    admin = await teammate(owner, "admin")
    await owner.change(await user_id(admin), role="agent")
    assert (await admin.invite("x@example.test")).status_code == 403
    refreshed = await admin.refresh()
    assert refreshed.json()["user"]["role"] == "agent"


async def test_a_deactivated_member_is_out(owner: Person, teammate: Teammate, newcomer: Newcomer) -> None:
    ben = await teammate(owner, "admin")
    changed = await owner.change(await user_id(ben), is_active=False)
    assert changed.json()["is_active"] is False
    assert (await ben.refresh()).status_code == 401
    assert (await ben.http.get("/api/v1/auth/me")).status_code == 401
    assert (await ben.invite("x@example.test")).status_code == 401
    refused = await newcomer(ben.email).sign_in()
    assert refused.status_code == 403
    await owner.change(await user_id(owner), name="Ana")
    back = await owner.change((changed.json())["user_id"], is_active=True)
    assert back.status_code == 200
    assert (await newcomer(ben.email).sign_in()).status_code == 200
    assert (await ben.refresh()).status_code == 401, "old sessions stay ended"


async def test_organizations_do_not_see_each_other(owner: Person, newcomer: Newcomer) -> None:
    stranger = newcomer()
    await stranger.sign_up(organization="Globex")
    invitation = (await owner.invite("x@example.test")).json()
    assert (await stranger.change(await user_id(owner), name="Gotcha")).status_code == 404
    assert (await stranger.http.delete(f"/api/v1/invitations/{invitation['id']}")).status_code == 404
    assert (await stranger.http.get("/api/v1/invitations")).json()["items"] == []
    members = (await stranger.http.get("/api/v1/members")).json()["items"]
    assert [member["email"] for member in members] == [stranger.email]


async def test_a_change_in_one_organization_leaves_the_others_alone(
    owner: Person, newcomer: Newcomer
) -> None:
    cleo = newcomer()
    await cleo.sign_up(organization="Cleo's", name="Cleo")
    at_home = await user_id(cleo)
    guest = newcomer(cleo.email)
    await guest.accept((await owner.invite(cleo.email)).json()["link"], name="Cleo")
    assert await user_id(guest) == at_home
    await owner.change(at_home, name="Renamed", is_active=False)
    me = (await cleo.http.get("/api/v1/auth/me")).json()["user"]
    assert (me["name"], me["is_active"]) == ("Cleo", True)
    assert (await cleo.refresh()).status_code == 200


async def test_lists_are_paged(owner: Person, teammate: Teammate) -> None:
    for name in ("Ben", "Cleo"):
        await teammate(owner, name=name)
    first = (await owner.http.get("/api/v1/members", params={"limit": 2})).json()
    second = (
        await owner.http.get("/api/v1/members", params={"limit": 2, "cursor": first["next_cursor"]})
    ).json()
    names = [member["name"] for member in first["items"] + second["items"]]
    assert (names, second["next_cursor"]) == (["Ana", "Ben", "Cleo"], None)


@pytest.mark.parametrize("query", ["limit=0", "limit=501", "limit=x", "cursor=x", "cursor=WyJ4Il0"])
async def test_a_garbled_page_is_refused(owner: Person, query: str) -> None:
    for path in ("/api/v1/members", "/api/v1/invitations"):
        assert (await owner.http.get(f"{path}?{query}")).status_code == 422
