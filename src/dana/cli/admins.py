"""`dana admins …`: who runs the platform. Whoever has a shell here is the root of that trust."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from dana.cli.installation import installation
from dana.cli.terminal import console, fail, is_terminal, print_json, print_rows
from dana.contracts.views import PlatformRole
from dana.platform.catalog import Catalog
from dana.platform.errors import Problem
from dana.platform.pools import Pools
from dana.services.auth.actions import admins

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Admin:
    """A person with a role on the platform."""

    email: str
    role: PlatformRole | None


def grant(data_dir: Path, email: str, role: PlatformRole) -> None:
    """Give a person a role on the platform."""

    async def run(catalog: Catalog) -> None:
        async with catalog.tx() as tx:
            await admins.grant(tx, email, role)

    _on_catalog(data_dir, run)
    _say(Admin(email, role), f"{email} is {role.value} of the platform, from their next access token on.")


def revoke(data_dir: Path, email: str) -> None:
    """Take the role away."""

    async def run(catalog: Catalog) -> None:
        async with catalog.tx() as tx:
            await admins.revoke(tx, email)

    _on_catalog(data_dir, run)
    _say(Admin(email, None), f"{email} has no role on the platform any more, in ten minutes at the latest.")


def list_admins(data_dir: Path) -> None:
    """List who has which role."""

    async def run(catalog: Catalog) -> list[Admin]:
        async with catalog.read() as tx:
            return [Admin(email, role) for email, role in await admins.granted(tx)]

    found = _on_catalog(data_dir, run)
    print_rows(
        found, ("email", "role"), nothing="Nobody has a role on the platform; see `dana admins grant`."
    )


def _on_catalog(data_dir: Path, run: Callable[[Catalog], Awaitable[T]]) -> T:
    with installation(data_dir) as settings:

        async def with_connections() -> T:
            pools = Pools(settings, "auth")
            try:
                return await run(Catalog(pools))
            finally:
                await pools.close()

        try:
            return asyncio.run(with_connections())
        except Problem as problem:
            fail(str(problem))


def _say(admin: Admin, sentence: str) -> None:
    if is_terminal():
        console.print(sentence)
    else:
        print_json(admin)
