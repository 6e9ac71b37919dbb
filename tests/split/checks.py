"""What must be true of a town after whatever was done to its Dana."""

import contextlib
from collections import Counter
from collections.abc import AsyncIterator
from functools import partial
from typing import Any

import httpx

from tests.split.town import SOMETHING_OF_EACH, Chat, Reader, Split, Town


@contextlib.asynccontextmanager
async def settled(split: Split) -> AsyncIterator[Town]:
    async with httpx.AsyncClient(base_url=split.url, timeout=60) as http:
        town = Town(split.url, http)
        await town.settle()
        yield town
        await town.stop()


async def kill_in_turn(split: Split, town: Town, names: list[str]) -> None:
    town.patience_seconds = 60
    questions = []
    async with town.busy():
        for name in names:
            questions.append(await town.ask_assistant())
            killed = split.kill(name)
            await town.until(partial(_is_replaced, split, name, killed))
            if path := SOMETHING_OF_EACH.get(name):
                await town.until(partial(town.is_answering, path))
    assert town.failures == []
    await nothing_is_lost_or_doubled(town)
    for question in questions:
        await is_answered_once(town, question)


async def nothing_is_lost_or_doubled(town: Town) -> None:
    """What was acknowledged stands once in the database, and came out once, in order, at every socket."""
    assert town.reader
    assert len(town.acknowledged) > 50, "the load did not run"
    for chat in town.chats:
        written = {text for text, conversation in town.acknowledged.items() if conversation == chat.id}
        stored = await town.history(chat)
        assert Counter(message["text"] for message in stored if message["author"] != "system") == Counter(
            written
        )
        for reader in (chat.reader, town.reader):
            with contextlib.suppress(AssertionError):  # the difference says more than that it took too long
                await town.until(partial(_has_heard, reader, chat, stored))
            assert _heard(reader, chat) == stored, (reader.codes, reader.cursor, reader.resyncs)
            assert reader.cursors == sorted(set(reader.cursors))


async def is_answered_once(town: Town, chat: Chat) -> None:
    """The assistant quotes the knowledge, once."""
    await town.until(lambda: any(message["author"] == "assistant" for message in chat.reader.messages))
    answers = [message for message in await town.history(chat) if message["author"] == "assistant"]
    assert len(answers) == 1, answers
    assert answers[0]["citations"], answers
    await chat.reader.stop()


def _has_heard(reader: Reader, chat: Chat, stored: list[dict[str, Any]]) -> bool:
    return _heard(reader, chat) == stored


def _heard(reader: Reader, chat: Chat) -> list[dict[str, Any]]:
    return [message for message in reader.messages if message["conversation_id"] == chat.id]


def _is_replaced(split: Split, name: str, pid: int) -> bool:
    return split.pid(name) != pid
