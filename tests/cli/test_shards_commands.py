"""`dana shards`, as a script and as a person use it, on an installation of its own."""

import asyncio
import json
import os
import pty
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from typer.testing import CliRunner

from dana.cli.shards import group
from dana.contracts.ids import OrgId, new_id
from dana.platform.database import address, login_of
from dana.platform.local.postgres import start_postgres
from dana.platform.migrations import migrate
from dana.platform.servers import CATALOG, administer
from dana.platform.settings import Settings
from dana.platform.shards import Shards

pytestmark = pytest.mark.xdist_group("placement")

PATIENCE_SECONDS = 120  # with everything else that runs beside it
NAMES = ("Acme", "Bora", "Cima", "Twins", "Twins")


@pytest.fixture(scope="module")
def own(servers: Settings, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    """An installation with two shards on one server, and five organizations."""
    home = tmp_path_factory.mktemp("shards")
    home.chmod(0o755)
    server = start_postgres(home)
    settings = replace(servers, database_url=server.dsn)
    asyncio.run(furnish(settings))
    yield settings
    server.stop()


async def furnish(settings: Settings) -> None:
    await migrate(settings)
    shards = Shards(settings, "auth")
    for name in NAMES:
        org_id = OrgId(new_id())
        await shards.place(org_id)
        async with shards.catalog.tx() as tx:
            await tx.execute("insert into auth.organizations (id, name) values ($1, $2)", org_id, name)
    await shards.close()


def environment(settings: Settings) -> dict[str, str]:
    env = {name: text for name, text in os.environ.items() if not name.startswith("DANA_")}
    return env | {
        "DANA_DATA": str(settings.data_dir),
        "DANA_DATABASE_URL": settings.database_url,
        "DANA_REDIS_URL": settings.redis_url,
    }


def run(settings: Settings, *arguments: str, text: str = "", **more: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "dana", "shards", *arguments],
        capture_output=True,
        text=True,
        env=environment(settings) | more,
        input=text,
        check=False,
        timeout=60,
    )


def lines(settings: Settings, *arguments: str, **more: str) -> list[dict[str, Any]]:
    done = run(settings, *arguments, **more)
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def refusal(settings: Settings, *arguments: str, **more: str) -> str:
    """Run what must fail: one sentence, code 1, nothing else."""
    done = run(settings, *arguments, **more)
    assert (done.returncode, done.stdout) == (1, "")
    assert "Traceback" not in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
    return done.stderr


def on_a_terminal(settings: Settings, *arguments: str) -> str:
    """Run as a person sees it; returns everything that was shown."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "dana", "shards", *arguments],
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        env=environment(settings) | {"TERM": "xterm", "COLUMNS": "160"},
    )
    os.close(theirs)
    shown = b""
    try:
        while part := os.read(ours, 65_536):
            shown += part
    except OSError:  # Linux says so when nobody has the other end any more
        pass
    os.close(ours)
    assert process.wait(timeout=60) == 0, shown.decode()
    return shown.decode()


def home_of(settings: Settings, name: str) -> str:
    async def look() -> str:
        async with administer(address(settings.database_url, database=CATALOG)) as catalog:
            shard = await catalog.fetchval(
                "select p.shard from platform.organizations p join auth.organizations o on o.id = p.id"
                " where o.name = $1 order by p.id limit 1",
                name,
            )
            return str(shard)

    return asyncio.run(look())


def other(shard: str) -> str:
    return "shard2" if shard == "shard1" else "shard1"


def test_help_shows_every_command_with_examples() -> None:
    said = CliRunner().invoke(group, ["--help"]).stdout
    for command in (
        "list", "add", "open", "close", "remove", "place", "drain", "move", "moves", "show", "abort",
        "rollback", "verify", "purge", "rebalance", "export", "import",
    ):  # fmt: skip
        assert f" {command} " in said
    assert "DANA_SHARD_URL=postgresql://" in CliRunner().invoke(group, ["add", "--help"]).stdout


def test_shards_are_listed_for_scripts_and_for_people(own: Settings) -> None:
    shards = lines(own, "list")
    assert [shard["name"] for shard in shards] == ["shard1", "shard2"]
    assert sum(shard["organizations"] for shard in shards) == len(NAMES)
    assert all(shard["is_reachable"] for shard in shards)
    shown = on_a_terminal(own, "list")
    for heading in ("shard", "organizations", "events/h", "size", "health", "replicas", "schema", "backlog"):
        assert heading in shown
    assert "MiB" in shown


def test_a_move_there_and_back_for_scripts(own: Settings) -> None:
    home = home_of(own, "Acme")
    news = lines(own, "move", "acme", "--to", other(home))
    assert news[0]["state"] == "requested"
    assert news[-1]["state"] == "verified"
    move_id = news[-1]["id"]
    assert home_of(own, "Acme") == other(home)
    assert {check["differing"] for check in lines(own, "verify", move_id)} == {0}
    assert lines(own, "rollback", move_id)[-1]["back_of"] == move_id
    assert home_of(own, "Acme") == home
    newest, *_ = lines(own, "moves")
    assert newest["back_of"] == move_id
    assert "roll back instead" in refusal(own, "abort", newest["id"])
    assert lines(own, "show", newest["id"])[0]["write_pause_ms"] > 0
    assert lines(own, "purge", "--from", other(home))[0]["state"] == "purged"


def test_a_move_as_a_person_sees_it(own: Settings) -> None:
    target = other(home_of(own, "Bora"))
    shown = on_a_terminal(own, "move", "Bora", "--to", target)
    assert f"Bora lives on {target}: " in shown
    assert "every row compared; nobody could write for" in shown
    assert "is copied" in shown
    assert "━" in shown  # a bar
    assert "dana shards rollback" in shown
    listed = on_a_terminal(own, "moves")
    assert "Bora" in listed
    assert "verified" in listed


def test_what_can_t_be_meant_is_refused_in_one_sentence(own: Settings) -> None:
    assert "no organization with the id or the name Nobody" in refusal(
        own, "move", "Nobody", "--to", "shard1"
    )
    assert "2 organizations are named Twins; say which by its id:" in refusal(
        own, "move", "Twins", "--to", "shard1"
    )
    assert "no shard named nowhere" in refusal(own, "move", "Acme", "--to", "nowhere")
    assert "no such move" in refusal(own, "show", str(new_id()))
    assert "Say which moves" in refusal(own, "purge")
    assert "organizations live on shard1" in refusal(own, "remove", "shard1")
    assert "Say one of" in refusal(own, "place", "Cima")
    for wrong in (("rebalance",), ("rebalance", "--plan", "--apply"), ("show", "x"), ("move", "Acme")):
        assert CliRunner().invoke(group, wrong).exit_code == 2


def test_a_shard_is_added_drained_and_removed_while_its_address_stays_secret(own: Settings) -> None:
    _, password = login_of(own.database_url)
    added = run(own, "add", "extra", "--url", "-", text=own.database_url + "\n")
    assert added.returncode == 0, added.stderr
    assert password not in added.stdout + added.stderr
    assert json.loads(added.stdout)["is_reachable"]
    wrong = own.database_url.replace(password, f"{password}%23x")
    said = refusal(own, "add", "extra2", DANA_SHARD_URL=wrong)
    assert "password authentication failed" in said
    assert password not in said
    assert "No address was given" in refusal(own, "add", "extra2", "--url", "-")
    assert lines(own, "close", "shard1") == [{"shard": "shard1", "is_open": False}]
    places = lines(own, "place")
    assert (places[0]["shard"], places[-1]["shard"], places[-1]["rank"]) == ("extra", "shard1", None)
    assert lines(own, "open", "shard1") == [{"shard": "shard1", "is_open": True}]
    *moves, done = lines(own, "drain", "shard2")
    assert done == {"drained": "shard2", "stayed": 0}
    assert {move["source"] for move in moves} == {"shard2"}
    assert "can still be rolled back to shard2" in refusal(own, "remove", "shard2")
    lines(own, "purge", "--from", "shard2")
    assert lines(own, "remove", "shard2") == [{"removed": "shard2"}]
    assert [shard["name"] for shard in lines(own, "list")] == ["extra", "shard1"]
    asyncio.run(migrate(own))  # as at the next start: what was removed stays away
    assert [shard["name"] for shard in lines(own, "list")] == ["extra", "shard1"]
    lines(own, "add", "shard2")


def test_a_shard_is_reserved_and_given_back(own: Settings) -> None:
    lines(own, "add", "big")
    *_, moved = lines(own, "place", "Cima", "--dedicated", "big")
    assert (moved["state"], moved["target"]) == ("verified", "big")
    assert "reserved for" in lines(own, "place")[-1]["reason"]
    assert lines(own, "place", "Cima", "--undedicate") == [{"undedicated": ["big"]}]


def test_load_is_evened_out(own: Settings) -> None:
    async def make_the_fullest_busy() -> None:
        async with administer(address(own.database_url, database=CATALOG)) as catalog:
            await catalog.execute(
                "insert into placement.loads (org_id, shard, cursor, events_per_hour, size_bytes, sampled_at)"
                " select id, shard, 1, 1000, 1000, now() from platform.organizations"
                " where shard = (select name from platform.shards order by organizations desc limit 1)"
            )

    asyncio.run(make_the_fullest_busy())
    (plan,) = lines(own, "rebalance", "--plan", "--tolerance", "100")
    assert plan["moves"]
    first, *moves = lines(own, "rebalance", "--apply", "--tolerance", "100")
    assert first == plan
    assert {move["state"] for move in moves} >= {"verified"}
    (after,) = lines(own, "rebalance", "--plan", "--tolerance", "100")
    assert (after["moves"], after["is_even"]) == ([], True)


def test_an_interrupted_drain_leaves_a_closed_shard_and_is_carried_on(own: Settings) -> None:
    """Ctrl-C while a move waits for a lock that somebody else holds."""
    shard = home_of(own, "Acme")
    org_id = lines_of_organization(own, "Acme")
    process = None
    locked = asyncio.new_event_loop()
    try:
        holder = locked.run_until_complete(asyncpg.connect(address(own.database_url, database=CATALOG)))
        locked.run_until_complete(
            holder.execute("select pg_advisory_lock(hashtextextended($1, 0))", f"placement.move {org_id}")
        )
        process = subprocess.Popen(
            [sys.executable, "-m", "dana", "shards", "drain", shard],
            env=environment(own),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        wait_for_move(own, str(org_id))
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=PATIENCE_SECONDS)
        assert process.returncode == 130, said
        assert f"{shard} stays closed" in said
        assert "Traceback" not in said
        locked.run_until_complete(holder.close())
    finally:
        locked.close()
        if process is not None and process.poll() is None:
            process.kill()
    assert lines(own, "drain", shard)[-1]["stayed"] == 0
    assert home_of(own, "Acme") != shard
    lines(own, "open", shard)


def lines_of_organization(settings: Settings, name: str) -> OrgId:
    async def look() -> OrgId:
        async with administer(address(settings.database_url, database=CATALOG)) as catalog:
            return OrgId(await catalog.fetchval("select id from auth.organizations where name = $1", name))

    return asyncio.run(look())


def wait_for_move(settings: Settings, org_id: str) -> None:
    until = time.monotonic() + PATIENCE_SECONDS
    while not any(move["org_id"] == org_id for move in lines(settings, "moves", "--open")):
        assert time.monotonic() < until


def test_a_stopped_installation_is_started_for_the_command(tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("stopped")
    folder.chmod(0o755)
    env = {name: text for name, text in os.environ.items() if not name.startswith("DANA_")}
    done = subprocess.run(
        [sys.executable, "-m", "dana", "shards", "list", "--data", str(folder)],
        capture_output=True,
        text=True,
        env=env,
        check=False,
        timeout=60,
    )
    assert done.returncode == 1
    assert "run `dana migrate` first" in done.stderr
    assert "Traceback" not in done.stderr


def test_an_export_is_brought_in_again_after_the_organization_was_lost(own: Settings, tmp_path: Path) -> None:
    folder = tmp_path / "acme"
    (done,) = lines(own, "export", "Acme", "--to", str(folder))
    assert done["name"] == "Acme"
    assert (folder / "manifest.json").exists()
    assert "exists here already" in refusal(own, "import", str(folder))
    assert "exists already" in refusal(own, "export", "Acme", "--to", str(folder))

    async def lose() -> None:
        async with administer(address(own.database_url, database=CATALOG)) as catalog:
            await catalog.execute("delete from auth.organizations where id = $1", done["organization"])
            await catalog.execute("delete from platform.organizations where id = $1", done["organization"])

    asyncio.run(lose())
    assert "no organization" in refusal(own, "move", "Acme", "--to", "shard1")
    assert lines(own, "import", str(folder), "--to", "shard1") == [done]
    assert home_of(own, "Acme") == "shard1"
    assert "is missing" in refusal(own, "import", str(tmp_path))
