"""Presence on a cluster: who is there lies on several servers, and one of them dies."""

import asyncio
from collections.abc import Callable
from dataclasses import replace

from dana.contracts.ids import OrgId
from dana.platform.local.programs import free_port
from dana.platform.settings import Settings
from dana.platform.shards import Shards
from tests.platform.cluster.six import PRIMARIES, Six
from tests.services.realtime.listening import Node, new_conversation
from tests.services.realtime.test_presence import Crowd, there

PATIENCE_SECONDS = 60.0  # a replica takes over meanwhile


async def test_the_server_that_knows_who_is_there_dies(
    settings: Settings, six: Six, org: OrgId, shards_of: Callable[[str], Shards]
) -> None:
    nodes, crowd, mine = [], Crowd(org, {}), new_conversation()
    for _ in range(2):
        port = free_port()
        own = replace(settings, redis_url=six.url, realtime_port=port)
        nodes.append(Node.make(own, shards_of("realtime"), port))
        await nodes[-1].start()
    channels = f"organization,conversation:{mine}"
    ana = await crowd.join(nodes[0], "Ana", channels)
    ben = await crowd.join(nodes[1], "Ben", channels)
    await crowd.visit(nodes[1], "Eve", mine)
    await until(lambda: set(there(ana)) == set(there(ben)) == {"Ana", "Ben"})
    await until(lambda: set(there(ana, f"conversation:{mine}")) == {"Ana", "Ben", "Eve"})

    key = f"dana:presence:{{{org.hex}}}:organization"
    (owner,) = [at for at in six.nodes[:PRIMARIES] if key.encode() in await at.ask("KEYS", "dana:presence:*")]
    owner.process.kill()
    owner.process.wait()
    cid = await crowd.join(nodes[0], "Cid", channels)
    await until(lambda: set(there(ana)) == set(there(ben)) == set(there(cid)) == {"Ana", "Ben", "Cid"})
    await ben.hang_up()
    await until(lambda: set(there(ana)) == set(there(cid)) == {"Ana", "Cid"})
    await until(lambda: set(there(ana, f"conversation:{mine}")) == {"Ana", "Cid", "Eve"})
    for node in nodes:
        await node.stop()


async def until(condition: Callable[[], bool]) -> None:
    """Wait until it is so."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        while not condition():
            await asyncio.sleep(0.05)
