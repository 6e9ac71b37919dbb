"""Who is asking: members (people of an organization) and visitors (customers in the widget).

Tokens are ES256. Members and visitors have different keys and issuers, so neither can pass as the other.
"""

import base64
import hashlib
import time
from dataclasses import dataclass
from typing import Any, Literal
from uuid import UUID

import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from dana.contracts.ids import ContactId, ConversationId, InboxId, OrgId, UserId
from dana.contracts.views import PlatformRole, Role
from dana.platform.errors import Forbidden, Unauthenticated
from dana.platform.secrets import Secrets

MEMBER_ISSUER = "dana"
VISITOR_ISSUER = "dana-widget"
AUDIENCE = "dana"
REALTIME_AUDIENCE = "dana-realtime"
REALTIME_TOKEN_SECONDS = 60  # for the handshake only: it stands in a URL, and URLs are written into logs
VISITOR_SOCKET_SECONDS = 3600  # a conversation's token lives for months; its socket proves itself each hour
CLOCK_LEEWAY_SECONDS = 5
CACHED_TOKENS = 20_000  # verifying costs about 100 µs; a busy node sees the same tokens again and again

_RANK = {Role.AGENT: 0, Role.ADMIN: 1, Role.OWNER: 2}
_PLATFORM_RANK = {None: 0, PlatformRole.SUPPORT: 1, PlatformRole.ADMIN: 2, PlatformRole.SUPER_ADMIN: 3}


@dataclass(frozen=True, slots=True)
class Actor:
    """Who does something, as it is written beside each event."""

    kind: Literal["user", "contact", "assistant", "system"]
    id: UUID | None
    name: str


SYSTEM = Actor("system", None, "Dana")
ASSISTANT = Actor("assistant", None, "Assistant")


@dataclass(frozen=True, slots=True)
class Member:
    """A signed-in person, acting in one organization."""

    org_id: OrgId
    user_id: UserId
    role: Role
    name: str
    session_id: UUID
    expires_at: float = 0.0
    platform_role: PlatformRole | None = None
    """What the person may do for the whole platform, beside any organization; nearly nobody may."""

    @property
    def actor(self) -> Actor:
        """The member as an actor."""
        return Actor("user", self.user_id, self.name)


@dataclass(frozen=True, slots=True)
class Visitor:
    """A customer, holding the token of one conversation."""

    org_id: OrgId
    conversation_id: ConversationId
    contact_id: ContactId
    inbox_id: InboxId
    name: str = ""
    expires_at: float = 0.0

    @property
    def actor(self) -> Actor:
        """The visitor as an actor."""
        return Actor("contact", self.contact_id, self.name)


def require(member: Member, role: Role) -> None:
    """Raise Forbidden unless the member's role is at least this one."""
    if _RANK[member.role] < _RANK[role]:
        raise Forbidden(f"This needs the role {role.value}; yours is {member.role.value}.")


def require_platform(member: Member, role: PlatformRole) -> None:
    """Raise Forbidden unless the member's role on the platform is at least this one."""
    if _PLATFORM_RANK[member.platform_role] < _PLATFORM_RANK[role]:
        raise Forbidden(
            f"This is for the people who run the platform, and needs the role {role.value} there. "
            "The operator grants it with `dana admins grant`."
        )


class Keys:
    """Signs and verifies tokens. Verified tokens are remembered until they expire."""

    def __init__(self, secrets: Secrets) -> None:
        self._secrets = secrets
        keys = {
            MEMBER_ISSUER: secrets.member_key.public_key(),
            VISITOR_ISSUER: secrets.visitor_key.public_key(),
        }
        self._public_keys = {_key_id(key): (issuer, key) for issuer, key in keys.items()}
        self._verified: dict[bytes, Member | Visitor] = {}

    def sign_member(self, member: Member, ttl_seconds: float) -> str:
        """Make an access token."""
        return self._sign(member, {}, ttl_seconds)

    def sign_visitor(self, visitor: Visitor, ttl_seconds: float) -> str:
        """Make the token of one conversation."""
        return self._sign(visitor, {}, ttl_seconds)

    def sign_realtime(self, who: Member | Visitor) -> str:
        """Make the token with which somebody opens a socket, or lets one live longer.

        It opens one only within a minute. `until` says how long the socket may then live: as long as the
        token that was shown for this one, and a visitor's at most an hour.
        """
        until = who.expires_at
        if isinstance(who, Visitor):
            until = min(until, time.time() + VISITOR_SOCKET_SECONDS)
        return self._sign(who, {"aud": REALTIME_AUDIENCE, "until": int(until)}, REALTIME_TOKEN_SECONDS)

    def verify_realtime(self, token: str) -> Member | Visitor:
        """Return who may have a socket, and until when (`expires_at`); raises Unauthenticated.

        Such a token is shown once, so that remembering it would only push out others.
        """
        who = self._verify(token, REALTIME_AUDIENCE)
        if who.expires_at < time.time():
            raise Unauthenticated("The token has expired; get a new one.")
        return who

    def verify_member(self, token: str) -> Member:
        """Return whose token it is; raises Unauthenticated."""
        who = self.verify_any(token)
        if not isinstance(who, Member):
            raise Unauthenticated("This needs a member's token, not a visitor's.")
        return who

    def verify_visitor(self, token: str) -> Visitor:
        """Return whose token it is; raises Unauthenticated."""
        who = self.verify_any(token)
        if not isinstance(who, Visitor):
            raise Unauthenticated("This needs a visitor's token, not a member's.")
        return who

    def verify_any(self, token: str) -> Member | Visitor:
        """Return whose token it is; raises Unauthenticated."""
        fingerprint = hashlib.blake2b(token.encode(), digest_size=16).digest()
        who = self._verified.get(fingerprint)
        if who is None:
            who = self._verify(token, AUDIENCE)
            if len(self._verified) >= CACHED_TOKENS:
                self._verified.clear()
            self._verified[fingerprint] = who
        if who.expires_at + CLOCK_LEEWAY_SECONDS < time.time():
            self._verified.pop(fingerprint, None)
            raise Unauthenticated("The token has expired; get a new one.")
        return who

    def jwks(self, issuer: str | None = None) -> dict[str, Any]:
        """Return the public keys (RFC 7517), of one issuer or of both."""
        keys = {MEMBER_ISSUER: self._secrets.member_key, VISITOR_ISSUER: self._secrets.visitor_key}
        return {"keys": [_jwk(key) for name, key in keys.items() if issuer in (None, name)]}

    def _sign(self, who: Member | Visitor, more: dict[str, Any], ttl_seconds: float) -> str:
        is_member = isinstance(who, Member)
        key = self._secrets.member_key if is_member else self._secrets.visitor_key
        now = int(time.time())
        claims = _claims(who) | {
            "iss": MEMBER_ISSUER if is_member else VISITOR_ISSUER,
            "aud": AUDIENCE,
            "iat": now,
            "exp": now + int(ttl_seconds),
            **more,
        }
        return jwt.encode(claims, key, algorithm="ES256", headers={"kid": _key_id(key.public_key())})

    def _verify(self, token: str, audience: str) -> Member | Visitor:
        try:
            issuer, key = self._public_keys[jwt.get_unverified_header(token)["kid"]]
            claims = jwt.decode(
                token,
                key,
                algorithms=["ES256"],
                audience=audience,
                issuer=issuer,
                leeway=CLOCK_LEEWAY_SECONDS,
                options={"require": ["exp", "iat", "iss", "aud", "sub"]},
            )
            if audience == REALTIME_AUDIENCE:
                claims["exp"] = claims["until"]
            return _member(claims) if issuer == MEMBER_ISSUER else _visitor(claims)
        except jwt.ExpiredSignatureError:
            raise Unauthenticated("The token has expired; get a new one.") from None
        except (jwt.InvalidTokenError, KeyError, ValueError, TypeError):
            raise Unauthenticated("The token is not valid.") from None


def _claims(who: Member | Visitor) -> dict[str, Any]:
    claims = {"org": str(who.org_id), "name": who.name}
    if isinstance(who, Visitor):
        claims |= {
            "sub": str(who.contact_id),
            "conversation": str(who.conversation_id),
            "inbox": str(who.inbox_id),
        }
        return claims
    claims |= {"sub": str(who.user_id), "role": who.role.value, "sid": str(who.session_id)}
    if who.platform_role is not None:
        claims["platform"] = who.platform_role.value
    return claims


def _member(claims: dict[str, Any]) -> Member:
    return Member(
        org_id=OrgId(UUID(claims["org"])),
        user_id=UserId(UUID(claims["sub"])),
        role=Role(claims["role"]),
        name=claims["name"],
        session_id=UUID(claims["sid"]),
        expires_at=float(claims["exp"]),
        platform_role=PlatformRole(claims["platform"]) if "platform" in claims else None,
    )


def _visitor(claims: dict[str, Any]) -> Visitor:
    return Visitor(
        org_id=OrgId(UUID(claims["org"])),
        conversation_id=ConversationId(UUID(claims["conversation"])),
        contact_id=ContactId(UUID(claims["sub"])),
        inbox_id=InboxId(UUID(claims["inbox"])),
        name=claims["name"],
        expires_at=float(claims["exp"]),
    )


def _key_id(key: ec.EllipticCurvePublicKey) -> str:
    der = key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    return hashlib.sha256(der).hexdigest()[:16]


def _jwk(private: ec.EllipticCurvePrivateKey) -> dict[str, str]:
    public = private.public_key()
    numbers = public.public_numbers()
    return {
        "kty": "EC",
        "crv": "P-256",
        "alg": "ES256",
        "use": "sig",
        "kid": _key_id(public),
        "x": _base64url(numbers.x),
        "y": _base64url(numbers.y),
    }


def _base64url(number: int) -> str:
    return base64.urlsafe_b64encode(number.to_bytes(32, "big")).decode().rstrip("=")
