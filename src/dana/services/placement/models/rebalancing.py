"""Which moves would even out the load of shards: few, none of them superfluous, and why. Pure.

A shard is even when its load is within the tolerance of the mean. Moving a weight w from a shard to a lighter
one helps most when w is nearest to half their gap, whatever is measured: the result is the same on both
sides of that point. So each step takes, for every pair of shards, the organization nearest to half the gap,
and of all pairs the one that leaves the least unevenness.
"""

from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import msgspec

from dana.contracts.ids import OrgId

TOLERANCE = 0.2
MOST_MOVES = 200  # a plan that people read; afterwards one asks again
NEARLY = 0.05  # of a weight: organizations that help about as much, so that the smaller one moves
EACH_COUNTS = 1.0  # an organization counts as one event an hour at least, as when it is placed


class ShardLoad(msgspec.Struct, frozen=True, kw_only=True):
    """A shard that may take part."""

    name: str
    is_open: bool
    is_reachable: bool
    is_dedicated: bool

    @property
    def takes_part(self) -> bool:
        """Whether organizations may come here and go from here."""
        return self.is_open and self.is_reachable and not self.is_dedicated


class OrganizationLoad(msgspec.Struct, frozen=True, kw_only=True):
    """An organization, and what it weighs."""

    id: OrgId
    shard: str
    """Where it lives, or where it is on its way to."""
    events_per_hour: float
    size_bytes: int
    may_move: bool = True
    """False while it is on its way, or when a shard is reserved for it."""

    @property
    def weight(self) -> float:
        """What it adds to its shard's load."""
        return self.events_per_hour + EACH_COUNTS


class PlannedMove(msgspec.Struct, frozen=True, kw_only=True):
    """One move that would help."""

    org_id: OrgId
    source: str
    target: str
    events_per_hour: float
    size_bytes: int
    reason: str


class Expected(msgspec.Struct, frozen=True, kw_only=True):
    """A shard's load before and after the plan, in events an hour; each organization counts one more."""

    shard: str
    before: float
    after: float


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """Which moves, in which order, and what they come to."""

    moves: list[PlannedMove]
    loads: list[Expected]
    is_even: bool
    """Whether all shards are within the tolerance of the mean afterwards."""
    reason: str


@dataclass(frozen=True, slots=True)
class _Step:
    organization: OrganizationLoad
    source: str
    target: str


@dataclass(slots=True)
class _Balance:
    """The loads as they would be, and who may still move; everything in a fixed order."""

    loads: dict[str, float]
    tolerance: float
    movable: dict[str, list[OrganizationLoad]] = field(default_factory=dict)

    @property
    def mean(self) -> float:
        return sum(self.loads.values()) / len(self.loads)

    @property
    def band(self) -> float:
        return self.mean * self.tolerance

    @property
    def trifle(self) -> float:
        """A difference that is only rounding."""
        return self.mean * 1e-9

    def excess(self, load: float) -> float:
        """How far a load is outside of the tolerance."""
        return max(0.0, abs(load - self.mean) - self.band)

    def unevenness(self) -> float:
        """How far all loads together are outside of it."""
        return sum(map(self.excess, self.loads.values()))

    def shift(self, step: _Step) -> None:
        """Let a step have happened."""
        self.loads[step.source] -= step.organization.weight
        self.loads[step.target] += step.organization.weight

    def is_even(self) -> bool:
        """Whether no load is outside."""
        return self.unevenness() <= self.trifle


def plan(
    shards: Sequence[ShardLoad], organizations: Iterable[OrganizationLoad], tolerance: float = TOLERANCE
) -> Plan:
    """Plan the moves; the same input gives the same plan."""
    balance = _weigh(shards, organizations, tolerance)
    before = dict(balance.loads)
    steps: list[_Step] = []
    if len(before) > 1:
        while len(steps) < MOST_MOVES and not balance.is_even():
            step = _best_step(balance)
            if step is None:
                break
            balance.shift(step)
            balance.movable[step.source].remove(step.organization)
            steps.append(step)
        steps = _without_superfluous(before, tolerance, steps, balance)
    after = _loads_after(before, steps)
    is_even = _Balance(after, tolerance).is_even() if after else True
    return Plan(
        moves=_planned(before, tolerance, steps),
        loads=[Expected(shard=name, before=before[name], after=after[name]) for name in sorted(before)],
        is_even=is_even,
        reason=_summary(before, steps, tolerance, is_even=is_even),
    )


def _weigh(
    shards: Sequence[ShardLoad], organizations: Iterable[OrganizationLoad], tolerance: float
) -> _Balance:
    names = sorted(shard.name for shard in shards if shard.takes_part)
    balance = _Balance(dict.fromkeys(names, 0.0), tolerance, {name: [] for name in names})
    for organization in sorted(organizations, key=lambda o: o.id):  # sums depend on their order, if little
        if organization.shard in balance.loads:
            balance.loads[organization.shard] += organization.weight
            if organization.may_move:
                balance.movable[organization.shard].append(organization)
    for some in balance.movable.values():
        some.sort(key=lambda o: (o.weight, o.size_bytes, o.id))
    return balance


def _best_step(balance: _Balance) -> _Step | None:
    """Find the step that brings the most load inside, then evens out the rest most; None: none helps."""
    best: tuple[tuple[float, float, int, OrgId], _Step] | None = None
    for source, source_load in balance.loads.items():
        for target, target_load in balance.loads.items():
            gap = source_load - target_load
            organization = _nearest_to_half(balance, source, target) if gap > 0 else None
            if organization is None:
                continue
            left = _excess_after(balance, source, target, organization.weight)
            outside = left - balance.excess(source_load) - balance.excess(target_load)
            if outside > -balance.trifle:
                continue
            variance = 2 * organization.weight * (organization.weight - gap)
            rank = (outside, variance, organization.size_bytes, organization.id)
            if best is None or rank < best[0]:
                best = rank, _Step(organization, source, target)
    return best[1] if best else None


def _nearest_to_half(balance: _Balance, source: str, target: str) -> OrganizationLoad | None:
    """Choose who should move between two shards: whoever evens them out most; of equals the smallest.

    Only weights below the gap: then both loads end up between what they were.
    """
    gap = balance.loads[source] - balance.loads[target]
    movable = balance.movable[source]
    end = bisect_left(movable, gap, key=lambda o: o.weight)
    at = bisect_left(movable, gap / 2, hi=end, key=lambda o: o.weight)
    near = movable[max(0, at - 1) : min(end, at + 1)]
    if not near:
        return None

    def distance(organization: OrganizationLoad) -> float:
        return abs(organization.weight - gap / 2)

    nearest = min(near, key=distance)
    least = _excess_after(balance, source, target, nearest.weight)
    reach = distance(nearest) + nearest.weight * NEARLY
    low = bisect_left(movable, gap / 2 - reach, hi=end, key=lambda o: o.weight)
    equals = [nearest]
    for organization in movable[low:end]:
        if distance(organization) > reach and organization.weight > gap / 2:
            break
        if (
            distance(organization) <= reach
            and _excess_after(balance, source, target, organization.weight) <= least
        ):
            equals.append(organization)
    return min(equals, key=lambda o: (o.size_bytes, distance(o), o.id))


def _excess_after(balance: _Balance, source: str, target: str, weight: float) -> float:
    return balance.excess(balance.loads[source] - weight) + balance.excess(balance.loads[target] + weight)


def _without_superfluous(
    before: Mapping[str, float], tolerance: float, steps: list[_Step], reached: _Balance
) -> list[_Step]:
    """Leave out each move without which the rest is as even, the largest organizations first."""
    goal = reached.unevenness() + reached.trifle
    kept = list(steps)
    for step in sorted(steps, key=lambda s: (-s.organization.size_bytes, s.organization.id)):
        rest = [other for other in kept if other is not step]
        if (
            _is_monotonic(before, rest)
            and _Balance(_loads_after(before, rest), tolerance).unevenness() <= goal
        ):
            kept = rest
    return kept


def _is_monotonic(before: Mapping[str, float], steps: Sequence[_Step]) -> bool:
    """Tell whether no step overshoots, so that stopping half way never leaves things worse."""
    loads = dict(before)
    for step in steps:
        if step.organization.weight >= loads[step.source] - loads[step.target]:
            return False
        loads[step.source] -= step.organization.weight
        loads[step.target] += step.organization.weight
    return True


def _loads_after(before: Mapping[str, float], steps: Iterable[_Step]) -> dict[str, float]:
    after = dict(before)
    for step in steps:
        after[step.source] -= step.organization.weight
        after[step.target] += step.organization.weight
    return after


def _planned(before: Mapping[str, float], tolerance: float, steps: Sequence[_Step]) -> list[PlannedMove]:
    balance = _Balance(dict(before), tolerance)
    planned = []
    for step in steps:
        planned.append(
            PlannedMove(
                org_id=step.organization.id,
                source=step.source,
                target=step.target,
                events_per_hour=step.organization.events_per_hour,
                size_bytes=step.organization.size_bytes,
                reason=_reason(balance, step),
            )
        )
        balance.shift(step)
    return planned


def _reason(balance: _Balance, step: _Step) -> str:
    heavy, light, mean = balance.loads[step.source], balance.loads[step.target], balance.mean
    weight = step.organization.weight
    return (
        f"{step.source} carries {heavy:,.0f} ({_compared(heavy, mean)} the mean of {mean:,.0f}) and "
        f"{step.target} {light:,.0f}; with these {weight:,.0f} moved, {heavy - weight:,.0f} and "
        f"{light + weight:,.0f}."
    )


def _compared(load: float, mean: float) -> str:
    percent = round(100 * (load / mean - 1)) if mean else 0
    return f"{abs(percent)} % {'above' if percent >= 0 else 'below'}"


def _summary(before: Mapping[str, float], steps: Sequence[_Step], tolerance: float, *, is_even: bool) -> str:
    if len(before) < 2:  # noqa: PLR2004 - two can be compared
        return "There are fewer than two shards that are open, reachable and not reserved."
    within = f"within {tolerance:.0%} of the mean"
    if not steps:
        return f"All shards are {within}." if is_even else "No single organization's move would help."
    names = f"{len(steps)} move{'s' if len(steps) > 1 else ''}"
    if is_even:
        return f"{names} would bring all shards {within}."
    return f"{names} would help; afterwards the shards are still not {within}."
