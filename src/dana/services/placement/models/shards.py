"""Shards as an operator sees them, and the rules of adding one. Pure."""

import re
from collections.abc import Sequence
from enum import StrEnum
from urllib.parse import urlsplit
from uuid import UUID

import msgspec

from dana.contracts.ids import OrgId
from dana.platform.errors import Conflict, Invalid

OLDEST_VERSION = 18  # crc32() and named not-null constraints; older servers were never tried
LEAST_SLOTS = 4  # two moves at once, and what a backup or a replica needs

_NAME = re.compile(r"[a-z][a-z0-9_]{0,39}")
_RESERVED = frozenset({"catalog"})  # its database has the name that such a shard's would have
_SCHEMES = frozenset({"postgresql", "postgres"})


class Replica(msgspec.Struct, frozen=True, kw_only=True):
    """A standby that follows a shard's primary."""

    host: str
    state: str
    is_synchronous: bool
    lag_bytes: int | None
    lag_seconds: float | None


class Shard(msgspec.Struct, frozen=True, kw_only=True):
    """A shard as the catalog knows it."""

    name: str
    database: str
    address: str | None
    """Of its servers, without a login; null: the catalog's servers."""
    organizations: int
    is_open: bool
    """Whether new organizations may be placed here."""
    dedicated_to: OrgId | None
    """The only organization that may live here."""
    events_per_hour: float
    copies: int = 0
    """Of organizations that have moved away, and can be rolled back to it until these are purged."""

    @property
    def load(self) -> float:
        """What counts when an organization is placed: silent ones count, too."""
        return self.events_per_hour + self.organizations


class Condition(msgspec.Struct, frozen=True, kw_only=True):
    """How a shard's database was found a moment ago."""

    latency_ms: float
    size_bytes: int
    migrations: int
    """How many it has run."""
    oldest_seconds: float
    """The age of the oldest event that a consumer has yet to consume; 0 when there is none."""
    replicas: list[Replica] = []


class ShardView(msgspec.Struct, frozen=True, kw_only=True):
    """A shard with its condition, as the command line and the API show it."""

    name: str
    server: str
    database: str
    organizations: int
    events_per_hour: float
    copies: int
    """Of organizations that have moved away, and can be rolled back to it until these are purged."""
    is_open: bool
    dedicated_to: OrgId | None
    is_reachable: bool
    problem: str | None
    """Why it can't be reached."""
    migrations_wanted: int
    """How many migrations there are for a shard."""
    condition: Condition | None
    """Null when it can't be reached."""


class Candidate(msgspec.Struct, frozen=True, kw_only=True):
    """A shard as a place for the next organization."""

    rank: int | None
    """1 is where it would go; null where it may not."""
    shard: str
    organizations: int
    events_per_hour: float
    reason: str


class OrganizationName(msgspec.Struct, frozen=True, kw_only=True):
    """An organization, by the name its people gave it."""

    id: OrgId
    name: str
    shard: str


class Refusal(StrEnum):
    """Why a server doesn't let somebody in."""

    PASSWORD = "password"  # noqa: S105 - the reason, not a password
    ADDRESS = "address"


class Server(msgspec.Struct, frozen=True, kw_only=True):
    """What a database server says about itself."""

    system_identifier: int
    """The same on all copies of a cluster."""
    started: str
    """The moment it was started: tells a server from its copies."""
    version: int
    is_replica: bool
    is_superuser: bool
    wal_level: str
    slots: int
    senders: int
    workers: int
    encoding: str
    extensions: list[str]

    def is_same_as(self, other: "Server") -> bool:
        """Tell whether both are one running server, under whatever address."""
        return (self.system_identifier, self.started) == (other.system_identifier, other.started)

    def is_copy_of(self, other: "Server") -> bool:
        """Tell whether one was made of the other's files."""
        return self.system_identifier == other.system_identifier and self.started != other.started


def clean_shard_name(name: str) -> str:
    """Return the name; raises Invalid when it can't be part of a database's name."""
    if not _NAME.fullmatch(name) or name in _RESERVED:
        raise Invalid(
            "A shard's name has small letters, digits and _, begins with a letter, isn't `catalog`."
        )
    return name


def clean_server(url: str) -> str:
    """Return a server's address; raises Invalid, without repeating what may hold a password."""
    form = (
        "The address must look like postgresql://USER:PASSWORD@HOST:PORT; in the password, characters such "
        "as / # @ : are written as %2F %23 %40 %3A."
    )
    try:
        parts = urlsplit(url.strip())
    except ValueError:
        raise Invalid(form) from None
    login, _, listed = parts.netloc.rpartition("@")
    user = login.partition(":")[0]
    if (
        parts.scheme not in _SCHEMES
        or not user
        or parts.fragment
        or not all(map(_is_host, listed.split(",")))
    ):
        raise Invalid(form)
    return parts._replace(scheme="postgresql", path="").geturl()


def check_server(server: Server, wanted_extensions: Sequence[str]) -> None:
    """Raise Conflict with all that keeps a server from being a shard's."""
    faults = []
    if server.version < OLDEST_VERSION:
        faults.append(f"it is PostgreSQL {server.version}, and {OLDEST_VERSION} or newer is needed")
    if server.is_replica:
        faults.append(
            "it is a replica; give the primary's address, and others beside it as HOST:PORT,HOST:PORT"
        )
    if not server.is_superuser:
        faults.append("the user must be a superuser: it makes roles and databases, and copies rows past RLS")
    if server.wal_level != "logical":
        faults.append(f"wal_level is {server.wal_level}; set it to logical and restart the server")
    numbers = {
        "max_replication_slots": server.slots,
        "max_wal_senders": server.senders,
        "max_logical_replication_workers": server.workers,
    }
    faults += [
        f"{name} is {n}; set it to {LEAST_SLOTS} or more" for name, n in numbers.items() if n < LEAST_SLOTS
    ]
    if server.encoding != "UTF8":
        faults.append(f"its databases are encoded as {server.encoding}; make the cluster with UTF8")
    missing = sorted(set(wanted_extensions) - set(server.extensions))
    if missing:
        faults.append(f"the extensions {', '.join(missing)} aren't installed on it")
    if faults:
        raise Conflict(f"This server can't hold a shard: {'; '.join(faults)}.")


def rank_places(shards: Sequence[Shard]) -> list[Candidate]:
    """Order shards as the next organization is placed; those it may not go to come last."""
    takes = sorted((s for s in shards if _takes_any(s)), key=lambda s: (s.load, s.name))
    others = [s for s in shards if not _takes_any(s)]
    return [
        *(_candidate(shard, rank, _why(shard, rank)) for rank, shard in enumerate(takes, 1)),
        *(_candidate(shard, None, _why_not(shard)) for shard in others),
    ]


def least_loaded(shards: Sequence[Shard], added: dict[str, float], but: str) -> str:
    """Name the shard to which an organization goes that must leave another; raises Conflict."""
    takes = [s for s in shards if _takes_any(s) and s.name != but]
    if not takes:
        raise Conflict("There is no other shard that is open and can be reached; add one, or open one.")
    return min(takes, key=lambda s: (s.load + added.get(s.name, 0.0), s.name)).name


def one_organization(found: Sequence[OrganizationName], text: str) -> OrganizationName:
    """Return the only organization of a name; raises Invalid with all ids when there are more."""
    if len(found) == 1:
        return found[0]
    listed = ", ".join(str(each.id) for each in found)
    raise Invalid(f"{len(found)} organizations are named {text}; say which by its id: {listed}.")


def parse_id(text: str) -> OrgId | None:
    """Read an organization's id; None when it is a name."""
    try:
        return OrgId(UUID(text))
    except ValueError:
        return None


def _is_host(text: str) -> bool:
    host, colon, port = text.rpartition(":")
    return bool(host) and bool(colon) and port.isdecimal() and 0 < int(port) < 1 << 16


def _takes_any(shard: Shard) -> bool:
    return shard.is_open and shard.dedicated_to is None


def _candidate(shard: Shard, rank: int | None, reason: str) -> Candidate:
    return Candidate(
        rank=rank,
        shard=shard.name,
        organizations=shard.organizations,
        events_per_hour=shard.events_per_hour,
        reason=reason,
    )


def _why(shard: Shard, rank: int) -> str:
    carries = f"{shard.organizations:,} organizations and {shard.events_per_hour:,.0f} events an hour"
    return f"carries the least: {carries}" if rank == 1 else f"carries more: {carries}"


def _why_not(shard: Shard) -> str:
    if shard.dedicated_to is not None:
        return f"reserved for organization {shard.dedicated_to}"
    return "closed to new organizations"
