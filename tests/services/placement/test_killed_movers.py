"""Whoever drives a move may be killed after any step: the next driver carries it on, or aborts it cleanly."""

import pytest

from dana.platform.errors import Conflict
from dana.services.placement.actions import moving
from dana.services.placement.models.moves import MoveState, Step
from tests.services.placement.grounds import Grounds, drive_to_death, silent

pytestmark = pytest.mark.xdist_group("placement")

BEFORE = [
    Step.HELD,
    Step.EXPECTED,
    Step.CLEARED,
    Step.MARKED,
    Step.PUBLISHED,
    Step.SLOT_MADE,
    Step.SUBSCRIBED,
    Step.REHEARSED,
    Step.CLOSED,
    Step.THAWED,
    Step.FROZEN,
    Step.MARKER_SEEN,
    Step.OPENED,
]
AFTER = [
    Step.SWITCHED,
    Step.LEFT,
    Step.UNSUBSCRIBED,
    Step.SLOT_DROPPED,
    Step.UNPUBLISHED,
    Step.COMPARED,
    Step.UNMARKED,
]
ABORTING = [
    Step.CLOSED,
    Step.THAWED,
    Step.UNSUBSCRIBED,
    Step.SLOT_DROPPED,
    Step.UNPUBLISHED,
    Step.CLEARED,
    Step.FORGOTTEN,
]


async def test_a_move_whose_drivers_are_killed_after_every_single_step_still_arrives(
    grounds: Grounds,
) -> None:
    office = await grounds.furnished("shard1")
    move = await moving.request(grounds.desk, office.org_id, "shard3")
    async with office.busy():
        for step in BEFORE:
            move = await drive_to_death(grounds, move, step)
            assert move.is_before_switch
        for step in AFTER:
            move = await drive_to_death(grounds, move, step)
            assert not move.is_before_switch
        move = await moving.drive(grounds.desk, move.id, silent)
    assert await grounds.left_over() == {}
    assert await grounds.route(office.org_id) == ("shard3", 2)
    assert await grounds.state("shard3", office.org_id) == ("active", 2)
    assert await grounds.state("shard1", office.org_id) == ("moved", 1)
    async with grounds.on("shard3") as home:
        await office.check(home)
    # The driver that switched died before it had looked at anything, and customers wrote on.
    assert move.state == MoveState.UNPROVEN
    checks = {check.table: check for check in move.checks or []}
    assert sum(check.differing for check in checks.values()) == 0
    assert checks["conversations.conversations"].changed > 0
    assert checks["conversations.messages"].is_exact  # only added to
    with pytest.raises(Conflict, match="not proven"):
        await moving.purge(grounds.desk, move.id)
    assert (await moving.purge(grounds.desk, move.id, accept_unproven=True)).state == MoveState.PURGED
    assert await grounds.rows("shard1", office.org_id) == {}


async def test_what_was_summed_up_before_the_driver_died_is_an_exact_proof(grounds: Grounds) -> None:
    office = await grounds.furnished("shard1")
    move = await moving.request(grounds.desk, office.org_id, "shard2")
    move = await drive_to_death(grounds, move, Step.SUMMED_UP)
    await office.write(2)
    move = await moving.drive(grounds.desk, move.id, silent)
    assert (move.state, move.error) == (MoveState.VERIFIED, None)
    assert all(check.is_exact for check in move.checks or [])


async def test_a_move_may_be_aborted_wherever_its_driver_was_killed_before_the_switch(
    grounds: Grounds,
) -> None:
    office = await grounds.furnished("shard1")
    async with office.busy():
        for step in BEFORE:
            move = await moving.request(grounds.desk, office.org_id, "shard3")
            await drive_to_death(grounds, move, step)
            await moving.abort(grounds.desk, move.id)
            move = await moving.drive(grounds.desk, move.id, silent)
            assert (move.state, move.error) == (MoveState.ABORTED, "Aborted as asked."), step
            assert await grounds.left_over() == {}, step
            assert await grounds.rows("shard3", office.org_id) == {}, step
            assert await grounds.state("shard3", office.org_id) is None, step
            assert await grounds.state("shard1", office.org_id) == ("active", 1), step
            assert await grounds.route(office.org_id) == ("shard1", 1), step
    async with grounds.on("shard1") as home:
        await office.check(home)


async def test_an_abort_whose_drivers_are_killed_after_every_step_still_ends(grounds: Grounds) -> None:
    office = await grounds.furnished("shard1")
    move = await moving.request(grounds.desk, office.org_id, "shard3")
    await drive_to_death(grounds, move, Step.OPENED)
    await moving.abort(grounds.desk, move.id)
    for step in ABORTING:
        move = await drive_to_death(grounds, move, step)
        assert move.state == MoveState.ABORTING
    await office.write(1)
    move = await moving.drive(grounds.desk, move.id, silent)
    assert move.state == MoveState.ABORTED
    assert await grounds.left_over() == {}
    assert await grounds.rows("shard3", office.org_id) == {}
    async with grounds.on("shard1") as home:
        await office.check(home)
