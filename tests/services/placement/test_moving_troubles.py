"""What goes wrong while an organization moves: it never stays closed, and nothing of it is lost."""

import asyncio
import re
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest

from dana.platform.servers import shard_address
from dana.platform.settings import Settings
from dana.platform.shards import Shards
from dana.services.placement.actions import moving, watching
from dana.services.placement.actions.desk import Desk
from dana.services.placement.actions.driving import carry_on
from dana.services.placement.actions.resuming import Movers
from dana.services.placement.actions.watching import HELD, watch
from dana.services.placement.models.moves import Move, MoveState, Step
from dana.services.placement.store import replication
from tests.services.placement.grounds import Grounds, Office, drive_to_death, silent

pytestmark = pytest.mark.xdist_group("placement")

_CUT = "select pg_terminate_backend(pid) from pg_stat_activity where application_name like 'dana move %'"
_EVE = """
insert into conversations.agents (org_id, id, name, role, is_active) values ($1, $1, 'Eve', 'agent', true)"""


def at_once(work: Callable[[], Awaitable[None]]) -> None:
    """Do something while the driver stands still between two steps: in a thread, with a loop of its own."""
    failed: list[BaseException] = []

    def run() -> None:
        async def begin() -> None:
            await work()

        try:
            asyncio.run(begin())
        except BaseException as error:  # noqa: BLE001 - raised again, in the test's thread
            failed.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    if failed:
        raise failed[0]


def desk_of(settings: Settings) -> Desk:
    """See the installation as another process does."""
    return Desk(settings, Shards(settings, "placement"))


@asynccontextmanager
async def locked(grounds: Grounds, shard: str, table: str) -> AsyncIterator[None]:
    """Let nobody write to a table of a shard."""
    async with grounds.on(shard) as connection, connection.transaction():
        await connection.execute(f"lock table {table} in share mode")
        yield


async def held(name: str) -> float:
    """Read the metric of a slot."""
    found = [
        sample.value
        for metric in HELD.collect()
        for sample in metric.samples
        if sample.labels["slot"] == name
    ]
    return max(found, default=0)


async def settle(grounds: Grounds, office: Office, shard: str) -> None:
    """Assert that the organization works on a shard, and that nothing is left of any move."""
    await office.write(1)
    assert await grounds.left_over() == {}
    async with grounds.on(shard) as home:
        await office.check(home)


async def test_a_long_transaction_delays_the_freeze_and_nobody_else(grounds: Grounds) -> None:
    office = await grounds.furnished("shard1")
    move = await moving.request(grounds.desk, office.org_id, "shard2")
    seen: list[Move] = []
    written: list[int] = []

    def look(move: Move) -> None:
        if move.state == MoveState.SYNCED:
            seen.append(move)
            written.append(sum(len(texts) for texts in office.acknowledged.values()))

    async with office.busy():
        async with grounds.writing.read(office.org_id):  # somebody reads for a long time
            driving = asyncio.create_task(moving.drive(grounds.desk, move.id, look))
            async with asyncio.timeout(30):
                while len(seen) < 12:
                    await asyncio.sleep(0.02)
            assert await grounds.state("shard1", office.org_id) == ("active", 1)
        move = await driving
    assert written[-1] > written[2]  # others wrote between the attempts
    assert move.state == MoveState.VERIFIED
    await settle(grounds, office, "shard2")


async def test_a_target_that_is_too_slow_gets_the_organization_at_a_second_attempt(
    grounds: Grounds,
) -> None:
    office = await grounds.furnished("shard1")
    move = await moving.request(grounds.desk, office.org_id, "shard3")
    steps: list[Step] = []
    is_locked, is_over = threading.Event(), threading.Event()

    def block() -> None:
        async def lock() -> None:
            async with locked(grounds, "shard3", "platform.move_markers"):
                is_locked.set()
                await asyncio.to_thread(is_over.wait)

        asyncio.run(lock())

    blocking = threading.Thread(target=block)

    def follow(step: Step) -> None:
        if step == Step.REHEARSED and Step.REHEARSED not in steps[-1:] and Step.FROZEN not in steps:
            if steps.count(Step.REHEARSED) == 1:  # the second is the one right before the freeze
                blocking.start()
                is_locked.wait()
        elif step == Step.THAWED and Step.FROZEN in steps:
            is_over.set()
        steps.append(step)

    async with office.busy():
        done = await carry_on(grounds.desk, move.id, silent, follow)
    blocking.join()
    assert done is not None
    assert done.state == MoveState.VERIFIED
    assert steps.count(Step.FROZEN) == 2
    assert steps.count(Step.MARKER_SEEN) == 1
    await settle(grounds, office, "shard3")


async def test_an_abort_between_opening_and_switch_comes_in_time(grounds: Grounds) -> None:
    office = await grounds.furnished("shard1")
    move = await moving.request(grounds.desk, office.org_id, "shard3")

    async def abort() -> None:
        desk = desk_of(grounds.settings)
        await moving.abort(desk, move.id)
        await desk.shards.close()

    def follow(step: Step) -> None:
        if step == Step.OPENED:
            at_once(abort)

    async with office.busy():
        done = await carry_on(grounds.desk, move.id, silent, follow)
    assert done is not None
    assert (done.state, done.error) == (MoveState.ABORTED, "Aborted as asked.")
    assert await grounds.route(office.org_id) == ("shard1", 1)
    assert await grounds.rows("shard3", office.org_id) == {}
    await settle(grounds, office, "shard1")


@pytest.mark.parametrize(
    ("when", "shards"),
    [
        (Step.SUBSCRIBED, ["shard1", "shard3"]),
        (Step.FROZEN, ["shard1", "shard3"]),
        (Step.OPENED, ["shard1", "shard3"]),
        (Step.SWITCHED, ["shard1", "shard3"]),
        (Step.SWITCHED, ["shard1"]),
        (Step.UNSUBSCRIBED, ["shard1", "shard3"]),
    ],
)
async def test_lost_connections_are_opened_again(grounds: Grounds, when: Step, shards: list[str]) -> None:
    office = await grounds.furnished("shard1")
    move = await moving.request(grounds.desk, office.org_id, "shard3")
    cut: list[Step] = []

    async def cut_all() -> None:
        for shard in shards:
            async with grounds.on(shard) as connection:
                await connection.execute(_CUT)

    def follow(step: Step) -> None:
        if step == when and not cut:
            cut.append(step)
            at_once(cut_all)

    async with office.busy():
        done = await carry_on(grounds.desk, move.id, silent, follow)
    assert cut == [when]
    assert done is not None
    has_seen_the_switch = when in {Step.SUBSCRIBED, Step.FROZEN} or shards == ["shard1"]
    assert done.state == (MoveState.VERIFIED if has_seen_the_switch else MoveState.UNPROVEN)
    assert sum(check.differing for check in done.checks or []) == 0
    await settle(grounds, office, "shard3")


async def test_a_driver_that_was_cut_off_from_the_catalog_no_longer_drives(grounds: Grounds) -> None:
    office = await grounds.furnished("shard1")
    move = await moving.request(grounds.desk, office.org_id, "shard3")

    async def take_over() -> None:
        async with grounds.catalog() as catalog:
            await catalog.execute(
                "select pg_terminate_backend(pid) from pg_stat_activity"
                " where usename = 'dana_placement' and datname = current_database()"
            )
        desk = desk_of(grounds.settings)
        await moving.abort(desk, move.id)
        assert (await moving.drive(desk, move.id, silent)).state == MoveState.ABORTED
        await desk.shards.close()

    def follow(step: Step) -> None:
        if step == Step.OPENED:
            at_once(take_over)

    with pytest.raises(Exception, match="can't be reached"):
        await carry_on(grounds.desk, move.id, silent, follow)
    assert await grounds.route(office.org_id) == ("shard1", 1)
    assert await grounds.state("shard1", office.org_id) == ("active", 1)
    assert await grounds.rows("shard3", office.org_id) == {}
    await settle(grounds, office, "shard1")


async def test_two_drivers_of_one_move_are_one_driver_and_a_follower(grounds: Grounds) -> None:
    office = await grounds.furnished("shard1")
    move = await moving.request(grounds.desk, office.org_id, "shard2")
    other = desk_of(grounds.settings)
    followed: list[Move] = []
    async with office.busy():
        moves = await asyncio.gather(
            moving.drive(grounds.desk, move.id, silent), moving.drive(other, move.id, followed.append)
        )
    await other.shards.close()
    assert [one.state for one in moves] == [MoveState.VERIFIED] * 2
    assert MoveState.COPYING in {one.state for one in followed}
    await settle(grounds, office, "shard2")


async def test_changes_that_the_target_refuses_end_the_move_with_the_reason(grounds: Grounds) -> None:
    office = await grounds.furnished("shard1")
    move = await moving.request(grounds.desk, office.org_id, "shard3")
    await drive_to_death(grounds, move, Step.REHEARSED)
    for shard in ("shard3", "shard1"):
        async with grounds.on(shard) as connection:
            await connection.execute(_EVE, office.org_id)
    name = replication.name_of(move.id)
    async with grounds.on("shard3") as connection, asyncio.timeout(20):
        while (following := await replication.subscription(connection, name)) and following.is_enabled:
            await asyncio.sleep(0.05)
    move = await moving.drive(grounds.desk, move.id, silent)
    assert move.state == MoveState.ABORTED
    assert "shard3 refused the changes (errors: 1, rows that exist: 1)" in (move.error or "")
    assert await grounds.rows("shard3", office.org_id) == {}
    await settle(grounds, office, "shard1")


async def test_a_target_that_keeps_the_source_from_forgetting_its_log_is_given_up(
    grounds: Grounds, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watching, "MOST_HELD_BYTES", 300_000)
    office = await grounds.furnished("shard1")
    move = await moving.request(grounds.desk, office.org_id, "shard3")
    await drive_to_death(grounds, move, Step.SUBSCRIBED)
    async with office.busy():
        async with locked(grounds, "shard3", "conversations.messages"):
            driving = asyncio.create_task(moving.drive(grounds.desk, move.id, silent))
            async with asyncio.timeout(30):
                while (await moving.find(grounds.desk, move.id)).state != MoveState.ABORTING:
                    await asyncio.sleep(0.05)
        move = await driving
    assert move.state == MoveState.ABORTED
    kept = re.search(r"keeps ([\d,]+) bytes of its log for this move; it may keep 300,000", move.error or "")
    assert kept is not None
    assert int(kept.group(1).replace(",", "")) > 300_000
    await settle(grounds, office, "shard1")


async def test_a_slot_without_a_driver_is_watched_and_its_move_taken_up_and_aborted(
    grounds: Grounds, monkeypatch: pytest.MonkeyPatch
) -> None:
    office = await grounds.furnished("shard1")
    move = await moving.request(grounds.desk, office.org_id, "shard3")
    await drive_to_death(grounds, move, Step.SUBSCRIBED)
    async with locked(grounds, "shard3", "conversations.messages"):
        await office.write(5)
        await watch(grounds.desk)
        assert await held(replication.name_of(move.id)) > 0
        assert not (await moving.find(grounds.desk, move.id)).is_abort_wanted
        monkeypatch.setattr(watching, "MOST_HELD_BYTES", 1)
        await watch(grounds.desk)
    assert (await moving.find(grounds.desk, move.id)).is_abort_wanted
    await take_up_until_ended(grounds, move)
    move = await moving.find(grounds.desk, move.id)
    assert move.state == MoveState.ABORTED
    assert "shard1 keeps" in (move.error or "")
    await settle(grounds, office, "shard1")
    await watch(grounds.desk)
    assert await held(replication.name_of(move.id)) == 0


async def test_a_move_that_nobody_drives_is_taken_up(grounds: Grounds) -> None:
    office = await grounds.furnished("shard1")
    move = await moving.request(grounds.desk, office.org_id, "shard2")
    await drive_to_death(grounds, move, Step.FROZEN)
    await take_up_until_ended(grounds, move)
    assert (await moving.find(grounds.desk, move.id)).state == MoveState.VERIFIED
    await settle(grounds, office, "shard2")


async def test_a_process_that_stops_leaves_its_move_to_the_next(grounds: Grounds) -> None:
    office = await grounds.furnished("shard1")
    move = await moving.request(grounds.desk, office.org_id, "shard2")
    async with office.busy():
        movers = Movers(grounds.desk)
        await movers.take_up()
        async with asyncio.timeout(20):
            while (await moving.find(grounds.desk, move.id)).state != MoveState.COPYING:
                await asyncio.sleep(0.02)
        await movers.stop()
        assert (await moving.find(grounds.desk, move.id)).state == MoveState.COPYING
        await take_up_until_ended(grounds, move)
    assert (await moving.find(grounds.desk, move.id)).state == MoveState.VERIFIED
    await settle(grounds, office, "shard2")


async def test_what_is_left_of_an_ended_move_is_removed(grounds: Grounds) -> None:
    org_id = await grounds.organization("shard1")
    move = await moving.request(grounds.desk, org_id, "shard3")
    await moving.abort(grounds.desk, move.id)
    await moving.drive(grounds.desk, move.id, silent)
    name = replication.name_of(move.id)
    async with grounds.on("shard1") as source, grounds.on("shard3") as target:
        await source.execute(f"create publication {name} for table ai.turns")
        await replication.keep_log(source, name)
        await replication.subscribe(target, name, await shard_address(grounds.settings, "shard1"))
        assert await grounds.left_over() != {}
        async with asyncio.timeout(30):
            while await grounds.left_over():
                await watch(grounds.desk)


async def take_up_until_ended(grounds: Grounds, move: Move) -> None:
    """Run the job that takes moves up until this one has ended."""
    movers = Movers(grounds.desk)
    async with asyncio.timeout(30):
        while not (await moving.find(grounds.desk, move.id)).is_ended:
            await movers.take_up()
            await asyncio.sleep(0.1)
    await movers.stop()
