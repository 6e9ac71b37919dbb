"""The rules of auth, without anything around them."""

from dataclasses import replace
from uuid import UUID, uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dana.contracts.ids import OrgId, UserId
from dana.contracts.views import Role
from dana.platform.errors import Conflict, Forbidden, Invalid
from dana.services.auth.adapters import TokenKey
from dana.services.auth.models import (
    GRACE_SECONDS,
    MemberChange,
    Membership,
    Refresh,
    check_change,
    check_invite,
    check_owner_remains,
    clean_email,
    clean_name,
    clean_password,
    judge_refresh,
)


def member(role: Role, user_id: UUID | None = None) -> Membership:
    return Membership(
        OrgId(UUID(int=1)),
        UserId(user_id or uuid4()),
        "Ana",
        "ana@example.test",
        role,
        is_active=True,
        version=1,
    )


@pytest.mark.parametrize(
    ("written", "stored"),
    [
        ("ana@example.test", "ana@example.test"),
        ("  Ana.Sanz+dana@Example.TEST ", "ana.sanz+dana@example.test"),
        ("añá@exämple.test", "añá@exämple.test"),
        ("o'neil@sub.example.co.uk", "o'neil@sub.example.co.uk"),
    ],
)
def test_addresses_are_folded(written: str, stored: str) -> None:
    assert clean_email(written) == stored


@pytest.mark.parametrize(
    "text",
    [
        "",
        "ana",
        "ana@",
        "@example.test",
        "ana@example",
        "ana@@example.test",
        "ana@exa mple.test",
        "ana@example..test",
        "ana@.test",
        "Ana <ana@example.test>",
        "a\x00na@example.test",
        "ana@example.test\nbcc: x@example.test",
        "a" * 250 + "@example.test",
        "\u202eana@example.test",
        "\ud800@example.test",
    ],
)
def test_what_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(Invalid):
        clean_email(text)


@given(st.text(max_size=300))
def test_every_text_is_an_address_or_refused(text: str) -> None:
    try:
        email = clean_email(text)
    except Invalid:
        return
    assert clean_email(email) == email
    assert "\x00" not in email
    email.encode()


@given(st.text(max_size=300))
def test_every_text_is_a_name_or_refused(text: str) -> None:
    try:
        name = clean_name(text, "name")
    except Invalid:
        return
    assert clean_name(name, "name") == name
    assert 0 < len(name) <= 120


@pytest.mark.parametrize("name", ["José", "李小龍", "محمد", "👩‍💻 Dev", "Renée O'Neil-Smith", "नेहा"])
def test_names_of_the_world_are_names(name: str) -> None:
    assert clean_name(name, "name") == name


@pytest.mark.parametrize(
    "password", ["short", "a" * 20, "ababababab", "ana@example.test", "x" * 300, "", "null\x00null"]
)
def test_weak_passwords_are_refused(password: str) -> None:
    with pytest.raises(Invalid):
        clean_password(password, "ana@example.test")


def test_a_password_is_the_same_however_the_keyboard_composes_it() -> None:
    assert clean_password("cafe\u0301 au lait", "") == clean_password("caf\u00e9 au lait", "")


@pytest.mark.parametrize(
    ("presented", "current", "seconds_ago", "verdict"),
    [
        (0, 0, 1, Refresh.ROTATE),
        (0, 0, 3600, Refresh.ROTATE),
        (0, 1, 1, Refresh.REPEAT),
        (1, 1, 1, Refresh.REPEAT),
        (1, 1, GRACE_SECONDS, Refresh.ROTATE),
        (0, 1, GRACE_SECONDS, Refresh.REVOKE),
        (0, 2, 1, Refresh.REVOKE),
        (5, 4, 1, Refresh.REVOKE),
    ],
)
def test_refresh_tokens(presented: int, current: int, seconds_ago: float, verdict: Refresh) -> None:
    assert judge_refresh(presented, current, seconds_ago) is verdict


@given(st.lists(st.tuples(st.floats(0, 30), st.integers(0, 2)), max_size=40))
def test_an_honest_browser_is_never_taken_for_a_thief(steps: list[tuple[float, int]]) -> None:
    """A browser whose answers may be lost, but which repeats a lost request within the grace."""
    generation, rotated_at, now, held = 0, 0.0, 0.0, 0
    for pause, lost_answers in steps:
        now += pause
        for attempt in range(lost_answers + 1):
            verdict = judge_refresh(held, generation, now - rotated_at)
            assert verdict is not Refresh.REVOKE
            if verdict is Refresh.ROTATE:
                generation, rotated_at = generation + 1, now
            if attempt < lost_answers:
                now += 3
        held = generation


@pytest.mark.parametrize("actor", Role)
@pytest.mark.parametrize("target", Role)
def test_who_may_change_whom(actor: Role, target: Role) -> None:
    change = MemberChange(is_active=False)
    may = actor is Role.OWNER or (actor is Role.ADMIN and target is not Role.OWNER)
    if may:
        check_change(member(actor), member(target), change)
    else:
        with pytest.raises(Forbidden):
            check_change(member(actor), member(target), change)


@pytest.mark.parametrize("role", Role)
def test_everybody_changes_their_own_name_only(role: Role) -> None:
    me = member(role)
    check_change(me, me, MemberChange(name="New"))
    if role is Role.AGENT:
        with pytest.raises(Forbidden):
            check_change(me, me, MemberChange(name="New", role=Role.ADMIN))


def test_an_admin_makes_no_owner() -> None:
    with pytest.raises(Forbidden):
        check_change(member(Role.ADMIN), member(Role.AGENT), MemberChange(role=Role.OWNER))
    with pytest.raises(Forbidden):
        check_invite(member(Role.ADMIN), Role.OWNER)
    check_invite(member(Role.OWNER), Role.OWNER)


def test_an_owner_remains() -> None:
    ana = member(Role.OWNER)
    for changed in (replace(ana, role=Role.ADMIN), replace(ana, is_active=False)):
        with pytest.raises(Conflict):
            check_owner_remains(ana, changed, 0)
        check_owner_remains(ana, changed, 1)
    check_owner_remains(ana, replace(ana, name="New"), 0)


@given(st.uuids(), st.integers(0, 2**32 - 1), st.binary(min_size=32, max_size=32))
def test_a_token_proves_its_row_and_generation_only(row: UUID, generation: int, seed: bytes) -> None:
    tokens = TokenKey(b"k" * 32)
    token = tokens.make(row, generation, seed)
    claim = tokens.read(token)
    assert claim is not None
    assert (claim.id, claim.generation) == (row, generation)
    assert tokens.proves(claim, seed)
    assert not tokens.proves(claim, bytes(reversed(seed)) + b"x")
    assert not tokens.proves(replace(claim, generation=generation ^ 1), seed)
    assert not TokenKey(b"K" * 32).proves(claim, seed)


@given(st.text(max_size=100))
def test_every_text_is_a_token_or_not(text: str) -> None:
    claim = TokenKey(b"k" * 32).read(text)
    assert claim is None or len(claim.proof) == 24
