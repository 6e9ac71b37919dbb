"""After the switch: a move is taken back without loss, compared row by row, and its source's copy purged."""

import pytest

from dana.platform.errors import Conflict
from dana.services.placement.actions import moving
from dana.services.placement.models.moves import MoveState, Step
from tests.services.placement.grounds import Grounds, drive_to_death, silent

pytestmark = pytest.mark.xdist_group("placement")

MESSAGES = "conversations.messages"
_TAMPER = """
do $$ declare org constant uuid := '{org_id}'; begin
  update conversations.messages set text = 'another' where org_id = org and id =
    (select id from conversations.messages where org_id = org order by seq, id limit 1);
  delete from conversations.messages where org_id = org and id =
    (select id from conversations.messages where org_id = org order by seq desc, id limit 1);
end $$"""


async def test_a_move_is_taken_back_with_all_that_was_written_since(grounds: Grounds) -> None:
    office = await grounds.furnished("shard1")
    there = await moving.request(grounds.desk, office.org_id, "shard3")
    there = await moving.drive(grounds.desk, there.id, silent)
    with pytest.raises(Conflict, match="roll back instead"):
        await moving.abort(grounds.desk, there.id)
    async with office.busy():
        back = await moving.rollback(grounds.desk, there.id)
        assert (back.back_of, back.source, back.target) == (there.id, "shard3", "shard1")
        back = await moving.drive(grounds.desk, back.id, silent)
    assert (back.state, back.error) == (MoveState.VERIFIED, None)
    assert await grounds.route(office.org_id) == ("shard1", 3)
    assert await grounds.state("shard1", office.org_id) == ("active", 3)
    assert await grounds.state("shard3", office.org_id) == ("moved", 2)
    assert await grounds.left_over() == {}
    async with grounds.on("shard1") as home:
        await office.check(home)
    assert (await moving.find(grounds.desk, there.id)).state == MoveState.PURGED  # the old copy made room
    with pytest.raises(Conflict, match="moved again"):
        await moving.rollback(grounds.desk, there.id)
    assert (await moving.purge(grounds.desk, back.id)).state == MoveState.PURGED
    assert await grounds.rows("shard3", office.org_id) == {}
    assert await grounds.state("shard3", office.org_id) == ("moved", 2)  # so that a stale route still fails
    async with grounds.on("shard1") as home:
        await office.check(home)


async def test_a_move_is_taken_back_before_it_was_compared(grounds: Grounds) -> None:
    office = await grounds.furnished("shard1")
    there = await moving.request(grounds.desk, office.org_id, "shard2")
    await drive_to_death(grounds, there, Step.LEFT)
    await office.write(1)
    back = await moving.rollback(grounds.desk, there.id)
    back = await moving.drive(grounds.desk, back.id, silent)
    assert (back.state, back.error) == (MoveState.VERIFIED, None)
    assert (await moving.find(grounds.desk, there.id)).state == MoveState.PURGED
    assert await grounds.left_over() == {}
    async with grounds.on("shard1") as home:
        await office.check(home)


async def test_only_a_switched_move_is_taken_back_compared_or_purged(grounds: Grounds) -> None:
    org_id = await grounds.organization("shard1")
    move = await moving.request(grounds.desk, org_id, "shard2")
    with pytest.raises(Conflict, match="abort instead"):
        await moving.rollback(grounds.desk, move.id)
    with pytest.raises(Conflict, match="not switched"):
        await moving.verify(grounds.desk, move.id)
    with pytest.raises(Conflict, match="not switched"):
        await moving.purge(grounds.desk, move.id)
    await moving.abort(grounds.desk, move.id)
    move = await moving.drive(grounds.desk, move.id, silent)
    assert move.state == MoveState.ABORTED
    assert await moving.abort(grounds.desk, move.id) == move
    with pytest.raises(Conflict, match="abort instead"):
        await moving.rollback(grounds.desk, move.id)


async def test_an_abort_before_a_turn_leaves_the_copy_of_an_earlier_move(grounds: Grounds) -> None:
    office = await grounds.furnished("shard1")
    there = await moving.request(grounds.desk, office.org_id, "shard2")
    there = await moving.drive(grounds.desk, there.id, silent)
    copy = await grounds.rows("shard1", office.org_id)
    back = await moving.rollback(grounds.desk, there.id)
    await moving.abort(grounds.desk, back.id)
    assert (await moving.drive(grounds.desk, back.id, silent)).state == MoveState.ABORTED
    assert await grounds.rows("shard1", office.org_id) == copy
    assert (await moving.purge(grounds.desk, there.id)).state == MoveState.PURGED


async def test_what_did_not_arrive_as_it_was_is_named_by_its_key(grounds: Grounds) -> None:
    office = await grounds.furnished("shard1")
    move = await moving.request(grounds.desk, office.org_id, "shard3")
    await drive_to_death(grounds, move, Step.REHEARSED)
    async with grounds.on("shard3") as target:
        await target.execute(_TAMPER.format(org_id=office.org_id))
    move = await moving.drive(grounds.desk, move.id, silent)
    assert move.state == MoveState.UNPROVEN
    assert move.error is not None
    assert f"2 of {MESSAGES}" in move.error
    checks = {check.table: check for check in move.checks or []}
    assert (checks[MESSAGES].is_exact, len(checks[MESSAGES].keys)) == (True, 2)
    assert sum(check.differing for check in checks.values()) == 2
    with pytest.raises(Conflict, match="differ"):
        await moving.purge(grounds.desk, move.id)


async def test_without_the_driver_that_switched_what_is_gone_is_told_apart_from_what_is_wrong(
    grounds: Grounds,
) -> None:
    office = await grounds.furnished("shard1")
    move = await moving.request(grounds.desk, office.org_id, "shard3")
    await drive_to_death(grounds, move, Step.REHEARSED)
    async with grounds.on("shard3") as target:
        await target.execute(_TAMPER.format(org_id=office.org_id))
    await drive_to_death(grounds, move, Step.SWITCHED)
    move = await moving.drive(grounds.desk, move.id, silent)
    assert move.state == MoveState.UNPROVEN
    check = next(check for check in move.checks or [] if check.table == MESSAGES)
    assert (check.is_exact, check.differing, check.missing, check.changed) == (False, 1, 1, 0)


async def test_a_copy_that_is_compared_again_tells_when_it_has_changed(grounds: Grounds) -> None:
    office = await grounds.furnished("shard1")
    move = await moving.request(grounds.desk, office.org_id, "shard2")
    move = await moving.drive(grounds.desk, move.id, silent)
    await office.write(1)  # the target goes on; the sums of the switch are what is compared
    checks = await moving.verify(grounds.desk, move.id)
    assert sum(check.differing for check in checks) == 0
    async with grounds.on("shard1") as source:
        await source.execute(_TAMPER.format(org_id=office.org_id))
    checks = await moving.verify(grounds.desk, move.id)
    assert {check.table: check.differing for check in checks if check.differing} == {MESSAGES: 2}
    assert (await moving.find(grounds.desk, move.id)).state == MoveState.UNPROVEN
    with pytest.raises(Conflict):
        await moving.purge(grounds.desk, move.id)
