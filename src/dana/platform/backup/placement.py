"""Who owns an organization after servers were restored to moments that don't fit together. Pure; no database.

A move leaves this trace, in this order, and each server may be restored to any point of it:

  source active e ► target importing e+1 ► source frozen ► target active ► catalog there ► source moved

So a placement that is or was the owner holds everything written up to its epoch's end, and the one of the
highest epoch holds the most. A copy that was only being imported holds a part, and never wins. One exception:
a target that was opened and then given up is closed only when it can be reached; the source, which works on
meanwhile, then has the newer events.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

from dana.contracts.ids import OrgId

State = Literal["active", "importing", "frozen", "moved"]

NEVER_OWNER = 0  # the epoch of a copy that was not finished


@dataclass(frozen=True, slots=True)
class Placement:
    """What one shard says about one organization."""

    org_id: OrgId
    shard: str
    epoch: int
    state: State
    cursor: int | None
    """The number of its newest event there; None when its rows are gone."""

    @property
    def has_rows(self) -> bool:
        """Whether there is anything of it."""
        return self.cursor is not None


@dataclass(frozen=True, slots=True)
class Route:
    """What the catalog says about one organization."""

    shard: str
    epoch: int


@dataclass(frozen=True, slots=True)
class Verdict:
    """What is to be done about one organization."""

    org_id: OrgId
    owner: Route | None
    """Who owns it from now on; None when it stays closed."""
    placements: tuple[Placement, ...] = ()
    """The placements as they have to be changed, those that close a copy first."""
    is_rerouted: bool = False
    """Whether the catalog has to be changed."""
    because: str = ""


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to be done about all organizations that need something."""

    verdicts: list[Verdict] = field(default_factory=list)
    leftovers: list[Placement] = field(default_factory=list)
    """Copies with rows that nobody owns any more; they may be purged."""

    @property
    def corrected(self) -> list[Verdict]:
        """Those that get another owner, epoch or route."""
        return [verdict for verdict in self.verdicts if verdict.owner]

    @property
    def undecided(self) -> list[Verdict]:
        """Those that stay closed until a person decides."""
        return [verdict for verdict in self.verdicts if verdict.owner is None]

    @property
    def is_clean(self) -> bool:
        """Whether catalog and shards fit together as they are."""
        return not self.verdicts


def decide(
    routes: Mapping[OrgId, Route], placements: Iterable[Placement], choices: Mapping[OrgId, str] | None = None
) -> Plan:
    """Decide for every organization; `choices` names the shard where a person has decided."""
    by_org: dict[OrgId, list[Placement]] = {org_id: [] for org_id in routes}
    for placement in placements:
        by_org.setdefault(placement.org_id, []).append(placement)
    plan = Plan()
    for org_id, found in by_org.items():
        verdict = judge(org_id, routes.get(org_id), found, (choices or {}).get(org_id))
        if verdict.placements or verdict.is_rerouted or verdict.owner is None:
            plan.verdicts.append(verdict)
        owner = verdict.owner.shard if verdict.owner else None
        plan.leftovers.extend(p for p in found if p.has_rows and owner and p.shard != owner)
    return plan


def judge(
    org_id: OrgId, route: Route | None, found: Sequence[Placement], choice: str | None = None
) -> Verdict:
    """Decide for one organization."""
    if choice is not None:
        chosen = next((p for p in found if p.shard == choice and p.has_rows), None)
        if chosen is None:
            return _closed(org_id, found, f"it was to be on {choice}, but nothing of it is there")
        return _owned(chosen, route, found, "a person decided so")
    if route is None and found:
        return _closed(org_id, found, "the catalog doesn't know it, nor who belongs to it")
    owners = [p for p in found if _was_owner(p, route, found)]
    best = _highest(owners, route)
    doubtful = [p for p in found if _may_have_owned(p) and p not in owners and p.epoch > _epoch(best)]
    is_confirmed = len(best) == 1 and _is_confirmed(best[0], route, found)
    rivals = [p for p in owners if _is_newer(p, best) and (p.state != "moved" or not is_confirmed)]
    if not doubtful and not is_confirmed and _led_to(rivals, route):
        return _owned(rivals[0], route, found, f"{best[0].shard} was opened for it, but never reached")
    if len(best) == 1 and not doubtful and not rivals:
        return _owned(best[0], route, found, _reason(best[0], route))
    return _closed(org_id, found, _doubt(found, best, doubtful, rivals))


def _highest(owners: Sequence[Placement], route: Route | None) -> list[Placement]:
    """Return the owner of the highest epoch; of several, the one the catalog leads to, else the newest.

    Several at one epoch come from moves that were tried more than once.
    """
    epoch = _epoch(owners)
    best = [p for p in owners if p.epoch == epoch]
    newest = max((p.cursor or 0 for p in best), default=0)
    known = [p for p in best if _led_to([p], route)]
    return known or [p for p in best if p.cursor == newest]


def _epoch(placements: Sequence[Placement]) -> int:
    return max((p.epoch for p in placements), default=NEVER_OWNER)


def _was_owner(placement: Placement, route: Route | None, found: Sequence[Placement]) -> bool:
    if placement.state in ("active", "frozen"):
        return placement.has_rows
    # It gave the organization away only after the next owner was there, at a higher epoch.
    return _may_have_owned(placement) and _is_confirmed(placement, route, found)


def _may_have_owned(placement: Placement) -> bool:
    return placement.state == "moved" and placement.has_rows and placement.epoch > NEVER_OWNER


def _is_confirmed(placement: Placement, route: Route | None, found: Sequence[Placement]) -> bool:
    """Tell whether something else shows that this epoch was truly reached."""
    seen = _epoch(found) if route is None else max(_epoch(found), route.epoch)
    return seen > placement.epoch or _led_to([placement], route)


def _led_to(placements: Sequence[Placement], route: Route | None) -> bool:
    return [Route(p.shard, p.epoch) for p in placements] == [route]


def _is_newer(placement: Placement, best: Sequence[Placement]) -> bool:
    return len(best) == 1 and (placement.cursor or 0) > (best[0].cursor or 0)


def _owned(owner: Placement, route: Route | None, found: Sequence[Placement], because: str) -> Verdict:
    """Let one placement own the organization, above every epoch ever seen, and close all others."""
    seen = [p.epoch for p in found if p != owner] + ([route.epoch] if route else [])
    stands = owner.state == "active" and all(epoch <= owner.epoch for epoch in seen)
    epoch = owner.epoch if stands else max([*seen, owner.epoch]) + 1
    left = {p: _left(p, is_confirmed=_is_confirmed(p, route, found)) for p in found if p != owner}
    changes = [after for before, after in left.items() if after != before]
    if not stands:
        changes.append(replace(owner, state="active", epoch=epoch))
    wanted = Route(owner.shard, epoch)
    return Verdict(owner.org_id, wanted, tuple(changes), route != wanted, because)


def _left(placement: Placement, *, is_confirmed: bool) -> Placement:
    """Close a copy that doesn't own the organization; one that never did can't win later, either."""
    is_whole = placement.state != "importing" and is_confirmed
    return replace(placement, state="moved", epoch=placement.epoch if is_whole else NEVER_OWNER)


def _closed(org_id: OrgId, found: Sequence[Placement], because: str) -> Verdict:
    """Let nobody own it. A copy that was being imported is closed anyway, and stays what it is."""
    changes = [replace(p, state="frozen") for p in found if p.state == "active"]
    return Verdict(org_id, None, tuple(changes), is_rerouted=False, because=because)


def _doubt(
    found: Sequence[Placement],
    best: Sequence[Placement],
    doubtful: Sequence[Placement],
    rivals: Sequence[Placement],
) -> str:
    if doubtful:
        return f"the copy on {_names(doubtful)} may be newer, or was never finished"
    if rivals:
        return f"{_names(best)} has the higher epoch, but {_names(rivals)} the newer events"
    if best:
        return f"{_names(best)} own it at the same epoch"
    if any(p.has_rows for p in found):
        return "there are only unfinished copies of it"
    return "nothing of it is on any shard"


def _names(placements: Sequence[Placement]) -> str:
    return ", ".join(p.shard for p in placements)


def _reason(owner: Placement, route: Route | None) -> str:
    if owner.state != "active":
        return f"{owner.shard} holds the newest whole copy, {owner.state} at epoch {owner.epoch}"
    if route and route.shard != owner.shard:
        return f"it lives on {owner.shard}, and the catalog says {route.shard}"
    return f"other copies of it than that on {owner.shard} must stay closed"
