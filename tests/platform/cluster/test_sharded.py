"""Channels live at the server that owns their slot, and follow it: to another one, and past a death."""

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator

import pytest

from dana.platform.cluster import slot_of
from dana.platform.resp import ANSWER_TIMEOUT_SECONDS
from dana.platform.valkey import Valkey
from tests.platform.cluster.six import PRIMARIES, Node, Six

CHANNELS = [f"channel:{number}" for number in range(200)]
PATIENCE_SECONDS = 30


class Audience:
    """Hears many channels."""

    def __init__(self, client: Valkey) -> None:
        self.client = client
        self.heard: defaultdict[str, list[bytes]] = defaultdict(list)
        self.gaps: set[str] = set()

    async def subscribe(self, channel: str) -> None:
        assert await self.client.subscribe_sharded(
            channel, self.heard[channel].append, lambda: self.gaps.add(channel)
        )

    async def hears_all(self, speaker: Valkey, word: bytes) -> None:
        """Let a word be said in all channels until each has heard it; messages of an outage are lost."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            while missing := [channel for channel in CHANNELS if word not in self.heard[channel]]:
                for channel in missing:
                    speaker.publish_sharded(channel, word)
                await asyncio.sleep(0.1)


@pytest.fixture
async def speaker(six: Six) -> AsyncIterator[Valkey]:
    client = Valkey(six.url)
    assert await client.start()
    yield client
    await client.stop()


@pytest.fixture
async def audience(six: Six) -> AsyncIterator[Audience]:
    client = Valkey(six.url)
    assert await client.start()
    made = Audience(client)
    await asyncio.gather(*(made.subscribe(channel) for channel in CHANNELS))
    yield made
    await client.stop()


async def test_a_channel_is_at_the_owner_of_its_slot_and_follows_it(
    six: Six, speaker: Valkey, audience: Audience
) -> None:
    placed = [await channels_at(node) for node in six.nodes[:PRIMARIES]]
    assert all(placed)
    assert sorted(channel for some in placed for channel in some) == sorted(CHANNELS)
    for channel in CHANNELS:
        assert speaker.publish_sharded(channel, b"once")
    async with asyncio.timeout(PATIENCE_SECONDS):
        while any(not audience.heard[channel] for channel in CHANNELS):
            await asyncio.sleep(0.02)
    assert all(audience.heard[channel] == [b"once"] for channel in CHANNELS)
    assert not audience.gaps

    moved = min(placed[0])
    await move_slot(six, slot_of(moved.encode()), six.nodes[0], six.nodes[1])
    await audience.hears_all(speaker, b"after the move")
    assert moved in audience.gaps, "messages may have passed while the slot moved"
    assert moved in await channels_at(six.nodes[1])

    victim = six.nodes[2]
    victim.process.kill()
    victim.process.wait()
    await audience.hears_all(speaker, b"after the death")
    assert placed[2] <= audience.gaps
    assert audience.client.is_listening

    audience.client.unsubscribe_sharded(moved)
    async with asyncio.timeout(PATIENCE_SECONDS):
        while moved in await channels_at(six.nodes[1]):
            await asyncio.sleep(0.02)


async def test_a_channel_that_is_left_and_taken_again_is_heard(speaker: Valkey, audience: Audience) -> None:
    for channel in CHANNELS:
        audience.client.unsubscribe_sharded(channel)
    await asyncio.gather(*(audience.subscribe(channel) for channel in CHANNELS))
    await audience.hears_all(speaker, b"again")
    assert not audience.gaps


async def test_a_channel_without_a_server_keeps_nobody_waiting_and_is_heard_later(
    six: Six, speaker: Valkey, audience: Audience
) -> None:
    victim = six.nodes[0]
    orphan = min(await channels_at(victim))
    audience.client.unsubscribe_sharded(orphan)
    victim.process.kill()
    victim.process.wait()
    async with asyncio.timeout(PATIENCE_SECONDS):
        while audience.client.is_listening:
            await asyncio.sleep(0.01)
    heard: list[bytes] = audience.heard[orphan]
    async with asyncio.timeout(ANSWER_TIMEOUT_SECONDS - 0.5):  # no answer is waited for
        await audience.client.subscribe_sharded(orphan, heard.append, lambda: None)
    await audience.hears_all(speaker, b"after all")


async def channels_at(node: Node) -> set[str]:
    return {name.decode() for name in await node.ask("PUBSUB", "SHARDCHANNELS")}


async def move_slot(six: Six, slot: int, source: Node, target: Node) -> None:
    """Bring a slot without keys to another primary."""
    await target.ask("CLUSTER", "SETSLOT", slot, "IMPORTING", source.id)
    await source.ask("CLUSTER", "SETSLOT", slot, "MIGRATING", target.id)
    for node in (target, source, *(other for other in six.nodes if other not in (target, source))):
        if node in six.nodes[:PRIMARIES]:
            await node.ask("CLUSTER", "SETSLOT", slot, "NODE", target.id)
