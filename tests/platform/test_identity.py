"""Tokens: who they say, who signed them, and that nothing else passes."""

import time
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import UUID

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from dana.contracts.ids import ContactId, ConversationId, InboxId, OrgId, UserId, new_id
from dana.contracts.views import PlatformRole, Role
from dana.platform.errors import Forbidden, Unauthenticated
from dana.platform.identity import Keys, Member, Visitor, require, require_platform
from dana.platform.secrets import Secrets

MEMBER = Member(OrgId(new_id()), UserId(new_id()), Role.ADMIN, "Ana", new_id())
VISITOR = Visitor(OrgId(new_id()), ConversationId(new_id()), ContactId(new_id()), InboxId(new_id()), "Bo")


@pytest.fixture
def secrets(tmp_path: Path) -> Secrets:
    return Secrets.load(tmp_path / "secrets")


@pytest.fixture
def keys(secrets: Secrets) -> Keys:
    return Keys(secrets)


def test_a_token_comes_back_as_who_it_was_signed_for(keys: Keys) -> None:
    member = keys.verify_member(keys.sign_member(MEMBER, 60))
    assert (member.org_id, member.user_id, member.role) == (MEMBER.org_id, MEMBER.user_id, Role.ADMIN)
    visitor = keys.verify_visitor(keys.sign_visitor(VISITOR, 60))
    assert visitor.conversation_id == VISITOR.conversation_id


def test_a_visitor_never_passes_as_a_member_nor_the_reverse(keys: Keys) -> None:
    with pytest.raises(Unauthenticated):
        keys.verify_member(keys.sign_visitor(VISITOR, 60))
    with pytest.raises(Unauthenticated):
        keys.verify_visitor(keys.sign_member(MEMBER, 60))


def test_a_token_that_has_been_verified_before_still_expires(
    keys: Keys, monkeypatch: pytest.MonkeyPatch
) -> None:
    token = keys.sign_member(MEMBER, 60)
    keys.verify_member(token)
    later = time.time() + 120
    monkeypatch.setattr(time, "time", lambda: later)
    with pytest.raises(Unauthenticated, match="expired"):
        keys.verify_member(token)


def claims(**changed: Any) -> dict[str, Any]:
    now = int(time.time())
    plain = {"iss": "dana", "aud": "dana", "iat": now, "exp": now + 60, "sub": str(MEMBER.user_id)}
    plain |= {"org": str(MEMBER.org_id), "role": "owner", "name": "Eve", "sid": str(UUID(int=1))}
    return {key: value for key, value in (plain | changed).items() if value is not None}


@pytest.mark.parametrize(
    "changed",
    [
        {"iss": "dana-widget"},
        {"iss": "elsewhere"},
        {"aud": "elsewhere"},
        {"exp": None},
        {"exp": 1},
        {"role": "god"},
        {"platform": "god"},
        {"org": "not-a-uuid"},
        {"sub": None},
    ],
)
def test_a_token_with_wrong_claims_is_refused(keys: Keys, secrets: Secrets, changed: dict[str, Any]) -> None:
    named = {"kid": keys.jwks("dana")["keys"][0]["kid"]}
    keys.verify_any(jwt.encode(claims(), secrets.member_key, algorithm="ES256", headers=named))
    with pytest.raises(Unauthenticated):
        keys.verify_any(jwt.encode(claims(**changed), secrets.member_key, algorithm="ES256", headers=named))


def test_a_token_of_another_key_or_none_is_refused(keys: Keys, secrets: Secrets) -> None:
    stranger = ec.generate_private_key(ec.SECP256R1())
    public = secrets.member_key.public_key().public_numbers().x.to_bytes(32, "big")
    named = {"kid": keys.jwks("dana")["keys"][0]["kid"]}
    forged = [
        jwt.encode(claims(), secrets.member_key, algorithm="ES256"),  # names no key
        jwt.encode(claims(), stranger, algorithm="ES256", headers=named),
        jwt.encode(claims(platform="super_admin"), stranger, algorithm="ES256", headers=named),
        jwt.encode(claims(), "", algorithm="none", headers=named),
        jwt.encode(claims(), public, algorithm="HS256", headers=named),
        jwt.encode(claims(), secrets.visitor_key, algorithm="ES256", headers=named),
        "a.b.c",
        "",
        "é",
    ]
    for token in forged:
        with pytest.raises(Unauthenticated):
            keys.verify_any(token)


def test_a_role_is_required_by_rank() -> None:
    require(MEMBER, Role.AGENT)
    require(MEMBER, Role.ADMIN)
    with pytest.raises(Forbidden, match="owner"):
        require(MEMBER, Role.OWNER)


def test_a_role_on_the_platform_is_in_the_token_and_required_by_rank(keys: Keys) -> None:
    plain = keys.verify_member(keys.sign_member(MEMBER, 60))
    assert plain.platform_role is None
    with pytest.raises(Forbidden, match="dana admins grant"):
        require_platform(replace(plain, role=Role.OWNER), PlatformRole.SUPPORT)
    admin = keys.verify_member(keys.sign_member(replace(MEMBER, platform_role=PlatformRole.ADMIN), 60))
    require_platform(admin, PlatformRole.SUPPORT)
    require_platform(admin, PlatformRole.ADMIN)
    with pytest.raises(Forbidden, match="super_admin"):
        require_platform(admin, PlatformRole.SUPER_ADMIN)


def test_secrets_are_private_stay_the_same_and_open_only_with_their_key(tmp_path: Path) -> None:
    first = Secrets.load(tmp_path / "one")
    sealed = first.seal("provider key", "sk-secret")
    assert b"sk-secret" not in sealed
    assert Secrets.load(tmp_path / "one").open("provider key", sealed) == "sk-secret"
    assert (tmp_path / "one" / "root.key").stat().st_mode & 0o777 == 0o600
    for other in (Secrets.load(tmp_path / "two"), first):
        purpose = "provider key" if other is not first else "something else"
        with pytest.raises(Exception, match="can't be read"):
            other.open(purpose, sealed)


def test_a_realtime_token_opens_a_socket_and_nothing_else(keys: Keys) -> None:
    until = int(time.time()) + 600
    for who in (replace(MEMBER, expires_at=until), replace(VISITOR, expires_at=until)):
        token = keys.sign_realtime(who)
        assert keys.verify_realtime(token) == who
        with pytest.raises(Unauthenticated):
            keys.verify_any(token)
    for other in (keys.sign_member(MEMBER, 600), keys.sign_visitor(VISITOR, 600)):
        with pytest.raises(Unauthenticated):
            keys.verify_realtime(other)


def test_a_realtime_token_is_for_now_and_a_socket_for_as_long_as_what_was_shown(
    keys: Keys,
) -> None:
    now = time.time()
    visitor = keys.verify_realtime(keys.sign_realtime(replace(VISITOR, expires_at=now + 90 * 86_400)))
    assert visitor.expires_at == pytest.approx(now + 3600, abs=5)
    token = keys.sign_realtime(replace(MEMBER, expires_at=now + 600))
    stale = keys.sign_realtime(replace(MEMBER, expires_at=now - 1))
    with pytest.raises(Unauthenticated, match="expired"):
        keys.verify_realtime(stale)
    claims = jwt.decode(token, options={"verify_signature": False})
    assert (claims["aud"], claims["exp"] - claims["iat"]) == ("dana-realtime", 60)
