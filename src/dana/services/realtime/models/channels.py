"""Channels: what a socket may follow, who may follow it, and which events belong to whom."""

from collections.abc import Collection
from typing import NamedTuple
from uuid import UUID

from dana.contracts.views import Role
from dana.platform.errors import Forbidden, Invalid
from dana.platform.identity import Member, Visitor, require

MAX_CHANNELS = 100  # of one socket: a screen shows a list and a few conversations
MAX_NAME_LENGTH = 64

ADMIN_EVENTS = frozenset({"conversations_job_advanced", "knowledge_job_advanced"})
"""Only who may ask for a long job hears of it; so do its routes."""

_WITH_ID = frozenset({"inbox", "conversation"})
_WITHOUT_ID = frozenset({"organization", "me"})


class Channel(NamedTuple):
    """What a socket follows; `me` carries the id of whose notifications they are."""

    kind: str
    id: UUID | None = None

    @property
    def name(self) -> str:
        """The channel as clients write it."""
        return f"{self.kind}:{self.id}" if self.kind in _WITH_ID else self.kind


ORGANIZATION = Channel("organization")
SOMEBODYS = Channel("me")
"""The notifications of everybody who follows their own."""


def parse_channel(who: Member | Visitor, name: str) -> Channel:
    """Read the name of a channel; raises Invalid."""
    kind, _, rest = name[:MAX_NAME_LENGTH].partition(":")
    if name == "me" and isinstance(who, Member):
        return Channel("me", who.user_id)
    if name in _WITHOUT_ID:
        return Channel(name)
    if kind not in _WITH_ID:
        raise Invalid("There is no such channel.")
    try:
        return Channel(kind, UUID(rest))
    except ValueError:
        raise Invalid("There is no such channel.") from None


def channel_for(who: Member | Visitor, name: str, followed: Collection[Channel]) -> Channel:
    """Return the channel that somebody asks for, beside those already followed; raises Invalid."""
    channel = parse_channel(who, name)
    if not may_follow(who, channel):
        raise Invalid("You may not follow this.")
    if len(followed) >= MAX_CHANNELS and channel not in followed:
        raise Invalid(f"A socket follows at most {MAX_CHANNELS} channels.")
    return channel


def may_follow(who: Member | Visitor, channel: Channel) -> bool:
    """Tell whether somebody may follow a channel; asked again whenever rights may have changed.

    All members see all conversations of their organization, by REST too; `me` is one's own only. A visitor
    has his conversation. What another organization owns never matches, as feeds are an organization's.
    """
    if isinstance(who, Visitor):
        return channel.kind == "conversation" and channel.id == who.conversation_id
    return channel.kind != "me" or channel.id == who.user_id


def may_see(member: Member, event_type: str) -> bool:
    """Tell whether a member may see events of a type."""
    return event_type not in ADMIN_EVENTS or is_admin(member)


def is_admin(member: Member) -> bool:
    """Tell whether a member may do what needs an admin."""
    try:
        require(member, Role.ADMIN)
    except Forbidden:
        return False
    return True


def defaults(who: Member | Visitor) -> list[str]:
    """Return what somebody follows who doesn't say it."""
    if isinstance(who, Visitor):
        return [Channel("conversation", who.conversation_id).name]
    return [ORGANIZATION.name]
