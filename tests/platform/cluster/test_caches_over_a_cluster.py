"""Caches whose keys lie on three servers, one of which dies."""

import asyncio
from contextlib import suppress

from dana.contracts.ids import OrgId, new_id
from dana.platform.cache import Caches
from dana.platform.errors import Unavailable
from dana.platform.valkey import Valkey
from tests.platform.cache.test_caches import Greeting, Source, greetings
from tests.platform.cluster.six import Six

ORG = OrgId(new_id())
NAMES = [str(number) for number in range(60)]


async def test_a_change_is_told_by_whichever_server_has_the_key(six: Six) -> None:
    here, there = Caches(Valkey(six.url)), Caches(Valkey(six.url))
    sources = {name: Source("before") for name in NAMES}
    try:
        await asyncio.gather(here.start(), there.start())
        for caches in (here, there, here, there):
            assert await texts(caches, sources) == {"before"}
        assert {source.reads for source in sources.values()} == {1}, "some server doesn't keep what it should"
        await change(here, sources, "changed")
        await heard(there)
        assert await texts(there, sources) == {"changed"}
        assert {source.reads for source in sources.values()} == {2}

        six.nodes[0].process.kill()
        six.nodes[0].process.wait()
        await change(there, sources, "while one is dead")
        for caches in (here, there):
            await heard(caches)
            assert await texts(caches, sources) == {"while one is dead"}
        async with asyncio.timeout(30):
            while not all(caches.teller(name.encode()) for caches in (here, there) for name in NAMES):
                await asyncio.sleep(0.05)
        await change(there, sources, "after")
        await heard(here)
        assert await texts(here, sources) == {"after"}
    finally:
        await asyncio.gather(here.stop(), there.stop())


async def texts(caches: Caches, sources: dict[str, Source]) -> set[str]:
    cache = greetings(caches)
    found = await asyncio.gather(*(cache.get(ORG, name, source.load) for name, source in sources.items()))
    return {each.text for each in found if isinstance(each, Greeting)}


async def change(caches: Caches, sources: dict[str, Source], text: str) -> None:
    for name, source in sources.items():
        source.text = text
        with suppress(Unavailable):  # when its server is dead: it forgets by itself
            await greetings(caches).forget(ORG, name)


async def heard(caches: Caches) -> None:
    """Wait until all has been told that could be; who can't be asked isn't believed either."""
    for name in NAMES:
        with suppress(Unavailable):
            await greetings(caches).catch_up(ORG, name)
