"""Each transport by itself, byte by byte: fragments, control frames, ugly bytes, goodbyes, slow readers."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from dana.services.realtime.adapters import TRANSPORTS, SocketServer, sockets
from dana.services.realtime.adapters import picows as on_picows
from dana.services.realtime.adapters import websockets as on_websockets
from tests.services.realtime.plain import Echo, Op, Plain, upgrade

BAD = {1002, 1007, 1009, 4400}
"""What a client hears that breaks the rules; which of them is the transport's business."""

PART = {"fin": False}
WRONG: dict[str, list[tuple[int, bytes, dict[str, bool]]]] = {
    "invalid UTF-8": [(Op.TEXT, b'"\xff\xfe"', {})],
    "invalid UTF-8 in fragments": [(Op.TEXT, b"\xc3", PART), (Op.CONTINUATION, b"!", {})],
    "too big": [(Op.TEXT, b"x" * (sockets.MAX_INCOMING_BYTES + 1), {})],
    "much too big": [(Op.TEXT, b"x" * 60_000, {})],
    "too big in fragments": [(Op.TEXT, b"x", PART), *[(Op.CONTINUATION, b"x" * 1_000, PART)] * 5],
    "binary": [(Op.BINARY, b"{}", {})],
    "no mask": [(Op.TEXT, b"{}", {"is_bare": True})],
    "a reserved bit": [(Op.TEXT, b"{}", {"is_reserved": True})],
    "a reserved kind of data": [(3, b"", {})],
    "a reserved kind of control": [(11, b"", {})],
    "a continuation of nothing": [(Op.CONTINUATION, b"{}", {})],
    "a text in a text": [(Op.TEXT, b"{", PART), (Op.TEXT, b"}", {})],
    "a fragmented ping": [(Op.PING, b"", PART)],
    "a large ping": [(Op.PING, b"x" * 126, {})],
    "a goodbye of one byte": [(Op.CLOSE, b"x", {})],
}


@pytest.fixture
async def echo() -> Echo:
    return Echo()


@asynccontextmanager
async def running(name: str, echo: Echo) -> AsyncIterator[SocketServer]:
    server: SocketServer = TRANSPORTS[name](echo, "127.0.0.1", 0)
    await server.start()
    yield server
    server.stop_listening()
    for socket in echo.sockets:
        socket.close(1012, "restarting")
    await server.closed()


@pytest.fixture(params=sorted(TRANSPORTS))
async def server(request: pytest.FixtureRequest, echo: Echo) -> AsyncIterator[SocketServer]:
    """Run each transport in turn."""
    async with running(request.param, echo) as one:
        yield one


async def test_what_is_asked_for_is_told(server: SocketServer, echo: Echo) -> None:
    plain = await Plain.open(server, "channels=me,inbox%3A1&token=abc&cursor=7&more=1")
    assert await plain.echo("Grüße 🌍".encode())
    assert echo.asked == [("abc", "7", "me,inbox:1")]
    (await Plain.open(server, "cursor=")).close()
    assert echo.asked[1] == ("", None, None)
    plain.close()
    await echo.until_gone()


async def test_a_long_text_goes_out_whole(server: SocketServer, echo: Echo) -> None:
    plain = await Plain.open(server)
    for size in (125, 126, 4_096, 65_535, 65_536, 300_000):
        echo.sockets[0].send(b"x" * size)
        assert await plain.frame() == (Op.TEXT, b"x" * size)
    plain.close()


async def test_fragments_become_one_frame(server: SocketServer, echo: Echo) -> None:
    plain = await Plain.open(server)
    whole = "Grüße".encode()
    plain.say(Op.TEXT, whole[:3], fin=False)  # in the middle of a letter
    plain.say(Op.CONTINUATION, b"", fin=False)
    plain.say(Op.CONTINUATION, whole[3:])
    assert await plain.frame() == (Op.TEXT, whole)
    assert await plain.echo(b"and on")
    assert echo.heard == [whole, b"and on"]
    plain.close()


async def test_control_frames_may_come_between_fragments(server: SocketServer) -> None:
    plain = await Plain.open(server)
    plain.say(Op.TEXT, b"one ", fin=False)
    plain.say(Op.PING, b"there?")
    assert await plain.frame() == (Op.PONG, b"there?")
    plain.say(Op.PONG, b"unasked")
    plain.say(Op.CONTINUATION, b"two")
    assert await plain.frame() == (Op.TEXT, b"one two")
    plain.close()


async def test_many_frames_in_one_packet_and_one_in_many(server: SocketServer, echo: Echo) -> None:
    plain = await Plain.open(server)
    for number in range(50):
        plain.say(Op.TEXT, b"%d" % number)
    assert [(await plain.frame())[1] for _ in range(50)] == [b"%d" % number for number in range(50)]
    for byte in b"\x81\x85\x00\x00\x00\x00hello":
        plain.writer.write(bytes([byte]))
        await plain.writer.drain()
        await asyncio.sleep(0)
    assert await plain.frame() == (Op.TEXT, b"hello")
    plain.close()


@pytest.mark.parametrize("wrong", WRONG)
async def test_who_breaks_the_rules_is_told_so(server: SocketServer, echo: Echo, wrong: str) -> None:
    plain = await Plain.open(server)
    for op, payload, options in WRONG[wrong]:
        plain.say(op, payload, **options)
    assert await plain.code() in BAD
    plain.say(Op.CLOSE, (4400).to_bytes(2, "big"))
    assert await plain.ends()
    plain.close()
    await echo.until_gone()
    assert not echo.heard


async def test_largest_allowed_frames_are_heard(server: SocketServer) -> None:
    plain = await Plain.open(server)
    assert await plain.echo(b"x" * sockets.MAX_INCOMING_BYTES)
    plain.say(Op.TEXT, b"x" * 4_000, fin=False)
    plain.say(Op.CONTINUATION, b"x" * 96)
    assert await plain.frame() == (Op.TEXT, b"x" * 4_096)
    plain.close()


async def test_our_goodbye_comes_after_all_that_was_queued(server: SocketServer, echo: Echo) -> None:
    plain = await Plain.open(server)
    for number in range(200):
        echo.sockets[0].send(b"%d" % number * 500)
    echo.sockets[0].close(1013, "try again in a moment", 1_500)
    echo.sockets[0].send(b"never")
    assert not echo.sockets[0].is_open
    for number in range(200):
        assert await plain.frame() == (Op.TEXT, b"%d" % number * 500)
    bye = {"type": "bye", "code": 1013, "reason": "try again in a moment", "retry_ms": 1_500}
    assert json.loads((await plain.frame())[1]) == bye
    op, payload = await plain.frame()
    assert (op, payload) == (Op.CLOSE, (1013).to_bytes(2, "big") + b"try again in a moment")
    plain.say(Op.CLOSE, payload)
    assert await plain.ends()
    plain.close()
    await echo.until_gone()


async def test_a_clients_goodbye_is_answered(server: SocketServer, echo: Echo) -> None:
    plain = await Plain.open(server)
    plain.say(Op.CLOSE, (1000).to_bytes(2, "big") + b"bye")
    assert await plain.code() == 1000
    assert await plain.ends()
    plain.close()
    await echo.until_gone()
    assert not echo.sockets[0].is_open
    echo.sockets[0].send(b"to nobody")
    echo.sockets[0].close(1012, "nor this")


async def test_a_client_that_just_hangs_up_is_forgotten(server: SocketServer, echo: Echo) -> None:
    plain = await Plain.open(server)
    plain.writer.transport.abort()
    await echo.until_gone()


async def test_a_client_that_half_closes_is_forgotten(server: SocketServer, echo: Echo) -> None:
    plain = await Plain.open(server)
    plain.writer.write_eof()
    assert await plain.ends()
    await echo.until_gone()
    plain.close()


async def test_who_may_not_come_in_hears_why(server: SocketServer, echo: Echo) -> None:
    plain = await Plain.open(server, "token=wrong")
    assert json.loads((await plain.frame())[1])["code"] == 4401
    assert await plain.code() == 4401
    plain.say(Op.TEXT, b"may I still?")
    plain.say(Op.CLOSE, (4401).to_bytes(2, "big"))
    assert await plain.ends()
    assert not echo.heard
    plain.close()


async def test_a_client_that_never_answers_a_goodbye_is_cut(
    server: SocketServer, echo: Echo, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (sockets, on_picows, on_websockets):
        monkeypatch.setattr(module, "GOODBYE_SECONDS", 0.2)
    plain = await Plain.open(server)
    echo.sockets[0].close(1012, "restarting")
    assert await plain.code() == 1012
    await echo.until_gone()
    plain.close()


async def test_a_client_that_does_not_read_is_cut_and_others_are_not(
    server: SocketServer, echo: Echo
) -> None:
    slow, quick = await Plain.open(server), await Plain.open(server)
    slow.writer.transport.pause_reading()  # type: ignore[attr-defined]
    behind, ahead = echo.sockets
    frame, sent = b"x" * 10_000, 0
    while behind.is_open and sent < 2_000:
        for socket in (behind, ahead):
            socket.send(frame)
        sent += 1
        assert behind.unsent_bytes < 2 * sockets.MAX_UNSENT_BYTES
        assert await quick.frame() == (Op.TEXT, frame)
    assert not behind.is_open
    assert behind.is_paused
    assert await quick.echo(b"still here")
    assert not ahead.is_paused
    slow.writer.transport.resume_reading()  # type: ignore[attr-defined]
    assert await slow.code() in (4408, None)  # None when it couldn't even read the goodbye
    slow.close()
    quick.close()


async def test_what_is_queued_can_be_waited_for(server: SocketServer, echo: Echo) -> None:
    plain = await Plain.open(server)
    (socket,) = echo.sockets
    await socket.drained()
    plain.writer.transport.pause_reading()  # type: ignore[attr-defined]
    while not socket.is_paused:
        socket.send(b"x" * 10_000)
        await asyncio.sleep(0)
    waiting = asyncio.create_task(socket.drained())
    await asyncio.sleep(0.05)
    assert not waiting.done()
    plain.writer.transport.resume_reading()  # type: ignore[attr-defined]
    reading = asyncio.create_task(plain.reader.read(-1))
    async with asyncio.timeout(10):
        await waiting
    assert not socket.is_paused
    assert socket.is_open
    plain.close()
    reading.cancel()


async def test_who_waits_for_a_client_that_takes_nothing_is_let_go(
    server: SocketServer, echo: Echo, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sockets, "DRAIN_SECONDS", 0.2)
    plain = await Plain.open(server)
    plain.writer.transport.pause_reading()  # type: ignore[attr-defined]
    (socket,) = echo.sockets
    while not socket.is_paused:
        socket.send(b"x" * 10_000)
        await asyncio.sleep(0)
    async with asyncio.timeout(10):
        await socket.drained()
    assert not socket.is_open
    plain.close()


async def test_only_sockets_become_sockets(server: SocketServer, echo: Echo) -> None:
    for target, headers, method, statuses in (
        ("/healthz", {}, "GET", {200}),
        ("/api/v1/realtime?token=t", {}, "GET", {400}),
        ("/api/v1/realtime?token=t", upgrade() | {"sec-websocket-version": "12"}, "GET", {400}),
        ("/api/v1/realtime?token=t", upgrade() | {"sec-websocket-key": "short"}, "GET", {400}),
        ("/api/v1/realtime?token=t", upgrade(), "POST", {400, 405}),
        ("/api/v1/realtime/more", upgrade(), "GET", {404}),
        ("/", {}, "GET", {404}),
    ):
        plain = await Plain.connect(server)
        answer = await plain.ask(target, headers, method)
        assert int(answer.split(b" ")[1]) in statuses, (target, answer)
        assert await plain.ends(), target
        plain.close()
    assert not echo.asked


@pytest.mark.parametrize("name", sorted(TRANSPORTS))
async def test_who_only_connects_is_sent_away(echo: Echo, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    for module in (on_picows, on_websockets):
        monkeypatch.setattr(module, "HANDSHAKE_SECONDS", 0.2)
    async with running(name, echo) as server:
        plain = await Plain.connect(server)
        assert await plain.ends()
        plain.close()


async def test_a_silent_client_is_asked_and_stays_when_it_answers(
    server: SocketServer, echo: Echo, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sockets, "IDLE_SECONDS", 0.1)
    plain = await Plain.open(server)
    for _ in range(3):
        assert await plain.frame() == (Op.PING, b"")
        plain.say(Op.PONG)
    assert await plain.echo(b"still here")
    plain.close()


async def test_a_dead_client_is_asked_and_cut(
    server: SocketServer, echo: Echo, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The connection stands, but nobody answers: a lid that was closed, a network that is gone."""
    monkeypatch.setattr(sockets, "IDLE_SECONDS", 0.1)
    monkeypatch.setattr(sockets, "PONG_SECONDS", 0.3)
    plain = await Plain.open(server)
    assert await plain.frame() == (Op.PING, b"")
    await echo.until_gone()
    assert not echo.sockets[0].is_open
    plain.close()


async def test_a_dead_client_is_known_within_half_a_minute() -> None:
    assert sockets.IDLE_SECONDS + sockets.PONG_SECONDS < 30


async def test_ended_servers_let_nobody_in_and_keep_whom_they_have(server: SocketServer, echo: Echo) -> None:
    plain = await Plain.open(server)
    port = server.port
    server.stop_listening()
    assert await plain.echo(b"still here")
    with pytest.raises(OSError, match="Connect call failed"):
        await asyncio.open_connection("127.0.0.1", port)
    plain.close()
