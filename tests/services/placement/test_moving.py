"""An organization moves while its customers write: nothing is lost or doubled, and everything comes along."""

import pytest

from dana.services.placement.actions import moving
from dana.services.placement.models.moves import Move, MoveState
from dana.services.placement.store import tables
from tests.services.placement.grounds import Grounds, table_names

pytestmark = pytest.mark.xdist_group("placement")


@pytest.mark.parametrize(
    ("source", "target"), [("shard1", "shard2"), ("shard1", "shard3"), ("shard3", "shard2")]
)
async def test_an_organization_moves_while_its_customers_write(
    grounds: Grounds, source: str, target: str
) -> None:
    office = await grounds.furnished(source)
    async with grounds.on(source) as home:
        empty = set(await table_names(home)) - set(await grounds.rows(source, office.org_id))
    assert empty == {"platform.move_markers"}  # so a table that is forgotten here is noticed
    seen: list[Move] = []
    move = await moving.request(grounds.desk, office.org_id, target)
    async with office.busy():
        move = await moving.drive(grounds.desk, move.id, seen.append)
    assert (move.state, move.error) == (MoveState.VERIFIED, None)
    assert await grounds.route(office.org_id) == (target, 2)
    assert await grounds.state(target, office.org_id) == ("active", 2)
    assert await grounds.state(source, office.org_id) == ("moved", 1)
    assert await grounds.left_over() == {}
    await office.write(2)
    async with grounds.on(target) as home:
        assert await office.check(home) > 100
    assert move.checks is not None
    assert {check.table for check in move.checks} | empty == set(
        await grounds.rows(target, office.org_id)
    ) | empty
    assert all(check.is_exact and not check.differing for check in move.checks)
    assert {move.state for move in seen} >= {
        MoveState.REQUESTED,
        MoveState.COPYING,
        MoveState.SYNCED,
        MoveState.SWITCHED,
        MoveState.VERIFIED,
    }
    assert 0 < seen[-1].rows_copied <= seen[-1].rows_expected
    assert move.write_pause_ms is not None


async def test_old_events_find_the_partition_of_their_week(grounds: Grounds) -> None:
    office = await grounds.furnished("shard1")
    week, bound = (
        "event_log_2020w10",
        "for values from ('2020-03-02 00:00:00+00') to ('2020-03-09 00:00:00+00')",
    )
    old = "update platform.event_log set created_at = '2020-03-04' where org_id = $1 and cursor = 1"
    try:
        async with grounds.on("shard1") as source:
            assert await tables.add_log_partition(source, week, bound)
            await source.execute(old, office.org_id)
        move = await moving.request(grounds.desk, office.org_id, "shard3")
        move = await moving.drive(grounds.desk, move.id, lambda _: None)
        assert move.state == MoveState.VERIFIED
        async with grounds.on("shard3") as target:
            assert await target.fetchval(f"select count(*) from platform.{week}") == 1  # noqa: S608
            assert await target.fetchval(
                "select relrowsecurity from pg_class where oid = to_regclass($1)", f"platform.{week}"
            )
    finally:
        for shard in ("shard1", "shard3"):
            async with grounds.on(shard) as connection:
                await connection.execute(f"drop table if exists platform.{week}")
