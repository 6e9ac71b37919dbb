"""Presence is right after a node was killed, after Valkey began anew with nothing, and while it is away."""

import asyncio
import shutil
import socket
import sys
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from pathlib import Path

import pytest

from dana.contracts.ids import OrgId
from dana.platform.local.programs import Program, free_port, kill, spawn, wait_until_ready
from dana.platform.local.valkey import Valkey as Server
from dana.platform.local.valkey import start_valkey
from dana.platform.settings import Settings
from dana.platform.shards import Shards
from dana.services.realtime.actions import board, presence, roster
from tests.services.realtime.listening import Node, Writer, new_conversation
from tests.services.realtime.test_presence import Crowd, MakeNode, names, there, until

ROOT = Path(__file__).parents[3]


async def test_a_node_is_killed(
    node: Node, settings: Settings, org: OrgId, shards_of: Callable[[str], Shards]
) -> None:
    """Who was only there isn't any more, who was also here still is, and what the dead said is wiped out."""
    crowd = Crowd(org, {})
    port = free_port()
    environment = {
        "DANA_DATA": str(settings.data_dir),
        "DANA_DATABASE_URL": settings.database_url,
        "DANA_REDIS_URL": settings.redis_url,
        "DANA_SECRETS": str(settings.data_dir / "secrets"),
        "DANA_REALTIME_PORT": str(port),
        "DANA_REALTIME_TRANSPORT": settings.realtime_transport,
    }
    command = (sys.executable, "-m", "benchmarks.node")
    program = Program("node", command, lambda: _listens(port), environment=environment, folder=ROOT)
    process = spawn(program)
    wait_until_ready(program, process)
    other = replace(node, port=port)
    mine = new_conversation()
    eve = await crowd.join(node, "Eve", f"organization,conversation:{mine}")
    await crowd.join(node, "Ana")
    for name in ("Ana", "Ben"):
        await crowd.join(other, name, f"conversation:{mine}")
    await until(lambda: set(there(eve)) == {"Ana", "Ben", "Eve"})
    await until(lambda: set(there(eve, f"conversation:{mine}")) == {"Ana", "Ben", "Eve"})
    kill(process)
    process.wait()
    await until(lambda: set(there(eve)) == {"Ana", "Eve"})
    await until(lambda: set(there(eve, f"conversation:{mine}")) == {"Eve"})
    key = f"dana:presence:{{{org.hex}}}:organization"
    assert len(await node.valkey.call("HGETALL", key)) == 2
    wide = [names(each) for each in eve.ear.lists if each["channel"] == "organization"]
    assert all("Ana" in each for each in wide[wide.index({"Ana", "Ben", "Eve"}) :]), "she never flickered"


def test_it_is_right_within_ten_seconds() -> None:
    last_sign = roster.SIGN_MS / 1_000
    assert last_sign + presence.LOOK_SECONDS + 2 * presence.ROUND_SECONDS + board.LIST_SECONDS < 10
    assert last_sign >= presence.SIGN_SECONDS * 3, "a sign may get lost"


async def test_valkey_begins_anew_with_nothing(
    make_node: MakeNode, valkey: Server, tmp_path: Path, crowd: Crowd, shards_of: Callable[[str], Shards]
) -> None:
    node, other = await make_node(), await make_node()
    writer, mine = Writer(crowd.org_id, shards_of("conversations")), new_conversation()
    writer.shards.on_commit.append(node.fanout.committed)
    ana, ben = await crowd.join(node, "Ana"), await crowd.join(other, "Ben")
    await until(lambda: set(there(ana)) == set(there(ben)) == {"Ana", "Ben"})
    seen = len(ana.ear.lists)

    valkey.process.kill()
    valkey.process.wait()
    for number in range(20):
        await writer.say(mine, str(number))
    eve = await crowd.join(node, "Eve")
    for listener in (ana, ben):
        assert [frame["cursor"] for frame in await listener.events(20)] == list(range(1, 21))
    ben.say({"type": "state", "state": "away"})
    await asyncio.sleep(roster.SIGN_MS / 1_000 + 1)  # nobody has given a sign for too long
    assert len(ana.ear.lists) == seen, "nothing new is known"

    shutil.rmtree(tmp_path / "valkey")
    again = start_valkey(tmp_path, int(valkey.url.rsplit(":", 1)[1].partition("/")[0]))
    try:
        right = {"Ana": "online", "Ben": "away", "Eve": "online"}
        await until(lambda: there(ana) == there(ben) == there(eve) == right)
        assert all({"Ana", "Ben"} <= names(each) for each in ana.ear.lists[seen:]), "nobody flickered"
        await eve.hang_up()
        await until(lambda: set(there(ana)) == set(there(ben)) == {"Ana", "Ben"})
    finally:
        again.stop()


async def test_who_is_back_first_doesnt_miss_the_others(make_node: MakeNode, crowd: Crowd) -> None:
    """Valkey has forgotten everything, and only one node has noticed."""
    node = await make_node()
    ana = await crowd.join(node, "Ana")
    (first,) = await _subscribers(node)
    ben = await crowd.join(await make_node(), "Ben")
    await until(lambda: set(there(ana)) == set(there(ben)) == {"Ana", "Ben"})
    seen = len(ana.ear.lists)
    found = await node.valkey.call("HGETALL", f"dana:presence:{{{crowd.org_id.hex}}}:organization")
    (its,) = [field.partition(b"/")[0].decode() for field, entry in found.items() if b"Ben" in entry]
    while await node.valkey.call("PTTL", f"dana:node:{its}") < roster.SIGN_MS - 200:
        await asyncio.sleep(0.05)  # its next sign, by which it notices, shall be some time away
    await node.valkey.call("FLUSHALL")
    await node.valkey.call("CLIENT", "KILL", "ID", first)
    ana.say({"type": "state", "state": "away"})
    await until(lambda: there(ana) == {"Ana": "away", "Ben": "online"})
    assert all(names(each) == {"Ana", "Ben"} for each in ana.ear.lists[seen:])


async def test_what_was_wiped_out_by_mistake_comes_back(node: Node, crowd: Crowd) -> None:
    """A node that was held up for so long that others took it for dead."""
    ana, eve = await crowd.join(node, "Ana"), await crowd.join(node, "Eve")
    await until(lambda: set(there(ana)) == {"Ana", "Eve"})
    (sign,) = [
        sign
        for sign in await node.valkey.call("KEYS", "dana:node:*")
        if sign.decode().removeprefix("dana:node:") in await _sayers(node, crowd.org_id)
    ]
    key = f"dana:presence:{{{crowd.org_id.hex}}}:organization"
    await node.valkey.call("DEL", key)
    await node.valkey.call("DEL", sign.decode())
    async with asyncio.timeout(20):
        while len(await node.valkey.call("HGETALL", key)) < 2:
            await asyncio.sleep(0.05)
    await until(lambda: set(there(ana)) == set(there(eve)) == {"Ana", "Eve"})


@pytest.fixture
def crowd(org: OrgId) -> Crowd:
    return Crowd(org, {})


@pytest.fixture
async def valkey(tmp_path: Path) -> AsyncIterator[Server]:
    server = start_valkey(tmp_path)
    yield server
    server.stop()


@pytest.fixture
async def make_node(settings: Settings, valkey: Server) -> AsyncIterator[MakeNode]:
    """Start nodes on a Valkey of their own."""
    made: list[tuple[Node, Shards]] = []

    async def make() -> Node:
        port, shards = free_port(), Shards(settings, "realtime")
        running = Node.make(replace(settings, redis_url=valkey.url, realtime_port=port), shards, port)
        await running.start()
        made.append((running, shards))
        return running

    yield make
    for running, shards in made:
        await running.stop()
        await shards.close()


async def _sayers(node: Node, org_id: OrgId) -> set[str]:
    """Return the nodes that say something of an organization."""
    found = await node.valkey.call("HGETALL", f"dana:presence:{{{org_id.hex}}}:organization")
    return {field.decode().partition("/")[0] for field in found}


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


async def _subscribers(node: Node) -> list[str]:
    """Return the connections on which nodes hear each other."""
    lines = (await node.valkey.call("CLIENT", "LIST", "TYPE", "PUBSUB")).decode().splitlines()
    return [line.partition(" ")[0].removeprefix("id=") for line in lines]
