"""Turns: nobody waits behind another organization's crowd, and no place is ever lost."""

import asyncio
from dataclasses import replace

import pytest

from dana.contracts.ids import OrgId, new_id
from dana.platform import turns
from dana.platform.errors import Limited, Unavailable
from dana.platform.settings import Settings
from dana.platform.shards import Shards
from dana.platform.turns import Turns

ANA, EVE, BEN = OrgId(new_id()), OrgId(new_id()), OrgId(new_id())


class Room:
    """What those inside do: wait until they are let go, one by one."""

    def __init__(self, most: int) -> None:
        self.turns = Turns(most)
        self.entered: list[OrgId] = []
        self._doors: list[asyncio.Event] = []

    async def use(self, org_id: OrgId) -> None:
        async with self.turns.turn(org_id):
            door = asyncio.Event()
            self._doors.append(door)
            self.entered.append(org_id)
            await door.wait()

    async def let_one_go(self) -> None:
        self._doors.pop(0).set()
        await settle()


async def settle() -> None:
    for _ in range(6):
        await asyncio.sleep(0)


def begin(room: Room, org_id: OrgId, times: int) -> list[asyncio.Task[None]]:
    return [asyncio.create_task(room.use(org_id)) for _ in range(times)]


async def finish(room: Room, tasks: list[asyncio.Task[None]]) -> None:
    while not all(task.done() for task in tasks):
        await room.let_one_go()
    await asyncio.gather(*tasks)


async def test_one_request_does_not_wait_behind_a_crowd() -> None:
    room = Room(4)
    tasks = begin(room, ANA, 100)
    await settle()
    assert room.entered == [ANA] * 3, "one place is left for others"
    tasks += begin(room, EVE, 1)
    await settle()
    assert room.entered[-1] == EVE
    await finish(room, tasks)
    assert room.entered.count(ANA) == 100


async def test_those_who_wait_take_turns() -> None:
    room = Room(2)
    tasks = begin(room, ANA, 10) + begin(room, EVE, 3) + begin(room, BEN, 3)
    await settle()
    await finish(room, tasks)
    assert room.entered[:9].count(ANA) <= 4
    assert {room.entered.index(EVE), room.entered.index(BEN)} <= set(range(5))


async def test_who_gives_up_takes_no_place() -> None:
    room = Room(2)
    tasks = begin(room, ANA, 1) + begin(room, EVE, 1)
    await settle()
    waiting = begin(room, BEN, 3)
    await settle()
    waiting[0].cancel()
    await settle()
    await room.let_one_go()
    waiting[1].cancel()  # inside already
    await settle()
    await finish(room, [*tasks, waiting[2]])
    assert room.turns._count == 0
    assert (room.turns._inside, dict(room.turns._waiting)) == ({}, {})


@pytest.mark.parametrize("when", [0, 1, 2, 3])
async def test_a_place_given_to_who_just_gave_up_goes_to_the_next(when: int) -> None:
    room = Room(1)
    first = begin(room, ANA, 1)
    await settle()
    impatient, patient = begin(room, EVE, 1)[0], begin(room, BEN, 1)
    await settle()
    room._doors.pop(0).set()
    for _ in range(when):
        await asyncio.sleep(0)
    impatient.cancel()
    await settle()
    await finish(room, [*first, *patient])
    assert room.turns._count == 0


async def test_a_crowd_that_only_waits_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(turns, "MOST_WAITING", 5)
    room = Room(2)
    tasks = begin(room, ANA, 6)
    await settle()
    with pytest.raises(Limited) as refusal:
        await room.use(ANA)
    assert refusal.value.extra == {"limit": "at-once"}
    tasks += begin(room, EVE, 1)
    await settle()
    assert EVE in room.entered
    await finish(room, tasks)


async def test_patience_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(turns, "PATIENCE_SECONDS", 0.05)
    room = Room(1)
    tasks = begin(room, ANA, 1)
    await settle()
    with pytest.raises(Unavailable):
        await room.use(EVE)
    await finish(room, tasks)
    await use_once(room.turns, EVE)


async def use_once(of: Turns, org_id: OrgId) -> None:
    async with of.turn(org_id):
        pass


async def test_nothing_is_lost_whoever_fails() -> None:
    of = Turns(3)
    for org_id in (ANA, EVE):
        with pytest.raises(ZeroDivisionError):
            async with of.turn(org_id):
                raise ZeroDivisionError
    await asyncio.gather(*(use_once(of, org_id) for org_id in (ANA, EVE, BEN) for _ in range(50)))
    assert of._count == 0


async def test_the_database_is_reached_before_a_neighbours_crowd_is_through(
    settings: Settings, org: OrgId, other_org: OrgId
) -> None:
    shards = Shards(replace(settings, pool_size=3), "conversations")
    finished: list[OrgId] = []

    async def look(org_id: OrgId) -> None:
        async with shards.read(org_id) as tx:
            await tx.fetchval("select pg_sleep(0.01)")
        finished.append(org_id)

    try:
        await look(org)
        crowd = [asyncio.create_task(look(org)) for _ in range(60)]
        await settle()
        await asyncio.gather(*(look(other_org) for _ in range(3)))
        assert finished.count(org) < 30, "the neighbour waited for the crowd"
        await asyncio.gather(*crowd)
    finally:
        await shards.close()
