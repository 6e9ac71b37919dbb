"""Fan-out in rounds: fair, in order, bounded in time and memory, whatever single sockets do."""

import asyncio
import time
from collections.abc import Sequence
from uuid import uuid4

import msgspec

from dana.contracts.ids import ContactId, ConversationId, InboxId, OrgId, UserId
from dana.contracts.views import Role
from dana.platform.identity import Member, Visitor
from dana.services.realtime import models
from dana.services.realtime.actions import backlog as backlogs
from dana.services.realtime.actions.backlog import Backlog
from dana.services.realtime.actions.outgoing import MAX_FLEETING, Outgoing
from dana.services.realtime.actions.rounds import PORTION, SENDS_PER_TURN, Rounds
from dana.services.realtime.actions.seats import SILENT_SECONDS, Seats
from dana.services.realtime.models import MAX_UNACKED, ORGANIZATION, Client, Following, LoggedEvent

MANY = 2 * SENDS_PER_TURN + 500


class FakeSocket:
    """A transport that keeps what it is given."""

    def __init__(self) -> None:
        self.frames: list[dict[str, object]] = []
        self.closed: tuple[int, str, int | None] | None = None
        self.is_open = True
        self.is_paused = False
        self.unsent_bytes = 0

    def send(self, frame: bytes) -> None:
        if self.is_open:
            self.frames.append(msgspec.json.decode(frame))

    def send_all(self, frames: Sequence[bytes]) -> None:
        for frame in frames:
            self.send(frame)

    def close(self, code: int, reason: str, retry_ms: int | None = None) -> None:
        self.is_open = False
        self.closed = (code, reason, retry_ms)

    async def drained(self) -> None: ...

    @property
    def cursors(self) -> list[object]:
        return [frame["cursor"] for frame in self.frames if frame["type"] == "event"]


class Broken(FakeSocket):
    """A transport with a bug."""

    def send(self, frame: bytes) -> None:
        raise RuntimeError("broken")


class Stage:
    """One organization's outgoing events, with sockets."""

    def __init__(self, rounds: Rounds, many: int, backlog: Backlog | None = None) -> None:
        self.following = Following()
        self.clients = [member() for _ in range(many)]
        for client in self.clients:
            self.following.add(client)
        self.finished: list[int] = []
        self.outgoing = Outgoing(
            self.following,
            rounds,
            backlog or Backlog([], lambda *_: None),
            lambda event: self.finished.append(event.cursor),
        )
        self.outgoing.start_at(0)

    @property
    def sockets(self) -> list[FakeSocket]:
        return [socket_of(client) for client in self.clients]

    def push(self, *cursors: int) -> None:
        for cursor in cursors:
            self.outgoing.push(event(cursor))

    @property
    def sent(self) -> int:
        return sum(len(socket.frames) for socket in self.sockets)

    async def idle(self) -> None:
        while self.outgoing.is_busy or self.outgoing.is_flashing:
            await asyncio.sleep(0)


async def test_a_turn_of_the_loop_is_bounded_and_small_organizations_wait_for_no_big_one() -> None:
    rounds = Rounds()
    big, small = Stage(rounds, MANY), Stage(rounds, 3)
    big.push(1)
    small.push(1, 2)
    await asyncio.sleep(0)
    assert small.sent == 6
    assert big.sent <= SENDS_PER_TURN - small.sent / 2  # both of its events left in one piece
    turns = 1
    while big.outgoing.is_busy:
        before = big.sent
        await asyncio.sleep(0)
        turns += 1
        assert big.sent - before <= SENDS_PER_TURN
    assert turns >= MANY / SENDS_PER_TURN
    assert big.sent == MANY


async def test_organizations_take_turns() -> None:
    rounds = Rounds()
    stages = [Stage(rounds, 900) for _ in range(4)]
    for stage in stages:
        stage.push(1)
    await asyncio.sleep(0)
    assert [stage.sent for stage in stages] == [PORTION] * 4


async def test_every_socket_gets_all_in_order_however_turns_fall() -> None:
    stage = Stage(Rounds(), 700)
    stage.push(*range(1, 8))
    await stage.idle()
    assert all(socket.cursors == list(range(1, 8)) for socket in stage.sockets)
    assert stage.finished == list(range(1, 8))


async def test_who_joins_while_an_event_goes_round_gets_what_comes_after_it() -> None:
    stage = Stage(Rounds(), MANY)
    stage.push(1)
    await asyncio.sleep(0)
    stage.push(2)
    assert (stage.outgoing.cursor, stage.outgoing.settled, stage.outgoing.accepted) == (1, 0, 2)
    late = member()
    stage.following.add(late)
    said: list[tuple[int, int]] = []
    stage.outgoing.between(lambda: said.append((stage.outgoing.settled, min(map(len, cursors_of(stage))))))
    assert not said
    await stage.idle()
    assert socket_of(late).cursors == [2]
    assert said == [(1, 1)], "an act between two events comes when everybody has the first"
    assert stage.outgoing.settled == 2
    stage.outgoing.between(lambda: said.append((0, 0)))
    assert said[-1] == (0, 0), "and at once when nothing is under way"


async def test_what_is_fleeting_waits_for_what_is_durable_and_is_kept_from_slow_sockets() -> None:
    stage = Stage(Rounds(), SENDS_PER_TURN + 10)
    slow = stage.sockets[0]
    slow.is_paused = True
    for number in range(MAX_FLEETING + 10):
        frame = msgspec.json.encode({"type": "ephemeral", "number": number})
        stage.outgoing.flash(frame, stage.clients[1].origin, stage.clients[:3])
    stage.push(1)
    await stage.idle()
    kinds = [frame["type"] for frame in stage.sockets[2].frames]
    assert kinds == ["event"] + ["ephemeral"] * MAX_FLEETING
    assert stage.sockets[2].frames[-1]["number"] == MAX_FLEETING + 9, "the newest counts"
    assert slow.cursors == [1]
    assert len(slow.frames) == 1
    assert len(stage.sockets[1].frames) == 1, "nobody sees his own"


async def test_a_broken_socket_and_a_broken_event_harm_nobody_else() -> None:
    stage = Stage(Rounds(), 5)
    stage.clients[2].socket = Broken()
    unreadable = LoggedEvent(2, "message_appended", None, event_id=b'"2"', created_at=b'"x"', payload=b"{}")
    unreadable.key = visitor_of(stage)
    stage.push(1)
    stage.outgoing.push(unreadable)
    stage.push(3)
    await stage.idle()
    for client in stage.clients:
        if not isinstance(client.socket, Broken):
            frames = socket_of(client).frames
            assert [(frame["type"], frame["cursor"]) for frame in frames] == [
                ("event", 1),
                ("resync", 2),
                ("event", 3),
            ]


async def test_starting_anew_overtakes_what_waits() -> None:
    stage = Stage(Rounds(), MANY)
    stage.push(1)
    await asyncio.sleep(0)
    stage.push(2, 3)
    stage.outgoing.start_anew(9, None)
    stage.push(10)
    await stage.idle()
    for socket in stage.sockets:
        assert [frame["cursor"] for frame in socket.frames][-2:] == [9, 10]
        assert socket.cursors in ([1, 10], [10])


async def test_all_slow_sockets_together_have_a_bound() -> None:
    seats = [member() for _ in range(6)]
    ended: list[Client] = []
    for number, client in enumerate(seats):
        socket_of(client).is_paused = number > 0
        socket_of(client).unsent_bytes = number * backlogs.MAX_UNSENT_BYTES_OF_NODE // 10
    backlog = Backlog(seats, lambda client, code, reason: ended.append(client))
    backlog.add(1, 100)
    assert not ended
    backlog.add(1, backlogs.LOOK_EVERY_BYTES)
    assert ended == [seats[5]], "1.5 times the bound waits, and half of it for one"


async def test_the_silent_and_the_far_behind_are_ended_if_they_acknowledge() -> None:
    seats, stage = Seats(), Stage(Rounds(), 0)
    quiet, dead, behind, fine = [member() for _ in range(4)]
    feed = FakeFeed(stage.following)
    for client in (quiet, dead, behind, fine):
        seats.take(client, feed)  # type: ignore[arg-type]
        stage.following.add(client)
    for client in (dead, behind, fine):
        client.ack(0, 0, 0)
    stage.clients = [quiet, dead, behind, fine]
    stage.push(*range(1, MAX_UNACKED + 2))
    await stage.idle()
    fine.ack(MAX_UNACKED, stage.following.sent_to(fine), MAX_UNACKED + 1)
    fine.ack(MAX_UNACKED + 1, stage.following.sent_to(fine), MAX_UNACKED + 1)
    for client in (quiet, dead):
        client.heard_at = time.monotonic() - SILENT_SECONDS - 1
    for _ in range(5):
        seats.next_beating()
        seats.look_for_the_dead()
    assert [socket.closed and socket.closed[:2] for socket in stage.sockets] == [
        None,
        (4408, "silent"),
        (4408, "too slow"),
        None,
    ]
    for client in stage.clients:
        seats.free(client)


def test_how_many_are_unacknowledged_is_known_within_two_acknowledgements() -> None:
    client = member()
    client.ack(0, 0, 0)
    lag, step = 30, 10
    for sent in range(step, 5_000, step):
        client.ack(max(0, sent - lag), sent, sent)
        assert client.unacked(sent) <= 3 * lag + 2 * step
    assert client.unacked(10_000) >= 5_000


class FakeFeed:
    """As much of a feed as seats look at."""

    def __init__(self, following: Following) -> None:
        self.following = following


def event(cursor: int) -> LoggedEvent:
    return LoggedEvent(cursor, "message_appended", uuid4(), event_id=b'"1"', created_at=b'"2"', payload=b"{}")


def member() -> Client:
    person = UserId(uuid4())
    who = Member(OrgId(uuid4()), person, Role.AGENT, "Ana", uuid4(), expires_at=time.time() + 600)
    client = Client(who, FakeSocket(), person.bytes[8:])
    client.channels.add(ORGANIZATION)
    return client


def visitor_of(stage: Stage) -> ConversationId:
    conversation_id = ConversationId(uuid4())
    who = Visitor(OrgId(uuid4()), conversation_id, ContactId(uuid4()), InboxId(uuid4()))
    client = Client(who, FakeSocket(), b"")
    client.channels.add(models.parse_channel(who, f"conversation:{conversation_id}"))
    stage.following.add(client)
    return conversation_id


def socket_of(client: Client) -> FakeSocket:
    assert isinstance(client.socket, FakeSocket)
    return client.socket


def cursors_of(stage: Stage) -> list[list[object]]:
    return [socket.cursors for socket in stage.sockets]
