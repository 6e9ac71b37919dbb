"""`dana shards list`, `add`, `open`, `close`, `remove`, `place`."""

import sys
from pathlib import Path

from rich.text import Text

from dana.cli.shards.desk import at_desk
from dana.cli.shards.moves import drive_to_the_end
from dana.cli.shards.showing import show_places, show_shards
from dana.cli.terminal import console, errors, fail, is_terminal, print_json, read_address
from dana.services.placement.actions import registry
from dana.services.placement.actions.adding import add_shard
from dana.services.placement.actions.desk import Desk
from dana.services.placement.models.shards import Candidate, ShardView


def list_shards(data_dir: Path) -> None:
    """List all shards; ends with 1 when one can't be reached."""
    shards = at_desk(data_dir, registry.list_shards)
    show_shards(shards)
    if not all(shard.is_reachable for shard in shards):
        sys.exit(1)


def add(data_dir: Path, name: str, url: str | None, dedicated_to: str | None) -> None:
    """Add a shard, or change its address."""
    address = read_address(url) if url else None

    async def run(desk: Desk) -> ShardView:
        org_id = (await registry.find_organization(desk, dedicated_to)).id if dedicated_to else None
        with errors.status("Adding …") as status:

            def say(step: str) -> None:
                status.update(f"{step} …")
                if not errors.is_terminal and is_terminal():
                    console.print(f"  {step}")

            await add_shard(desk, name, address, org_id, say)
        return await registry.show_shard(desk, name)

    shard = at_desk(data_dir, run, interrupted="Stopped; nobody is on it yet. Repeat the command to go on.")
    if not is_terminal():
        print_json(shard)
        return
    show_shards([shard])
    if shard.dedicated_to is not None:
        console.print(
            f"`dana shards place {shard.dedicated_to} --dedicated {name}` moves the organization there."
        )
    elif not shard.is_open:
        console.print(f"It is closed; `dana shards open {name}` opens it.")


def set_open(data_dir: Path, name: str, *, is_open: bool) -> None:
    """Open or close a shard."""

    async def run(desk: Desk) -> None:
        await registry.set_open(desk, name, is_open=is_open)

    at_desk(data_dir, run)
    _say({"shard": name, "is_open": is_open}, f"{name} takes {'new' if is_open else 'no new'} organizations.")


def remove(data_dir: Path, name: str) -> None:
    """Forget an empty shard."""

    async def run(desk: Desk) -> ShardView:
        shard = await registry.show_shard(desk, name)
        await registry.remove(desk, name)
        return shard

    shard = at_desk(data_dir, run)
    _say(
        {"removed": name},
        f"{name} is forgotten. Its database {shard.database} is still on {shard.server}; drop it when nobody "
        "needs it any more.",
    )


def place(data_dir: Path, org: str | None, dedicated: str | None, *, is_given_back: bool) -> None:
    """Show where the next organization goes, or reserve a shard for one."""
    if org is None:
        if dedicated or is_given_back:
            fail("Say which organization: dana shards place ORG --dedicated SHARD.")
        _show_places(data_dir)
    elif is_given_back and not dedicated:
        _give_back(data_dir, org)
    elif dedicated and not is_given_back:
        _reserve(data_dir, org, dedicated)
    else:
        fail("Say one of --dedicated SHARD and --undedicate; `dana shards move` moves it without reserving.")


def _show_places(data_dir: Path) -> None:
    async def run(desk: Desk) -> list[Candidate]:
        return await registry.places(desk)

    show_places(at_desk(data_dir, run))


def _reserve(data_dir: Path, org: str, shard: str) -> None:
    async def run(desk: Desk) -> bool:
        organization = await registry.find_organization(desk, org)
        move = await registry.reserve(desk, organization.id, shard)
        _say(
            {"organization": organization.id, "dedicated": shard},
            f"{shard} is reserved for {organization.name or organization.id}.",
        )
        return move is None or await drive_to_the_end(desk, move, organization.name)

    if not at_desk(data_dir, run, interrupted="It stays reserved; the move goes on while Dana runs."):
        sys.exit(1)


def _give_back(data_dir: Path, org: str) -> None:
    async def run(desk: Desk) -> list[str]:
        return await registry.give_back(desk, (await registry.find_organization(desk, org)).id)

    names = at_desk(data_dir, run)
    _say({"undedicated": names}, f"{', '.join(names)} may take anybody again.")


def _say(for_scripts: object, for_people: str) -> None:
    if is_terminal():
        console.print(Text(for_people), soft_wrap=True)
    else:
        print_json(for_scripts)
