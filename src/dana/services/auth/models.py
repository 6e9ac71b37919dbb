"""Nouns of auth and their rules: e-mail addresses, names, passwords, roles, sessions. Pure."""

import re
import unicodedata
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from uuid import UUID

import msgspec

from dana.contracts.ids import InvitationId, OrgId, UserId
from dana.contracts.views import MemberView, PlatformRole, Role, View
from dana.platform.errors import Conflict, Forbidden, Invalid

ACCESS_SECONDS = 600  # how long a deactivated member may still act
IDLE_SECONDS = 30 * 86_400  # a session unused for a month is over
SESSION_SECONDS = 180 * 86_400  # and so is every session after half a year
GRACE_SECONDS = 10  # parallel tabs and repeated requests present the token that was just replaced
INVITATION_SECONDS = 7 * 86_400

EMAIL_CHARACTERS = 254  # RFC 5321 leaves no room for more
NAME_CHARACTERS = 120
PASSWORD_CHARACTERS_LEAST = 8  # NIST SP 800-63B, 5.1.1.2
PASSWORD_CHARACTERS_MOST = 256  # enough for any sentence; hashing longer ones would only cost
PASSWORD_DISTINCT_LEAST = 4

_EMAIL = re.compile(r"[^@\s()<>\[\]\\,;:\"]+@[^@\s()<>\[\]\\,;:\".]+(\.[^@\s()<>\[\]\\,;:\".]+)+")
# Control characters, and those that turn the direction of the text around: a name may not pose as another.
_UNSAFE = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff\ufffe\uffff]")


class Session(View, frozen=True):
    """A signed-in person: who, where, and the token to show with every request."""

    access_token: str
    expires_in: int
    """Seconds until the access token must be renewed with the refresh cookie."""
    organization_id: OrgId
    organization_name: str
    user: MemberView


class Profile(View, frozen=True):
    """Who is signed in, and where."""

    organization_id: OrgId
    organization_name: str
    user: MemberView


class InvitationView(View, frozen=True):
    """An invitation that waits to be accepted. Whoever holds the link may accept it."""

    id: InvitationId
    email: str
    role: Role
    link: str
    expires_at: datetime


class InvitationCard(View, frozen=True):
    """What an invited person sees before accepting."""

    organization_name: str
    email: str
    role: Role


@dataclass(frozen=True, slots=True)
class Organization:
    """An organization."""

    id: OrgId
    name: str


@dataclass(frozen=True, slots=True)
class User:
    """A person who can sign in."""

    id: UserId
    email: str
    password_hash: str
    platform_role: PlatformRole | None = None


@dataclass(frozen=True, slots=True)
class Membership:
    """A person in one organization."""

    org_id: OrgId
    user_id: UserId
    name: str
    email: str
    role: Role
    is_active: bool
    version: int
    platform_role: PlatformRole | None = None

    def view(self) -> MemberView:
        """Show the member to others."""
        return MemberView(
            user_id=self.user_id,
            name=self.name,
            email=self.email,
            role=self.role,
            is_active=self.is_active,
        )


class MemberChange(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What to change about a member; what is left out stays."""

    role: Role | None = None
    is_active: bool | None = None
    name: str | None = None

    def is_own_name_only(self) -> bool:
        """Tell whether everybody may ask this about themselves."""
        return self.role is None and self.is_active is None


@dataclass(frozen=True, slots=True)
class StoredSession:
    """A family of refresh tokens, of which only the newest generation is good."""

    id: UUID
    org_id: OrgId
    user_id: UserId
    seed: bytes
    generation: int
    rotated_seconds_ago: float
    is_over: bool


@dataclass(frozen=True, slots=True)
class Invitation:
    """An invitation as stored."""

    id: InvitationId
    org_id: OrgId
    organization_name: str
    email: str
    role: Role
    seed: bytes
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class Opened:
    """A session just opened or renewed, with the refresh token for the cookie."""

    organization: Organization
    member: Membership
    session_id: UUID
    refresh_token: str


class Refresh(Enum):
    """What a presented refresh token calls for."""

    ROTATE = "the newest token, for some time: give the next one"
    REPEAT = "replaced, or made, a moment ago: give the newest one again"
    REVOKE = "replaced long ago: somebody else has it too"


def judge_refresh(presented: int, current: int, rotated_seconds_ago: float) -> Refresh:
    """Decide about a genuine token by its generation.

    Within the grace nothing rotates twice, so that no honest request can fall two generations behind.
    """
    is_fresh = rotated_seconds_ago < GRACE_SECONDS
    if presented == current:
        return Refresh.REPEAT if is_fresh and current > 0 else Refresh.ROTATE
    if presented == current - 1 and is_fresh:
        return Refresh.REPEAT
    return Refresh.REVOKE


def check_change(actor: Membership, target: Membership, change: MemberChange) -> None:
    """Raise Forbidden unless the actor may make this change."""
    if actor.user_id == target.user_id and change.is_own_name_only():
        return
    if actor.role is Role.AGENT:
        raise Forbidden("Only owners and admins change members.")
    if Role.OWNER in (target.role, change.role) and actor.role is not Role.OWNER:
        raise Forbidden("Only an owner makes or changes an owner.")


def check_owner_remains(target: Membership, changed: Membership, other_active_owners: int) -> None:
    """Raise Conflict when an organization would be left without an owner."""
    was_owner = target.role is Role.OWNER and target.is_active
    is_owner = changed.role is Role.OWNER and changed.is_active
    if was_owner and not is_owner and other_active_owners == 0:
        raise Conflict("This is the last owner. Make somebody else an owner first.")


def check_invite(actor: Membership, role: Role) -> None:
    """Raise Forbidden unless the actor may invite somebody with this role."""
    if actor.role is Role.AGENT:
        raise Forbidden("Only owners and admins invite people.")
    if role is Role.OWNER and actor.role is not Role.OWNER:
        raise Forbidden("Only an owner invites an owner.")


def fold_email(text: str) -> str:
    """Bring an e-mail address into the form under which it is stored and looked up."""
    return unicodedata.normalize("NFC", text).strip().lower()


def clean_email(text: str) -> str:
    """Return the address as it is stored; raises Invalid."""
    email = fold_email(text)
    if len(email) > EMAIL_CHARACTERS or _UNSAFE.search(email) or not _EMAIL.fullmatch(email):
        raise _invalid("email", "This is not an e-mail address.")
    return email


def clean_name(text: str, field: str) -> str:
    """Return the name without surplus white space; raises Invalid."""
    name = " ".join(unicodedata.normalize("NFC", text).split())
    if not name:
        raise _invalid(field, "A name is needed.")
    if len(name) > NAME_CHARACTERS:
        raise _invalid(field, f"A name has at most {NAME_CHARACTERS} characters.")
    if _UNSAFE.search(name):
        raise _invalid(field, "A name can't contain control characters.")
    return name


def fold_password(text: str) -> str:
    """Bring a password into one form, since keyboards differ in how they compose characters."""
    return unicodedata.normalize("NFKC", text)


def clean_password(text: str, email: str) -> str:
    """Return the password to be hashed; raises Invalid when it is too short, too long or too plain."""
    password = fold_password(text)
    if len(password) < PASSWORD_CHARACTERS_LEAST:
        raise _invalid("password", f"A password needs at least {PASSWORD_CHARACTERS_LEAST} characters.")
    if len(password) > PASSWORD_CHARACTERS_MOST:
        raise _invalid("password", f"A password has at most {PASSWORD_CHARACTERS_MOST} characters.")
    if _UNSAFE.search(password):
        raise _invalid("password", "A password can't contain control characters.")
    if len(set(password)) < PASSWORD_DISTINCT_LEAST or password.lower() in (email, email.partition("@")[0]):
        raise _invalid("password", "This password is too easy to guess.")
    return password


def _invalid(field: str, detail: str) -> Invalid:
    return Invalid(detail, errors=[{"key": field, "message": detail}])
