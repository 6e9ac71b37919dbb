"""Server-sent events: what a socket would say, over plain HTTP, of a process that runs nothing else."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from typing import Any, cast

import pytest
from picows import ws_connect

from dana.contracts.ids import OrgId
from dana.platform.settings import Settings
from dana.platform.shards import Shards
from dana.services.realtime.adapters import sockets, streams
from dana.services.realtime.adapters.streams import StreamSocket, as_event
from tests.services.realtime.listening import Ear, Listener, Writer, message, new_conversation, resolved
from tests.services.realtime.streaming import PATH, Process, member, running, visitor


@pytest.fixture
async def process(settings: Settings) -> AsyncIterator[Process]:
    async with running(settings) as one:
        yield one


@pytest.fixture
async def pen(process: Process, org: OrgId, shards_of: Callable[[str], Shards]) -> Writer:
    """A service that writes events of the organization and publishes them."""
    shards = shards_of("conversations")
    shards.on_commit.append(process.fanout.committed)
    return Writer(org, shards)


async def beside(process: Process, token: str) -> Listener:
    transport, ear = await ws_connect(Ear, f"ws://127.0.0.1:{process.socket_port}{PATH}?token={token}")
    listener = Listener(transport, cast("Ear", ear))
    assert (await listener.next())["type"] == "hello"
    return listener


async def test_a_stream_says_what_a_socket_says(process: Process, pen: Writer) -> None:
    ana, mine = member(pen.org_id), new_conversation()
    customer = visitor(pen.org_id, mine)
    on_socket = [await beside(process, await process.token(who)) for who in (ana, customer)]
    async with process.live(ana) as first, process.live(customer) as second:
        assert first.answer.headers["content-type"] == "text/event-stream; charset=utf-8"
        assert "no-store" in first.answer.headers["cache-control"]
        assert "no-transform" in first.answer.headers["cache-control"]
        assert first.answer.headers["x-accel-buffering"] == "no"
        await pen.write(message(mine, 'quotes " and \\ and 🌍 and\nlines \r\n and \u2028'), resolved(mine))
        await pen.say(new_conversation(), "elsewhere")
        assert await first.events(3) == await on_socket[0].events(3)
        assert await second.events(2) == await on_socket[1].events(2)
        assert first.ids[-3:] == ["1", "2", "3"]
        assert second.ids[-2:] == ["1", "2"]
        assert first.retry_ms == streams.RETRY_MS
    for listener in on_socket:
        await listener.hang_up()


async def test_a_stream_continues_after_its_cursor_and_the_last_event_wins(
    process: Process, pen: Writer
) -> None:
    ana = member(pen.org_id)
    for text in ("one", "two", "three"):
        await pen.say(new_conversation(), text)
    async with process.live(ana, cursor=1) as stream:
        assert [frame["cursor"] for frame in await stream.events(2)] == [2, 3]
    token = await process.token(ana)
    async with process.stream(token, {"last-event-id": "2"}, cursor=0) as stream:
        assert (await stream.next())["cursor"] == 2
        assert [frame["cursor"] for frame in await stream.events(1)] == [3]


async def test_a_stream_follows_the_channels_that_it_asks_for(process: Process, pen: Writer) -> None:
    mine = new_conversation()
    token = await process.token(member(pen.org_id))
    async with process.stream(token, channels=f"conversation:{mine},nonsense") as stream:
        assert (await stream.next())["channels"] == [f"conversation:{mine}"]
        assert (await stream.next())["type"] == "refused"
        await pen.say(new_conversation(), "elsewhere")
        await pen.say(mine, "here")
        assert [frame["cursor"] for frame in await stream.events(1)] == [2]


@pytest.mark.parametrize("asked", [{"cursor": "-1"}, {"cursor": "abc"}, {"cursor": "٣"}])
async def test_a_wrong_cursor_is_told(process: Process, org: OrgId, asked: dict[str, Any]) -> None:
    async with process.stream(await process.token(member(org)), **asked) as stream:
        assert (await stream.goodbye())["code"] == 4400


async def test_no_other_token_opens_a_stream(process: Process, org: OrgId) -> None:
    for normal in (process.bearer(member(org)), process.bearer(visitor(org, new_conversation()))):
        async with process.stream(normal["authorization"].split()[1]) as stream:
            assert (await stream.goodbye())["code"] == 4401
    for wrong in ("nonsense", ""):
        async with process.stream(wrong) as stream:
            assert (await stream.goodbye())["code"] == 4401
    assert (await process.http.get(f"{PATH}/stream")).status_code == 422
    opening = {"authorization": f"Bearer {await process.token(member(org))}"}
    for path in ("token", "typing"):
        assert (await process.http.post(f"{PATH}/{path}", headers=opening)).status_code == 401, path
        assert (await process.http.post(f"{PATH}/{path}")).status_code == 401, path


async def test_a_stream_ends_with_what_it_was_opened_with(process: Process, org: OrgId) -> None:
    short = replace(member(org), expires_at=time.time() + 2)
    async with process.stream(process.keys.sign_realtime(short)) as stream:
        assert (await stream.next())["valid_seconds"] <= 2
        bye = await stream.goodbye()
    assert bye["code"] == 4401
    assert bye["retry_ms"] >= 0


async def test_who_leaves_is_forgotten(process: Process, org: OrgId) -> None:
    before = await process.open_streams()
    async with process.live(member(org)):
        assert await process.open_streams() == before + 1
    async with asyncio.timeout(10):
        while await process.open_streams() != before:
            await asyncio.sleep(0.02)


async def test_how_long_somebody_stays_is_not_how_long_we_take(process: Process, org: OrgId) -> None:
    async with process.live(member(org)):
        await asyncio.sleep(0.3)
    name = f'dana_http_request_seconds_sum{{method="GET",route="{PATH}/stream",status="200"}} '
    async with asyncio.timeout(10):
        while name not in (told := (await process.http.get("/metrics")).text):
            await asyncio.sleep(0.02)
    many = name.replace("_sum", "_count")
    took, answers = (float(told.partition(what)[2].split("\n")[0]) for what in (name, many))
    assert took / answers < 0.3


async def test_one_person_has_only_so_many(process: Process, org: OrgId) -> None:
    ana = member(org)
    token = await process.token(ana)
    many = [await beside(process, token) for _ in range(40)]
    async with process.stream(token) as stream:
        assert (await stream.goodbye())["code"] == 4429
    for listener in many:
        await listener.hang_up()


async def test_who_does_not_read_is_let_go_and_others_read_on(
    process: Process, pen: Writer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(streams, "MAX_UNSENT_BYTES", 200_000)
    monkeypatch.setattr(streams, "GOODBYE_SECONDS", 0.2)
    before = await process.open_streams()
    ana, conversation_id = member(pen.org_id), new_conversation()
    token = await process.token(ana)
    reader, writer = await asyncio.open_connection("127.0.0.1", process.http.base_url.port)
    writer.write(f"GET {PATH}/stream?token={token} HTTP/1.1\r\nhost: x\r\n\r\n".encode())
    await reader.readuntil(b'"hello"')
    writer.transport.pause_reading()  # type: ignore[attr-defined]
    async with process.live(ana) as quick:
        written = 0
        while await process.open_streams() > before + 1 or not written:
            await pen.write(*(message(conversation_id, "x" * 10_000) for _ in range(5)))
            await quick.events(5)
            written += 5
            assert written < 2_000, "it was never let go"
    writer.transport.abort()


async def test_before_the_end_everybody_is_asked_to_come_back(settings: Settings, org: OrgId) -> None:
    async with running(settings) as process:
        ana = member(org)
        async with process.live(ana) as first, process.live(visitor(org, new_conversation())) as second:
            listener = await beside(process, await process.token(ana))
            process.stopping.set()
            for stream in (first, second):
                bye = await stream.goodbye()
                assert bye["code"] == 1012
                assert bye["reason"] == "restarting"
            assert await listener.code() == 1012
        async with asyncio.timeout(5):
            await process.serving


async def test_typing_is_said_by_post(process: Process, org: OrgId, other_org: OrgId) -> None:
    mine = new_conversation()
    ana, bob, customer = member(org), member(org, "Bob"), visitor(org, mine)

    async def say(who: Any, conversation_id: Any, *, is_typing: bool = True) -> int:
        said = {"conversation_id": str(conversation_id), "is_typing": is_typing}
        answer = await process.http.post(f"{PATH}/typing", json=said, headers=process.bearer(who))
        return answer.status_code

    async with (
        process.live(ana) as on_stream,
        process.live(customer) as customers,
        process.live(member(other_org, "Mallory")) as elsewhere,
    ):
        bobs = await beside(process, await process.token(bob))
        assert await say(customer, mine) == 204
        assert (await on_stream.next())["author_name"] == "Eve"
        assert (await bobs.next())["who"] == "customer"
        assert await say(ana, mine, is_typing=False) == 204
        assert await customers.next() == {
            "type": "ephemeral",
            "conversation_id": str(mine),
            "name": "typing",
            "who": "agent",
            "author_name": "Ana",
            "is_typing": False,
        }
        assert await say(customer, new_conversation()) == 403
        assert await say(member(other_org), mine) == 204
        assert (await elsewhere.next())["author_name"] == "Ana", "it stays in who says it's organization"
        assert on_stream.frames.empty()
        await bobs.hang_up()
    wrong = await process.http.post(f"{PATH}/typing", json={"more": 1}, headers=process.bearer(ana))
    assert wrong.status_code == 422


async def test_tokens_for_sockets_are_for_now(process: Process, org: OrgId) -> None:
    for who in (member(org), visitor(org, new_conversation())):
        answer = await process.http.post(f"{PATH}/token", headers=process.bearer(who))
        assert answer.headers["cache-control"] == "no-store"
        assert answer.json()["expires_in_seconds"] == 60
        verified = process.keys.verify_realtime(answer.json()["token"])
        assert (verified.org_id, type(verified)) == (who.org_id, type(who))


async def test_other_routes_know_nothing_of_streams(process: Process) -> None:
    assert (await process.http.get("/healthz")).status_code == 200
    assert (await process.http.get("/readyz")).status_code == 200
    assert (await process.http.get(PATH)).status_code == 404, "sockets have a port of their own"


@pytest.mark.parametrize(
    ("frame", "written"),
    [
        (b'{"type":"event","cursor":12,"id":1}', b'id: 12\ndata: {"type":"event","cursor":12,"id":1}\n\n'),
        (b'{"type":"heartbeat","cursor":3}', b'id: 3\ndata: {"type":"heartbeat","cursor":3}\n\n'),
        (b'{"type":"ephemeral","cursor":3}', b'data: {"type":"ephemeral","cursor":3}\n\n'),
        (b'{"type":\n"x",\r\n"a":\r1}', b'data: {"type":\ndata: "x",\ndata: "a":\ndata: 1}\n\n'),
    ],
)
def test_how_frames_are_written(frame: bytes, written: bytes) -> None:
    assert as_event(frame) == written


async def test_what_is_queued_is_bounded() -> None:
    socket = StreamSocket()
    frame = b"x" * 10_000
    for _ in range(1_000):
        socket.send(frame)
        assert socket.unsent_bytes <= sockets.MAX_UNSENT_BYTES + 2 * len(frame)
    assert not socket.is_open
    assert socket.is_paused
    socket.close(4400, "again")
    said = b""
    while piece := await socket.next():
        said += piece
    assert said.count(b"xxxx\n\n") == said.count(b"data: x") > 100
    assert b'"code":4408' in said[-200:]
    assert socket.unsent_bytes == 0


async def test_a_replay_waits_until_a_stream_has_taken_it() -> None:
    socket = StreamSocket()
    await socket.drained()
    for _ in range(100):
        socket.send(b"x" * 1_000)
    waiting = asyncio.create_task(socket.drained())
    await asyncio.sleep(0)
    assert not waiting.done()
    while socket.unsent_bytes:
        await socket.next()
    async with asyncio.timeout(5):
        await waiting
    assert socket.is_open


async def test_a_stream_that_takes_nothing_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streams, "DRAIN_SECONDS", 0.1)
    socket = StreamSocket()
    for _ in range(100):
        socket.send(b"x" * 1_000)
    async with asyncio.timeout(5):
        await socket.drained()
    assert not socket.is_open
