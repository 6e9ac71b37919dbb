"""Events that wait and go to the same sockets leave in one piece, and never any other."""

from collections.abc import Sequence
from dataclasses import replace
from uuid import UUID

import pytest
from websockets.frames import Frame, Opcode

from dana.contracts.views import Role
from dana.platform.identity import Member
from dana.services.realtime.actions.outgoing import MOST_TOGETHER
from dana.services.realtime.actions.rounds import Rounds
from dana.services.realtime.adapters.picows import _framed
from dana.services.realtime.models import LoggedEvent
from tests.services.realtime.test_realtime_rounds import FakeSocket, Stage, member, socket_of, visitor_of


def event_of(cursor: int, kind: str, key: UUID | None = None) -> LoggedEvent:
    return LoggedEvent(cursor, kind, key, event_id=b'"e"', created_at=b'"t"', payload=b"{}")


class Counting(FakeSocket):
    """A transport that counts in how many pieces its frames came."""

    def __init__(self) -> None:
        super().__init__()
        self.pieces: list[int] = []

    def send(self, frame: bytes) -> None:
        self.pieces.append(1)
        super().send(frame)

    def send_all(self, frames: Sequence[bytes]) -> None:
        self.pieces.append(len(frames))
        for frame in frames:
            super().send(frame)


@pytest.fixture
def stage() -> Stage:
    stage = Stage(Rounds(), 3)
    for client in stage.clients:
        client.socket = Counting()
    return stage


def pieces(stage: Stage) -> list[list[int]]:
    return [socket.pieces for socket in stage.sockets if isinstance(socket, Counting)]


async def test_what_waits_leaves_together_in_order_and_is_finished_one_by_one(stage: Stage) -> None:
    many = MOST_TOGETHER + 3
    stage.push(*range(1, many + 1))
    await stage.idle()
    assert pieces(stage) == [[MOST_TOGETHER, 3]] * 3
    assert all(socket.cursors == list(range(1, many + 1)) for socket in stage.sockets)
    assert stage.finished == list(range(1, many + 1))
    assert stage.outgoing.settled == many


async def test_nothing_leaves_with_what_may_change_rights_before_it(stage: Stage) -> None:
    for cursor, kind in enumerate(("inbox_changed", "member_changed", "inbox_changed"), 1):
        stage.outgoing.push(event_of(cursor, kind))
    await stage.idle()
    assert pieces(stage) == [[2, 1]] * 3


async def test_what_not_all_may_see_leaves_alone(stage: Stage) -> None:
    admin = member()
    assert isinstance(admin.who, Member)
    admin.who = replace(admin.who, role=Role.ADMIN)
    stage.following.add(admin)
    for cursor, kind in enumerate(("inbox_changed", "conversations_job_advanced", "inbox_changed"), 1):
        stage.outgoing.push(event_of(cursor, kind))
    await stage.idle()
    assert all(socket.cursors == [1, 3] for socket in stage.sockets)
    assert socket_of(admin).cursors == [1, 2, 3]


async def test_what_a_visitor_sees_too_leaves_alone(stage: Stage) -> None:
    conversation_id = visitor_of(stage)
    for cursor, key in enumerate((None, conversation_id, None, None), 1):
        stage.outgoing.push(event_of(cursor, "conversation_read" if key else "inbox_changed", key))
    await stage.idle()
    assert pieces(stage) == [[1, 1, 2]] * 3


@pytest.mark.parametrize("size", [0, 125, 126, 65_535, 65_536])
def test_frames_are_written_as_the_protocol_says(size: int) -> None:
    text = b"x" * size
    assert _framed(text) == Frame(Opcode.TEXT, text).serialize(mask=False)
