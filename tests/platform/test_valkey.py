"""The Valkey client against a real server: pipelining, subscriptions, and everything that can break."""

import asyncio
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from dana.platform.errors import Unavailable
from dana.platform.local.programs import free_port
from dana.platform.local.valkey import Valkey as Server
from dana.platform.local.valkey import start_valkey
from dana.platform.valkey import CommandError, Valkey


class Ear:
    """Keeps what it hears."""

    def __init__(self) -> None:
        self.heard: list[bytes] = []
        self.gaps = 0

    def hear(self, message: bytes) -> None:
        self.heard.append(message)

    def gap(self) -> None:
        self.gaps += 1


async def until(condition: Callable[[], bool], seconds: float = 8.0) -> None:
    async with asyncio.timeout(seconds):
        while not condition():
            await asyncio.sleep(0.01)


async def test_answers_belong_to_their_questions(valkey: Valkey) -> None:
    await asyncio.gather(*(valkey.call("SET", f"key:{n}", n) for n in range(2_000)))
    answers = await asyncio.gather(*(valkey.call("GET", f"key:{n}") for n in range(2_000)))
    assert answers == [str(n).encode() for n in range(2_000)]


async def test_answers_of_every_kind(valkey: Valkey) -> None:
    assert await valkey.call("INCR", "counter") == 1
    assert await valkey.call("GET", "nothing") is None
    await valkey.call("HSET", "hash", "a", b"\x00\xff", "b", 2)
    assert await valkey.call("HGETALL", "hash") == {b"a": b"\x00\xff", b"b": b"2"}
    assert await valkey.call("EVAL", "return {1, 'two'}", 0) == [1, b"two"]


async def test_a_wrong_command_fails_alone(valkey: Valkey) -> None:
    await valkey.call("SET", "text", "abc")
    calls = [valkey.call("INCR", "text"), valkey.call("GET", "text")]
    answers: list[object] = await asyncio.gather(*calls, return_exceptions=True)
    assert isinstance(answers[0], CommandError)
    assert answers[1] == b"abc"


async def test_a_cancelled_question_does_not_take_its_neighbours_answer(valkey: Valkey) -> None:
    given_up = asyncio.ensure_future(valkey.call("ECHO", "given up"))
    await asyncio.sleep(0)
    kept = asyncio.ensure_future(valkey.call("ECHO", "kept"))
    given_up.cancel()
    assert await kept == b"kept"


async def test_a_confirmed_subscription_hears_everything_in_order(valkey: Valkey) -> None:
    ear = Ear()
    assert await valkey.subscribe("room", ear.hear, ear.gap)
    for n in range(1_000):
        assert valkey.send("PUBLISH", "room", n)
    await until(lambda: len(ear.heard) == 1_000)
    assert ear.heard == [str(n).encode() for n in range(1_000)]
    valkey.unsubscribe("room")
    await valkey.call("PUBLISH", "room", "nobody is here")
    await asyncio.sleep(0.05)
    assert len(ear.heard) == 1_000
    assert ear.gaps == 0


async def test_after_a_crash_it_subscribes_again_and_says_that_something_was_missed(
    valkey: Valkey, server: Server, tmp_path: Path
) -> None:
    ear = Ear()
    await valkey.subscribe("room", ear.hear, ear.gap)
    server.process.kill()
    await until(lambda: not valkey.is_connected and not valkey.is_listening)
    with pytest.raises(Unavailable):
        await valkey.call("PING")
    assert not valkey.send("PUBLISH", "room", "into the void")

    again = start_valkey(tmp_path, int(server.url.rsplit(":", 1)[1].partition("/")[0]))
    await until(lambda: ear.gaps == 1)
    await until(lambda: valkey.is_connected)
    await valkey.call("PUBLISH", "room", "back")
    await until(lambda: ear.heard == [b"back"])
    again.stop()


async def test_a_hanging_server_is_noticed_and_left(valkey: Valkey, server: Server) -> None:
    server.process.send_signal(signal.SIGSTOP)
    try:
        with pytest.raises(Unavailable):
            await asyncio.wait_for(valkey.call("PING"), 8)
    finally:
        server.process.send_signal(signal.SIGCONT)
    await until(lambda: valkey.is_connected)
    assert await valkey.call("PING") == b"PONG"


async def test_it_starts_without_a_server_and_finds_it_later(tmp_path: Path) -> None:
    port = free_port()
    password = tmp_path / "valkey.password"
    password.write_text("secret")
    client = Valkey(f"redis://:secret@127.0.0.1:{port}/0")
    assert not await client.start(wait_seconds=0.1)
    ear = Ear()
    assert not await client.subscribe("room", ear.hear, ear.gap)
    server = start_valkey(tmp_path, port)
    await until(lambda: client.is_connected and ear.gaps > 0)
    await client.call("PUBLISH", "room", "hello")
    await until(lambda: ear.heard == [b"hello"])
    await client.stop()
    server.stop()


async def test_a_wrong_password_never_connects(server: Server) -> None:
    client = Valkey(server.url.replace("redis://:", "redis://:not"))
    assert not await client.start(wait_seconds=0.3)
    await client.stop()
