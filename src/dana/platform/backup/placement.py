"""Who owns an organization after servers were restored to moments that don't fit together. Pure; no database.

A move leaves this trace, in this order, and each server may be restored to any point of it:

  source active e ► target importing e+1 ► source frozen ► target active ► catalog there ► source moved

So a placement that is or was the owner holds everything written up to its epoch's end, and the one of the
highest epoch holds the most. A copy that was only being imported holds a part, and never wins.
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
    has_rows: bool


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
    owners = [p for p in found if _was_owner(p, route, found)]
    highest = max((p.epoch for p in owners), default=NEVER_OWNER)
    best = [p for p in owners if p.epoch == highest]
    doubtful = [p for p in found if _may_have_owned(p) and p not in owners and p.epoch > highest]
    if len(best) == 1 and not doubtful:
        return _owned(best[0], route, found, _reason(best[0], route))
    return _closed(org_id, found, _doubt(found, best, doubtful))


def _was_owner(placement: Placement, route: Route | None, found: Sequence[Placement]) -> bool:
    if placement.state in ("active", "frozen"):
        return placement.has_rows
    if not _may_have_owned(placement):
        return False
    # It gave the organization away only after the next owner was there, at a higher epoch.
    seen = [p.epoch for p in found] + ([route.epoch] if route else [])
    return max(seen) > placement.epoch or route == Route(placement.shard, placement.epoch)


def _may_have_owned(placement: Placement) -> bool:
    return placement.state == "moved" and placement.has_rows and placement.epoch > NEVER_OWNER


def _owned(owner: Placement, route: Route | None, found: Sequence[Placement], because: str) -> Verdict:
    """Let one placement own the organization, above every epoch ever seen, and close all others."""
    seen = [p.epoch for p in found if p != owner] + ([route.epoch] if route else [])
    stands = owner.state == "active" and all(epoch <= owner.epoch for epoch in seen)
    epoch = owner.epoch if stands else max([*seen, owner.epoch]) + 1
    changes = [_left(p) for p in found if p != owner and _left(p) != p]
    if not stands:
        changes.append(replace(owner, state="active", epoch=epoch))
    wanted = Route(owner.shard, epoch)
    return Verdict(owner.org_id, wanted, tuple(changes), route != wanted, because)


def _left(placement: Placement) -> Placement:
    """Close a copy that doesn't own the organization."""
    if placement.state == "importing":
        return replace(placement, state="moved", epoch=NEVER_OWNER)
    return replace(placement, state="moved")


def _closed(org_id: OrgId, found: Sequence[Placement], because: str) -> Verdict:
    """Let nobody own it. A copy that was being imported is closed anyway, and stays what it is."""
    changes = [replace(p, state="frozen") for p in found if p.state == "active"]
    return Verdict(org_id, None, tuple(changes), is_rerouted=False, because=because)


def _doubt(found: Sequence[Placement], best: Sequence[Placement], doubtful: Sequence[Placement]) -> str:
    if doubtful:
        shards = ", ".join(p.shard for p in doubtful)
        return f"the copy on {shards} may be newer, or was never finished"
    if best:
        shards = ", ".join(p.shard for p in best)
        return f"{shards} own it at the same epoch"
    if any(p.has_rows for p in found):
        return "there are only unfinished copies of it"
    return "nothing of it is on any shard"


def _reason(owner: Placement, route: Route | None) -> str:
    if route is None:
        return f"the catalog doesn't know it; it lives on {owner.shard}"
    if owner.state != "active":
        return f"{owner.shard} holds the newest whole copy, {owner.state} at epoch {owner.epoch}"
    if route.shard != owner.shard:
        return f"it lives on {owner.shard}, and the catalog says {route.shard}"
    return f"other copies of it than that on {owner.shard} must stay closed"
