"""Somebody at a socket, and what a transport must be able to do."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol
from uuid import UUID

from dana.contracts.ids import ConversationId
from dana.platform.identity import Member, Visitor
from dana.services.realtime.models.channels import Channel

MAX_UNACKED = 2_000  # events; who is further behind than a replay would go is better off fetching anew


class RefusedError(Exception):
    """A socket that may not come in."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(reason)
        self.code = code
        self.reason = reason


class Socket(Protocol):
    """One connection, whatever library carries it."""

    def send_all(self, frames: Sequence[bytes], /) -> None:
        """Queue several text frames at once; whoever sends the same to many passes the same object."""
        ...

    def send(self, frame: bytes, /) -> None:
        """Queue a text frame; never blocks, never fails. A client that doesn't keep up is cut."""
        ...

    def close(self, code: int, reason: str, retry_ms: int | None = None) -> None:
        """Say `bye` (`models.bye`), then end the connection; what is queued leaves first.

        Without `retry_ms` the client comes back when `models.retry_ms` says it for this code.
        """
        ...

    async def drained(self) -> None:
        """Return when the client has taken most of what was queued, or is gone."""
        ...

    @property
    def is_open(self) -> bool:
        """Whether frames still leave."""
        ...

    @property
    def is_paused(self) -> bool:
        """Whether the client reads more slowly than we write, so that frames pile up here."""
        ...

    @property
    def unsent_bytes(self) -> int:
        """How much has piled up here."""
        ...


@dataclass(eq=False, slots=True)
class Client:
    """Somebody at a socket."""

    who: Member | Visitor
    socket: Socket
    origin: bytes
    channels: set[Channel] = field(default_factory=set)
    typing_in: set[ConversationId] = field(default_factory=set)
    is_away: bool = False
    has_current_role: bool = False
    """Whether an event has told the member's role, so that an older token can't turn it back."""
    heard_at: float = 0.0
    acked: int | None = None
    """The greatest cursor that the client has applied, once it has said one."""
    start: int = 0
    """From which cursor on it has been sent events."""
    sent: int = 0
    """Events so far, as counted by who sends them."""
    last_sent: int = 0
    """The cursor of the last of them."""
    frames_this_second: int = 0
    second: int = 0
    _acked_sent: int = 0
    _mark: int = 0
    _mark_sent: int = 0

    @property
    def person(self) -> UUID:
        """The id of the member or contact."""
        return self.who.user_id if isinstance(self.who, Member) else self.who.contact_id

    def is_flooding(self, second: int, limit: int, cost: int = 1) -> bool:
        """Count a frame; true when there are too many in one second."""
        if second != self.second:
            self.second = second
            self.frames_this_second = 0
        self.frames_this_second += cost
        return self.frames_this_second > limit

    def ack(self, cursor: int, sent: int, last_sent: int) -> None:
        """Note what has been applied, when so many events had been sent, the last with this cursor.

        How many lie between is told by one mark, set at an acknowledgement and reached by a later one: at
        most as wrong as what is sent between two acknowledgements, and no list for each client.
        """
        if self.acked is None or cursor >= last_sent:
            self._acked_sent = sent
        elif cursor >= self._mark:
            self._acked_sent = max(self._acked_sent, self._mark_sent)
        if self.acked is None or cursor >= self._mark:
            self._mark, self._mark_sent = last_sent, sent
        self.acked = max(self.acked or 0, cursor)

    def unacked(self, sent: int) -> int:
        """Return how many events it has been sent and has not applied."""
        return 0 if self.acked is None else sent - self._acked_sent
