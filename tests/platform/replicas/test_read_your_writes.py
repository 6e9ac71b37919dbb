"""Nobody is shown less than they have written or heard of, through the whole API, while the replica lags."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from typing import cast

import asyncpg
import httpx
import pytest
from picows import ws_connect

from dana.app import compose, started
from dana.platform.local.programs import free_port
from loadtest.consistency import ANYTHING, Reader, Tally, furnish, lag_now_and_then, write_and_read
from loadtest.sockets import socket_address
from tests.platform.replicas.pair import Pair
from tests.services.realtime.listening import Ear

pytestmark = pytest.mark.xdist_group("replicas")

ROUNDS = 150


@dataclass(frozen=True, slots=True)
class Office:
    """The whole application before a server with a replica, and an organization in it."""

    http: httpx.AsyncClient
    token: str
    conversations: list[str]
    realtime_port: int

    def reader(self, *, carries_positions: bool = True) -> Reader:
        return Reader(self.http, self.token, carries_positions=carries_positions)


@pytest.fixture(scope="module")
async def office(pair: Pair) -> AsyncIterator[Office]:
    port = free_port()
    dana = compose(replace(pair.settings, realtime_port=port))
    transport = httpx.ASGITransport(app=dana.http, client=("10.9.8.7", 4242))
    async with started(dana), httpx.AsyncClient(transport=transport, base_url="http://localhost") as http:
        token, conversations = await furnish(http, 3)
        async with asyncio.timeout(20):
            while not any(dana.replicas.choose(shard, None) for shard in ("shard1", "shard2")):
                await asyncio.sleep(0.05)
        yield Office(http, token, conversations, port)


async def check(office: Office, pair: Pair, *, carries_positions: bool) -> Tally:
    """Write and read back in every conversation at once, while the replica stands still now and then."""
    tally = Tally()

    def is_over() -> bool:
        return tally.rounds >= ROUNDS

    connection = await asyncpg.connect(pair.replica)
    try:
        await asyncio.gather(
            lag_now_and_then(
                lambda: connection.execute("select pg_wal_replay_pause()"),
                lambda: connection.execute("select pg_wal_replay_resume()"),
                asyncio.sleep,
                paused_seconds=0.15,
                every_seconds=0.3,
                until=is_over,
            ),
            *(
                write_and_read(
                    office.reader(carries_positions=carries_positions), conversation, tally, is_over
                )
                for conversation in office.conversations
            ),
        )
    finally:
        await connection.close()
    return tally


async def test_who_carries_positions_always_finds_what_they_wrote(office: Office, pair: Pair) -> None:
    tally = await check(office, pair, carries_positions=True)
    assert tally.stale == []
    assert tally.rounds >= ROUNDS


async def test_without_positions_the_same_check_finds_stale_answers(office: Office, pair: Pair) -> None:
    tally = await check(office, pair, carries_positions=False)
    assert tally.stale


async def test_a_client_that_says_nothing_of_positions_is_never_shown_the_past(
    office: Office, pair: Pair
) -> None:
    path = f"/api/v1/conversations/{office.conversations[0]}"
    headers = {"authorization": f"Bearer {office.token}"}
    await pair.on_replica("select pg_wal_replay_pause()")
    try:
        for _ in range(5):
            posted = await office.http.post(f"{path}/messages", json={"text": "plain"}, headers=headers)
            read = await office.http.get(path, headers=headers)
            assert read.json()["last_seq"] == posted.json()["seq"]
    finally:
        await pair.on_replica("select pg_wal_replay_resume()")


async def test_what_a_socket_has_told_is_in_what_is_read_after_it(office: Office, pair: Pair) -> None:
    conversation = office.conversations[1]
    path = f"/api/v1/conversations/{conversation}"
    url = f"http://127.0.0.1:{office.realtime_port}"
    transport, listening = await ws_connect(Ear, await socket_address(office.http, office.token, at=url))
    ear = cast("Ear", listening)
    await wait_for(ear, "hello")
    listener, forgetful = office.reader(), office.reader(carries_positions=False)
    await pair.on_replica("select pg_wal_replay_pause()")
    try:
        writer = office.reader()
        message = await writer.call("POST", f"{path}/messages", {"text": "told by the socket"}, key="told")
        frame = await wait_for(ear, "event")
        listener.hear(str(frame["position"]))
        assert (await listener.call("GET", path))["last_seq"] == message["seq"]
        assert forgetful.position == ANYTHING
        assert (await forgetful.call("GET", path))["last_seq"] < message["seq"]
    finally:
        await pair.on_replica("select pg_wal_replay_resume()")
        transport.disconnect()


async def wait_for(ear: Ear, kind: str) -> dict[str, object]:
    async with asyncio.timeout(10):
        while True:
            frame = await ear.frames.get()
            if frame["type"] == kind:
                return frame
