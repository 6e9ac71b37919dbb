"""Who owns an organization after servers were restored to different moments: against a model of moves.

The model runs writes and moves, with aborts and purges between, and remembers every server after every step.
Then each server is put back to some step, and the decision must be right.
"""

from dataclasses import dataclass, field, replace

from hypothesis import given, settings
from hypothesis import strategies as st

from dana.contracts.ids import OrgId, new_id
from dana.platform.backup.placement import Placement, Plan, Route, State, decide

ORG = OrgId(new_id())
SHARDS = ("a", "b", "c")
ALL_STEPS = 6
SWITCH = 5  # up to here a move can be aborted


@dataclass(frozen=True)
class Copy:
    """What a shard holds of the organization; `is_whole` is what nobody can see from outside."""

    state: State
    epoch: int
    rows: frozenset[int]
    is_whole: bool = True
    has_rows: bool = True


Shards = dict[str, Copy]


@dataclass
class World:
    """One organization on three shards, and everything that was ever acknowledged."""

    route: Route = field(default_factory=lambda: Route("a", 1))
    copies: Shards = field(default_factory=lambda: {"a": Copy("active", 1, frozenset())})
    acknowledged: frozenset[int] = frozenset()
    is_moving: bool = False
    target_is_away: bool = False
    past: list[tuple[Route, Shards, frozenset[int]]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.remember()

    def remember(self) -> None:
        self.past.append((self.route, dict(self.copies), self.acknowledged))

    def change(self, shard: str, **changes: object) -> None:
        self.copies[shard] = replace(self.copies[shard], **changes)  # type: ignore[arg-type]
        self.remember()

    def write(self) -> None:
        owner = self.copies[self.route.shard]
        if owner.state == "active" and owner.epoch == self.route.epoch:
            row = len(self.acknowledged)
            self.acknowledged |= {row}
            self.change(self.route.shard, rows=owner.rows | {row})

    def purge(self, shard: str) -> None:
        copy = self.copies.get(shard)
        if copy and copy.state == "moved":
            self.change(shard, rows=frozenset(), has_rows=False)

    def move(self, target: str, steps: int, *, abort: bool) -> None:
        """Carry a move out, as far as it comes: the rest is for whoever resumes it."""
        source, epoch = self.route.shard, self.route.epoch
        if target == source or self.is_moving:
            return
        self.is_moving = steps < ALL_STEPS and not (abort and steps < SWITCH)
        self.purge(target)
        for step in range(steps):
            if step == 0:
                self.copies[target] = Copy("importing", epoch + 1, frozenset(), is_whole=False)
                self.remember()
            elif step == 1:
                self.change(target, rows=self.copies[source].rows)
                self.write()
            elif step == 2:
                self.change(source, state="frozen")
            elif step == 3:
                self.change(target, state="active", rows=self.copies[source].rows, is_whole=True)
            elif step == 4:
                self.route = Route(target, epoch + 1)
                self.remember()
            else:
                self.change(source, state="moved")
        if abort and steps < SWITCH:
            self.give_up(source, target)

    def give_up(self, source: str, target: str) -> None:
        """Undo a move. A target that is away stays open for a while, and the source works on."""
        if self.copies[target].state == "active" and self.target_is_away:
            self.change(source, state="active")
            self.write()
        if self.copies[target].state == "active":
            self.change(target, state="importing", is_whole=False)
        self.change(source, state="active")
        self.write()
        self.copies.pop(target)
        self.remember()


@st.composite
def worlds(draw: st.DrawFn) -> World:
    world = World(target_is_away=draw(st.booleans()))
    for _ in range(draw(st.integers(1, 8))):
        act = draw(st.sampled_from(("write", "write", "move", "move", "purge")))
        if act == "write":
            world.write()
        elif act == "purge":
            world.purge(draw(st.sampled_from(SHARDS)))
        else:
            steps = draw(st.sampled_from((1, 2, 3, 4, 5, *[ALL_STEPS] * 4)))
            world.move(draw(st.sampled_from(SHARDS)), steps, abort=draw(st.booleans()))
    return world


def placements(copies: Shards) -> list[Placement]:
    return [
        Placement(ORG, shard, c.epoch, c.state, len(c.rows) if c.has_rows else None)
        for shard, c in copies.items()
    ]


def applied(route: Route | None, copies: Shards, plan: Plan) -> tuple[Route | None, Shards]:
    after = dict(copies)
    for verdict in plan.verdicts:
        for placement in verdict.placements:
            copy = after[placement.shard]
            after[placement.shard] = replace(copy, state=placement.state, epoch=placement.epoch)
        if verdict.owner and verdict.is_rerouted:
            route = verdict.owner
    return route, after


def check(route: Route | None, copies: Shards) -> Route | None:
    """Decide, and check everything that must hold whatever happened; returns the owner."""
    plan = decide({ORG: route} if route else {}, placements(copies))
    new_route, after = applied(route, copies, plan)
    active = [shard for shard, copy in after.items() if copy.state == "active"]
    assert decide({ORG: new_route} if new_route else {}, placements(after)).corrected == []
    if plan.undecided:
        assert active == []
        return None
    assert new_route is not None
    assert active == [new_route.shard]
    owner = after[new_route.shard]
    assert owner.epoch == new_route.epoch
    assert all(copy.epoch <= owner.epoch for copy in copies.values())
    assert route is None or route.epoch <= owner.epoch
    assert owner.is_whole
    for shard, copy in copies.items():
        assert not copy.is_whole or copy.rows <= owner.rows, f"{shard} knows more than the owner"
    return new_route


@settings(max_examples=200, deadline=None)
@given(worlds(), st.data())
def test_all_servers_restored_to_one_moment_lose_nothing(world: World, data: st.DataObject) -> None:
    route, copies, acknowledged = world.past[data.draw(st.integers(0, len(world.past) - 1))]
    owner = check(route, copies)
    assert owner is not None
    assert copies[owner.shard].rows == acknowledged


@settings(max_examples=400, deadline=None)
@given(worlds(), st.data())
def test_servers_restored_to_any_moments_have_one_owner_who_knows_the_most(
    world: World, data: st.DataObject
) -> None:
    moments = st.integers(0, len(world.past) - 1)
    route = world.past[data.draw(moments)][0]
    copies = {shard: past[shard] for shard in SHARDS if shard in (past := world.past[data.draw(moments)][1])}
    owner = check(route, copies)
    if owner is None:
        whole = [copy for copy in copies.values() if copy.is_whole and copy.has_rows]
        # Something whole is left closed only when another copy may be newer, and nothing shows which is.
        newest = max((copy.epoch for copy in whole), default=0)
        assert (
            not whole
            or any(c.state == "moved" and c.epoch >= route.epoch for c in copies.values())
            or any(
                c.epoch < newest and len(c.rows) > len(b.rows)
                for b in whole
                for c in whole
                if b.epoch == newest
            )
        )


@settings(max_examples=100, deadline=None)
@given(worlds(), st.data())
def test_a_person_can_always_decide(world: World, data: st.DataObject) -> None:
    moments = st.integers(0, len(world.past) - 1)
    route = world.past[data.draw(moments)][0]
    copies = {shard: past[shard] for shard in SHARDS if shard in (past := world.past[data.draw(moments)][1])}
    with_rows = [shard for shard, copy in copies.items() if copy.has_rows]
    if not with_rows:
        return
    choice = data.draw(st.sampled_from(with_rows))
    plan = decide({ORG: route}, placements(copies), {ORG: choice})
    new_route, after = applied(route, copies, plan)
    assert new_route is not None
    assert new_route.shard == choice
    assert [shard for shard, copy in after.items() if copy.state == "active"] == [choice]
    assert decide({ORG: new_route}, placements(after)).is_clean


def test_who_had_moved_away_stays_away_from_a_shard_that_was_put_back() -> None:
    plan = decide(
        {ORG: Route("b", 2)},
        [Placement(ORG, "a", 1, "active", 7), Placement(ORG, "b", 2, "active", 7)],
    )
    (verdict,) = plan.verdicts
    assert verdict.owner == Route("b", 2)
    assert verdict.placements == (Placement(ORG, "a", 1, "moved", 7),)
    assert not verdict.is_rerouted
    assert [copy.shard for copy in plan.leftovers] == ["a"]


def test_an_unfinished_copy_never_counts_again() -> None:
    found = [Placement(ORG, "a", 1, "active", 7), Placement(ORG, "b", 2, "importing", 7)]
    plan = decide({ORG: Route("a", 1)}, found)
    (verdict,) = plan.verdicts
    assert verdict.owner == Route("a", 3)  # above the epoch that the copy had
    assert Placement(ORG, "b", 0, "moved", 7) in verdict.placements
    # Even when its shard's true owner is put back to long ago, the leftover does not win.
    again = decide({ORG: Route("a", 1)}, [found[0], Placement(ORG, "b", 0, "moved", 7)])
    assert again.is_clean


def test_what_only_looks_like_an_owner_leaves_the_organization_closed() -> None:
    """`moved` at a higher epoch, and nothing that shows it was ever reached: nobody guesses."""
    plan = decide(
        {ORG: Route("a", 1)},
        [Placement(ORG, "a", 1, "active", 7), Placement(ORG, "b", 2, "moved", 7)],
    )
    (verdict,) = plan.undecided
    assert verdict.placements == (Placement(ORG, "a", 1, "frozen", 7),)
    assert "b may be newer" in verdict.because


def test_two_owners_at_one_epoch_are_both_closed() -> None:
    found = [Placement(ORG, "a", 2, "active", 7), Placement(ORG, "b", 2, "active", 7)]
    (verdict,) = decide({ORG: Route("c", 1)}, found).undecided
    assert {placement.state for placement in verdict.placements} == {"frozen"}
    (verdict,) = decide({ORG: Route("a", 2)}, found).corrected  # unless the catalog leads to one of them
    assert verdict.owner == Route("a", 2)


def test_a_target_that_was_opened_and_given_up_does_not_beat_newer_events() -> None:
    """The source works on while the target is away, and so can't be closed."""
    found = [Placement(ORG, "a", 1, "active", 8), Placement(ORG, "b", 2, "active", 7)]
    (verdict,) = decide({ORG: Route("a", 1)}, found).verdicts
    assert verdict.owner == Route("a", 3)
    assert Placement(ORG, "b", 0, "moved", 7) in verdict.placements
    # But when the catalog has led there, both have gone on by themselves, and only a person can tell.
    (verdict,) = decide({ORG: Route("b", 2)}, found).undecided
    assert verdict.because == "b has the higher epoch, but a the newer events"


def test_an_organization_the_catalog_does_not_know_stays_closed_until_a_person_decides() -> None:
    found = [Placement(ORG, "a", 1, "active", 7)]
    (verdict,) = decide({}, found).undecided
    assert verdict.placements == (Placement(ORG, "a", 1, "frozen", 7),)
    (verdict,) = decide({}, found, {ORG: "a"}).corrected
    assert (verdict.owner, verdict.is_rerouted) == (Route("a", 1), True)


def test_an_organization_that_is_nowhere_is_reported() -> None:
    (verdict,) = decide({ORG: Route("a", 1)}, []).undecided
    assert verdict.because == "nothing of it is on any shard"


def test_what_fits_together_is_left_alone() -> None:
    found = [Placement(ORG, "a", 1, "moved", None), Placement(ORG, "b", 2, "active", 7)]
    plan = decide({ORG: Route("b", 2)}, found)
    assert plan.is_clean
    assert plan.leftovers == []
