"""What auth publishes."""

from uuid import UUID

from dana.contracts.events.base import Event
from dana.contracts.views import MemberView


class OrganizationCreated(Event, frozen=True):
    """An organization signed up."""

    name: str


class MemberJoined(Event, frozen=True):
    """A person joined the organization."""

    member: MemberView

    def key(self) -> UUID:
        """Order by person."""
        return self.member.user_id


class MemberChanged(Event, frozen=True):
    """A member's name, role or access changed."""

    member: MemberView

    def key(self) -> UUID:
        """Order by person."""
        return self.member.user_id
