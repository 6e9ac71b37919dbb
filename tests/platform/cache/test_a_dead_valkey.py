"""What the caches believe while Valkey dies, hangs, and comes back with what it had before."""

import asyncio
import signal
from pathlib import Path

from dana.platform.local.valkey import Valkey as Server
from dana.platform.local.valkey import start_valkey
from dana.platform.valkey import Valkey
from tests.platform.cache.conftest import MakeCaches
from tests.platform.cache.test_caches import ORG, Greeting, Source, greetings, until


async def test_a_change_that_nobody_could_be_told_of_is_seen_all_the_same(
    make_caches: MakeCaches, server: Server, tmp_path: Path
) -> None:
    here, there = await make_caches(), await make_caches()
    source = Source("before")
    for caches in (here, there):
        await greetings(caches).get(ORG, "a", source.load)
    await on_disk(server)
    server.process.kill()
    server.process.wait()
    await until(lambda: here.teller(b"") is None and there.teller(b"") is None)
    assert (len(here.local), len(there.local)) == (0, 0)

    source.text = "meanwhile"  # by a process that dies right after it
    for caches in (here, there):
        assert await greetings(caches).get(ORG, "a", source.load) == Greeting("meanwhile")

    again = start_valkey(tmp_path, int(server.url.rsplit(":", 1)[1].partition("/")[0]))
    try:
        await until(lambda: here.teller(b"") is not None and there.teller(b"") is not None)
        for caches in (here, there):
            found = await greetings(caches).get(ORG, "a", source.load)
            assert found == Greeting("meanwhile"), "the restarted server still has the value from before"
        reads = source.reads
        for caches in (here, there):
            await greetings(caches).get(ORG, "a", source.load)
        assert source.reads == reads, "it caches again"
    finally:
        again.stop()


async def test_a_hanging_valkey_costs_a_second_and_is_not_believed(
    make_caches: MakeCaches, server: Server
) -> None:
    caches, there, source = await make_caches(), await make_caches(), Source("before")
    cache = greetings(caches)
    for each in (cache, greetings(there)):
        await each.get(ORG, "a", source.load)
    server.process.send_signal(signal.SIGSTOP)
    try:
        found = await asyncio.wait_for(cache.get(ORG, "b", source.load), 5)
        assert found == Greeting("before")
        source.text = "after"
        assert not cache.forget_soon(ORG, "a")
        assert await cache.get(ORG, "a", source.load) == Greeting("after")
    finally:
        server.process.send_signal(signal.SIGCONT)
    await until(lambda: caches.teller(b"") is not None and there.teller(b"") is not None)
    for each in (cache, greetings(there)):
        await each.catch_up(ORG, "a")
        assert await each.get(ORG, "a", source.load) == Greeting("after"), "what was owed has been said"


async def on_disk(server: Server) -> None:
    """Wait until what was written survives a kill."""
    client = Valkey(server.url)
    assert await client.start()
    await client.call("SET", "test:last", 1)
    assert (await client.call("WAITAOF", 1, 0, 2500))[0] == 1
    await client.stop()
