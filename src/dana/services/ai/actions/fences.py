"""The fence: an answer counts only while nothing newer has settled who may answer.

Every request and every act of a person raises the conversation's fence to its own cursor, on disk, and tells
all processes of the assistant. An answer at work listens, looks at the disk from time to time in case the
word got lost, and stops as soon as the fence is above its cursor.
"""

import asyncio
import struct
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from uuid import UUID

from dana.contracts.ids import ConversationId, OrgId
from dana.platform.database import Tx
from dana.platform.errors import Unavailable
from dana.platform.shards import Shards
from dana.platform.signals import Signals
from dana.services.ai import store

LOOK_SECONDS = 1.0  # how soon an answer notices a fence whose word got lost on its way from another process

_risen = struct.Struct(">16sQ")


class Watch:
    """One answer at work: its cursor, and whether something newer came."""

    def __init__(self, cursor: int) -> None:
        self.cursor = cursor
        self.superseded = asyncio.Event()


class Fences:
    """The answers at work in this process, by conversation."""

    def __init__(self, shards: Shards, signals: Signals) -> None:
        self._shards = shards
        self._signals = signals
        self._watches: dict[ConversationId, set[Watch]] = defaultdict(set)

    async def start(self) -> None:
        """Hear what other processes tell."""
        await self._signals.listen(self._hear)

    async def raise_to(self, tx: Tx, conversation_id: ConversationId, cursor: int) -> None:
        """Stop every answer to an older event; call `tell` after the commit."""
        await store.raise_fence(tx, conversation_id, cursor)

    def tell(self, conversation_id: ConversationId, cursor: int) -> None:
        """Stop the older answers now, in this process and in all others."""
        self._signals.send(_risen.pack(conversation_id.bytes, cursor))
        self._stop_older(conversation_id, cursor)

    def _hear(self, signal: bytes) -> None:
        if len(signal) == _risen.size:
            conversation, cursor = _risen.unpack(signal)
            self._stop_older(ConversationId(UUID(bytes=conversation)), cursor)

    def _stop_older(self, conversation_id: ConversationId, cursor: int) -> None:
        for watch in self._watches.get(conversation_id, ()):
            if watch.cursor < cursor:
                watch.superseded.set()

    async def forget(self, tx: Tx, conversation_ids: Sequence[ConversationId]) -> None:
        """Let the fences of conversations go that are gone themselves; answers to them find none, and end."""
        await store.forget_turns(tx, conversation_ids)

    @contextmanager
    def watching(self, conversation_id: ConversationId, cursor: int) -> Iterator[Watch]:
        """Be told when the fence rises above this cursor."""
        watch = Watch(cursor)
        self._watches[conversation_id].add(watch)
        try:
            yield watch
        finally:
            self._watches[conversation_id].discard(watch)
            if not self._watches[conversation_id]:
                del self._watches[conversation_id]

    async def wait(self, org_id: OrgId, conversation_id: ConversationId, watch: Watch) -> None:
        """Return when the answer has been superseded, here or in another process."""
        while not watch.superseded.is_set():
            try:
                await asyncio.wait_for(watch.superseded.wait(), LOOK_SECONDS)
            except TimeoutError:
                if await self._newest(org_id, conversation_id) > watch.cursor:
                    watch.superseded.set()

    async def _newest(self, org_id: OrgId, conversation_id: ConversationId) -> int:
        try:
            async with self._shards.read(org_id) as tx:
                return await store.read_fence(tx, conversation_id)
        except Unavailable:
            return 0  # the last look, inside the writing transaction, is the one that counts
