"""A fence raised in one process is heard by the answers at work in another."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from uuid import uuid4

import pytest

from dana.contracts.ids import ConversationId, OrgId
from dana.platform.settings import Settings
from dana.platform.shards import Shards
from dana.platform.signals import Signals
from dana.platform.valkey import Valkey
from dana.services.ai.actions import fences as module
from dana.services.ai.actions.fences import Fences

Start = Callable[[], Awaitable[Fences]]


@pytest.fixture
async def start(settings: Settings, shards_of: Callable[[str], Shards]) -> AsyncIterator[Start]:
    """Start the fences of one more process."""
    async with AsyncExitStack() as stack:

        async def start() -> Fences:
            valkey = Valkey(settings.redis_url)
            assert await valkey.start()
            stack.push_async_callback(valkey.stop)
            fences = Fences(shards_of("ai"), Signals(valkey, "fences of a test"))
            await fences.start()
            return fences

        yield start


async def test_a_risen_fence_is_heard_by_another_process(
    start: Start, org: OrgId, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "LOOK_SECONDS", 3600)  # nobody looks: it must be heard
    here, there = await start(), await start()
    conversation, other = ConversationId(uuid4()), ConversationId(uuid4())
    with there.watching(conversation, 5) as older, there.watching(conversation, 7) as newer:
        waiting = asyncio.create_task(there.wait(org, conversation, older))
        here.tell(other, 100)
        here.tell(conversation, 6)
        await asyncio.wait_for(waiting, 10)
        assert not newer.superseded.is_set()


async def test_garbage_is_not_heard(start: Start, settings: Settings) -> None:
    there = await start()
    conversation = ConversationId(uuid4())
    with there.watching(conversation, 5) as watch:
        valkey = Valkey(settings.redis_url)
        await valkey.start()
        signals = Signals(valkey, "fences of a test")
        signals.send(b"nonsense")
        signals.send(conversation.bytes + (6).to_bytes(8, "big"))
        await asyncio.wait_for(watch.superseded.wait(), 10)  # it still listens
        await valkey.stop()
