"""Sockets on a cluster: the server with an organization's channel dies, and clients notice nothing."""

import asyncio
from collections.abc import Callable
from dataclasses import replace

from dana.contracts.ids import OrgId
from dana.platform.cluster import slot_of
from dana.platform.local.programs import free_port
from dana.platform.settings import Settings
from dana.platform.shards import Shards
from tests.platform.cluster.six import PRIMARIES, Six
from tests.services.realtime.listening import Node, Writer, new_conversation


async def test_the_server_of_a_channel_dies_in_the_middle(
    settings: Settings, six: Six, org: OrgId, shards_of: Callable[[str], Shards]
) -> None:
    port = free_port()
    node = Node.make(replace(settings, redis_url=six.url, realtime_port=port), shards_of("realtime"), port)
    await node.start()
    writer, conversation_id = Writer(org, shards_of("conversations")), new_conversation()
    writer.shards.on_commit.append(node.fanout.committed)
    channel = f"dana:org:{org.hex}"
    member = await node.join(node.member_token(org))
    visitor = await node.join(node.visitor_token(org, conversation_id))
    (owner,) = [at for at in six.nodes[:PRIMARIES] if await at.ask("PUBSUB", "SHARDCHANNELS", channel)]
    assert await owner.ask("CLUSTER", "KEYSLOT", channel) == slot_of(channel.encode())

    for number in range(200):
        await writer.say(conversation_id, str(number))
        if number == 50:
            assert await owner.ask("EXISTS", f"dana:history:{{{channel}}}") == 1
            owner.process.kill()
            owner.process.wait()
        await asyncio.sleep(0.02)
    for listener in (member, visitor):
        frames = await listener.events(200)
        assert [frame["cursor"] for frame in frames] == list(range(1, 201))
        assert not await listener.silence()
    await node.stop()
