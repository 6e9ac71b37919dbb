"""Plans that even out load: few moves, each for a reason, and none that makes anything worse."""

from collections.abc import Sequence
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dana.contracts.ids import OrgId
from dana.services.placement.actions.rebalancing import apply, plan_moves
from dana.services.placement.models.moves import MoveState
from dana.services.placement.models.rebalancing import (
    TOLERANCE,
    OrganizationLoad,
    Plan,
    ShardLoad,
    plan,
)
from tests.services.placement.grounds import Grounds, silent

NAMES = ("a", "b", "c", "d")


def shard(
    name: str, *, is_open: bool = True, is_reachable: bool = True, is_dedicated: bool = False
) -> ShardLoad:
    return ShardLoad(name=name, is_open=is_open, is_reachable=is_reachable, is_dedicated=is_dedicated)


def organization(
    number: int, shard: str, events_per_hour: float, size_bytes: int = 1, *, may_move: bool = True
) -> OrganizationLoad:
    return OrganizationLoad(
        id=OrgId(UUID(int=number)),
        shard=shard,
        events_per_hour=events_per_hour,
        size_bytes=size_bytes,
        may_move=may_move,
    )


shards = st.lists(
    st.builds(
        shard,
        st.sampled_from(NAMES),
        is_open=st.sampled_from([True, True, True, False]),
        is_reachable=st.sampled_from([True, True, True, False]),
        is_dedicated=st.sampled_from([False, False, False, True]),
    ),
    unique_by=lambda each: each.name,
)
crowds = st.lists(
    st.tuples(
        st.sampled_from(NAMES),
        st.one_of(st.floats(0, 5000), st.integers(0, 20).map(float)),
        st.integers(0, 10**12),
        st.sampled_from([True, True, True, False]),
    ),
    max_size=40,
).map(
    lambda rows: [
        organization(n, name, rate, size, may_move=may_move)
        for n, (name, rate, size, may_move) in enumerate(rows)
    ]
)


def evened(shards: Sequence[ShardLoad], crowd: Sequence[OrganizationLoad], moves: int) -> list[float]:
    """Add up the loads of the shards that take part, after so many moves of the plan."""
    loads = {each.name: 0.0 for each in shards if each.takes_part}
    targets = {move.org_id: move.target for move in plan(shards, crowd).moves[:moves]}
    for each in crowd:
        place = targets.get(each.id, each.shard)
        if place in loads:
            loads[place] += each.weight
    return list(loads.values())


@given(shards, crowds)
def test_no_step_widens_the_spread_and_each_is_allowed(
    shards: list[ShardLoad], crowd: list[OrganizationLoad]
) -> None:
    planned = plan(shards, crowd)
    by_id = {each.id: each for each in crowd}
    taking_part = {each.name for each in shards if each.takes_part}
    assert len({move.org_id for move in planned.moves}) == len(planned.moves)
    for move in planned.moves:
        assert move.source == by_id[move.org_id].shard != move.target
        assert {move.source, move.target} <= taking_part
        assert by_id[move.org_id].may_move
        assert move.source in move.reason
        assert move.target in move.reason
    spread = None
    for moves in range(len(planned.moves) + 1):
        loads = evened(shards, crowd, moves)
        now = max(loads, default=0.0) - min(loads, default=0.0)
        assert spread is None or now <= spread + 1e-6
        spread = now


@given(shards, crowds)
def test_the_same_plan_whatever_the_order(shards: list[ShardLoad], crowd: list[OrganizationLoad]) -> None:
    assert plan(shards, crowd) == plan(shards[::-1], crowd[::-1])


@given(shards, crowds)
def test_expected_loads_are_what_the_moves_come_to(
    shards: list[ShardLoad], crowd: list[OrganizationLoad]
) -> None:
    planned = plan(shards, crowd)
    assert sorted(each.after for each in planned.loads) == pytest.approx(
        sorted(evened(shards, crowd, len(planned.moves)))
    )
    assert sum(each.before for each in planned.loads) == pytest.approx(
        sum(each.after for each in planned.loads)
    )
    assert planned.is_even == is_even([each.after for each in planned.loads])


@given(shards, crowds)
def test_a_plan_carried_out_leaves_no_better_single_move(
    shards: list[ShardLoad], crowd: list[OrganizationLoad]
) -> None:
    """Stopping when nothing helps means: planning again plans nothing."""
    targets = {move.org_id: move.target for move in plan(shards, crowd).moves}
    after = [
        organization(
            each.id.int,
            targets.get(each.id, each.shard),
            each.events_per_hour,
            each.size_bytes,
            may_move=each.may_move and each.id not in targets,
        )
        for each in crowd
    ]
    assert plan(shards, after).moves == []


@given(crowds)
def test_no_move_is_superfluous(crowd: list[OrganizationLoad]) -> None:
    shards = [shard(name) for name in NAMES]
    planned = plan(shards, crowd)
    for left_out in planned.moves:
        rest = {move.org_id: move.target for move in planned.moves if move is not left_out}
        loads = dict.fromkeys(NAMES, 0.0)
        for each in crowd:
            loads[rest.get(each.id, each.shard)] += each.weight
        assert not is_even(list(loads.values()))


@given(crowds)
def test_where_one_move_is_enough_only_one_is_planned(crowd: list[OrganizationLoad]) -> None:
    shards = [shard(name) for name in NAMES]
    loads = {each.shard: each.before for each in plan(shards, crowd).loads}
    enough = [
        (each, target)
        for each in crowd
        for target in NAMES
        if each.may_move
        and target != each.shard
        and is_even(list((loads | {each.shard: loads[each.shard] - each.weight,
                                   target: loads[target] + each.weight}).values()))
    ]  # fmt: skip
    if enough and not is_even(list(loads.values())):
        assert len(plan(shards, crowd).moves) == 1


def is_even(loads: list[float]) -> bool:
    mean = sum(loads) / max(len(loads), 1)
    return all(abs(load - mean) <= mean * TOLERANCE * (1 + 1e-6) + 1e-9 for load in loads)


def test_even_shards_are_left_alone() -> None:
    crowd = [organization(n, NAMES[n % 2], 100) for n in range(10)]
    planned = plan([shard("a"), shard("b")], crowd)
    assert (planned.moves, planned.is_even) == ([], True)
    assert planned.reason == "All shards are within 20% of the mean."


def test_a_new_shard_gets_its_part_in_as_few_moves_as_possible() -> None:
    crowd = [
        organization(n, "a", rate, size) for n, (rate, size) in enumerate([(400, 9), (300, 5), (100, 1)])
    ]
    planned = plan([shard("a"), shard("b")], crowd)
    (move,) = planned.moves
    assert (move.org_id.int, move.source, move.target) == (0, "a", "b")
    assert move.reason == (
        "a carries 803 (100 % above the mean of 402) and b 0; with these 401 moved, 402 and 401."
    )
    assert planned.reason == "1 move would bring all shards within 20% of the mean."
    assert [(each.shard, each.before, each.after) for each in planned.loads] == [
        ("a", 803, 402),
        ("b", 0, 401),
    ]


def test_of_two_that_help_alike_the_smaller_moves() -> None:
    crowd = [organization(n, "a", 100, size) for n, size in enumerate([500, 3, 40, 700])]
    planned = plan([shard("a"), shard("b")], crowd)
    assert [move.size_bytes for move in planned.moves] == [3, 40]


def test_a_step_that_a_later_one_makes_superfluous_is_left_out() -> None:
    rates = [("c", 15), ("b", 15), ("a", 8), ("a", 4), ("a", 10), ("b", 28), ("a", 23)]
    crowd = [organization(n, name, rate) for n, (name, rate) in enumerate(rates)]
    planned = plan([shard("a"), shard("b"), shard("c")], crowd)
    assert [move.org_id.int for move in planned.moves] == [1, 3]
    assert planned.is_even


def test_one_giant_can_t_be_helped_by_moving_it() -> None:
    planned = plan([shard("a"), shard("b")], [organization(1, "a", 1000)])
    assert (planned.moves, planned.is_even) == ([], False)
    assert planned.reason == "No single organization's move would help."


def test_with_nowhere_to_go_nothing_is_planned() -> None:
    crowd = [organization(n, "a", 100) for n in range(4)]
    others = [shard("b", is_open=False), shard("c", is_reachable=False), shard("d", is_dedicated=True)]
    planned: Plan = plan([shard("a"), *others], crowd)
    assert planned.moves == []
    assert "fewer than two shards" in planned.reason


@pytest.mark.xdist_group("placement")
async def test_a_plan_of_real_shards_is_carried_out(grounds: Grounds) -> None:
    """Of all organizations here only one is busy enough to move, and none goes to the reserved shard."""
    movable = [await grounds.organization("shard2") for _ in range(2)]
    async with grounds.catalog() as catalog:
        await catalog.execute("update platform.shards set is_open = (name <> 'shard1')")
        await catalog.execute(
            "insert into placement.loads (org_id, shard, cursor, events_per_hour, size_bytes, sampled_at)"
            " select id, 'shard2', 1, 1e7, 1000, now() from unnest($1::uuid[]) id",
            movable,
        )
        try:
            planned = await plan_moves(grounds.desk)
            (move,) = planned.moves
            assert (move.source, move.target, planned.is_even) == ("shard2", "shard3", True)
            assert move.org_id in movable
            ended = await apply(grounds.desk, move, silent)
            assert ended.state == MoveState.VERIFIED
            assert await grounds.route(move.org_id) == ("shard3", 2)
            assert (await plan_moves(grounds.desk)).moves == []
        finally:
            await catalog.execute("update platform.shards set is_open = true")
            await catalog.execute("delete from placement.loads")
