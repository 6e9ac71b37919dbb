"""Limits against a real Valkey: what fits, what is refused, what is told, and what happens without Valkey."""

import asyncio
import signal

import pytest

from dana.platform.errors import Limited, Unavailable
from dana.platform.http.limited import headers
from dana.platform.limits import QUOTAS, Limits, Per, Quota, Standing, Uncounted, network_of
from dana.platform.local.valkey import Valkey as Server
from dana.platform.valkey import Valkey

ANA = {Per.ORGANIZATION: "aaaa", Per.USER: "a1"}
BEN = {Per.ORGANIZATION: "aaaa", Per.USER: "b1"}
EVE = {Per.ORGANIZATION: "eeee", Per.USER: "a1"}

PLAN = {
    "request": (
        Quota("organization", Per.ORGANIZATION, units=20, seconds=600),
        Quota("user", Per.USER, units=12, seconds=600),
    ),
    "quick": (Quota("quick", Per.ORGANIZATION, units=10, seconds=0.2),),
    "bulk": (Quota("bulk", Per.ORGANIZATION, units=5, seconds=600, uncounted=Uncounted.CLOSED),),
    "call": (
        Quota("key", Per.KEY, units=4, seconds=600),
        Quota("address", Per.ADDRESS, units=3, seconds=600),
    ),
}


@pytest.fixture
def limits(valkey: Valkey) -> Limits:
    return Limits(valkey, quotas=PLAN)


def left(standings: tuple[Standing, ...]) -> dict[str, int]:
    return {each.quota.name: each.remaining for each in standings}


async def test_a_cost_is_taken_from_every_quota_of_the_request(limits: Limits) -> None:
    assert left((await limits.take("request", 5, ANA)).standings) == {"organization": 15, "user": 7}
    assert left((await limits.take("request", 1, BEN)).standings) == {"organization": 14, "user": 11}
    assert left((await limits.take("request", 1, EVE)).standings) == {"organization": 19, "user": 11}


async def test_what_one_quota_refuses_is_taken_from_none(limits: Limits) -> None:
    (await limits.take("request", 10, ANA)).enforce()
    verdict = await limits.take("request", 5, ANA)
    with pytest.raises(Limited) as refusal:
        verdict.enforce()
    assert refusal.value.extra == {"limit": "user"}
    assert 100 < refusal.value.retry_after_seconds < 160, "three of twelve units in 600 seconds are missing"
    assert left(verdict.standings) == {"organization": 10, "user": 2}
    (await limits.take("request", 10, BEN)).enforce()  # the refused one took nothing from the organization


async def test_never_more_than_the_quota_is_admitted_at_once(limits: Limits) -> None:
    verdicts = await asyncio.gather(*(limits.take("bulk", 1, ANA) for _ in range(50)))
    assert [verdict.refused is None for verdict in verdicts].count(True) == 5


async def test_units_are_regained_with_time_and_never_above_the_quota(limits: Limits) -> None:
    (await limits.take("quick", 10, ANA)).enforce()
    refused = (await limits.take("quick", 5, ANA)).refused
    assert refused is not None
    await asyncio.sleep(refused.wait_seconds + 0.002)  # the wait that was told is long enough
    (await limits.take("quick", 5, ANA)).enforce()
    async with asyncio.timeout(10):
        while left((await limits.take("quick", 0, ANA)).standings) != {"quick": 10}:
            await asyncio.sleep(0.02)
    assert (await limits.take("quick", 11, ANA)).refused is None, "what costs more than all takes all"
    assert (await limits.take("quick", 1, ANA)).refused is not None


async def test_a_clock_that_went_back_locks_nobody_out_for_longer_than_the_window(
    limits: Limits, valkey: Valkey
) -> None:
    seconds, _ = await valkey.call("TIME")
    tomorrow = (int(seconds) + 86_400) * 1_000_000
    await valkey.call("SET", "dana:limit:{aaaa}:bulk:aaaa", tomorrow)
    refused = (await limits.take("bulk", 1, ANA)).refused
    assert refused is not None
    assert refused.wait_seconds <= 600


async def test_nothing_stays_in_valkey_after_its_window(limits: Limits, valkey: Valkey) -> None:
    await limits.take("request", 3, ANA)
    await limits.take("call", 1, {Per.KEY: "inbox_x", Per.ADDRESS: "203.0.113.7"})
    keys = await valkey.call("KEYS", "dana:limit:*")
    assert len(keys) == 4
    lives = [await valkey.call("PTTL", key) for key in keys]
    assert all(0 < life <= 600_000 for life in lives)


async def test_a_server_that_forgot_the_script_learns_it_again(limits: Limits, valkey: Valkey) -> None:
    await limits.take("request", 1, ANA)
    await valkey.call("SCRIPT", "FLUSH")
    assert left((await limits.take("request", 1, ANA)).standings) == {"organization": 18, "user": 10}


async def test_a_factor_makes_every_quota_larger(valkey: Valkey) -> None:
    limits = Limits(valkey, factor=10, quotas=PLAN)
    assert left((await limits.take("request", 1, ANA)).standings) == {"organization": 199, "user": 119}


async def test_only_what_may_pass_uncounted_passes_without_valkey(limits: Limits, server: Server) -> None:
    (await limits.take("bulk", 5, ANA)).enforce()
    server.process.kill()
    server.process.wait()
    verdict = await limits.take("request", 50, ANA)
    assert verdict.standings == ()
    verdict.enforce()
    with pytest.raises(Unavailable) as closed:
        await limits.take("bulk", 1, EVE)
    assert closed.value.extra == {"limit": "bulk"}
    assert closed.value.retry_after_seconds > 0


async def test_a_valkey_that_hangs_holds_nobody_up(limits: Limits, server: Server) -> None:
    (await limits.take("request", 1, ANA)).enforce()
    server.process.send_signal(signal.SIGSTOP)
    try:
        verdicts = await asyncio.wait_for(
            asyncio.gather(*(limits.take("request", 1, ANA) for _ in range(100))), 10
        )
    finally:
        server.process.send_signal(signal.SIGCONT)
    assert {verdict.standings for verdict in verdicts} == {()}


def test_the_headers_are_those_of_the_draft() -> None:
    organization, user = PLAN["request"]
    standings = (Standing(organization, 15, 0.0, 150.2), Standing(user, 0, 12.5, 600.0))
    assert dict(headers(standings)) == {
        b"ratelimit-policy": b'"organization";q=20;w=600, "user";q=12;w=600',
        b"ratelimit": b'"organization";r=15;t=151, "user";r=0;t=13',
    }


def test_the_plan_counts_everybody_in_every_kind() -> None:
    for kind, quotas in QUOTAS.items():
        pers = {quota.per for quota in quotas}
        assert pers >= {Per.ORGANIZATION, Per.USER} or Per.ADDRESS in pers, kind
        assert len({quota.name for quota in quotas}) == len(quotas)


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("203.0.113.7", "203.0.113.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::"),
        ("::ffff:203.0.113.7", "203.0.113.7"),
        ("nonsense", "unknown"),
        ("", "unknown"),
    ],
)
def test_who_is_behind_an_address(address: str, network: str) -> None:
    assert network_of(address) == network
