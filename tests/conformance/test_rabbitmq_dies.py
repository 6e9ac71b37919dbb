"""Relays and brokers that are killed: the day comes to the same, and the streams hold all of it in order."""

import asyncio
import signal
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest

from dana.platform.broker import RabbitBinding, binding_of
from dana.platform.broker.topology import jobs_name, partition_of, stream_name
from dana.platform.bus import Binding, Bus
from dana.platform.local.rabbitmq import RabbitMQ, start_rabbitmq
from dana.platform.settings import Settings
from dana.platform.shards import Shards
from dana.platform.valkey import Valkey
from tests.conformance import days, streams
from tests.conformance.days import GROUPS, LEDGER, Day
from tests.conformance.staff import Staff

ShardsOf = Callable[[str], Shards]

pytestmark = pytest.mark.parametrize("binding_name", ["rabbitmq"], indirect=True, scope="session")


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RabbitMQ]:
    """Three nodes."""
    running = start_rabbitmq(tmp_path_factory.mktemp("cluster"), nodes=3)
    yield running
    running.stop()


@asynccontextmanager
async def consuming(shards: Shards, binding: Binding) -> AsyncIterator[None]:
    """Let every group consume in this process."""
    buses = [Bus(group, shards, days.consumers(group, shards, lambda _: None), binding) for group in GROUPS]
    for bus in buses:
        await bus.start()
    try:
        yield
    finally:
        for bus in buses:
            await bus.stop()


async def until_tokens_flow(binding: Binding) -> None:
    """Wait until the lanes of this process are woken by the broker, and not by its absence."""
    assert isinstance(binding, RabbitBinding)
    async with asyncio.timeout(60):
        while not binding._tokens or not all(tokens.is_flowing for tokens in binding._tokens.values()):
            await asyncio.sleep(0.05)


@pytest.mark.parametrize("moment", ["before", "after"])
async def test_a_relay_that_is_killed_before_or_after_it_published_is_replaced(
    settings: Settings, shards_of: ShardsOf, staff: Staff, day: Day, moment: str
) -> None:
    victim = await staff.hire_relay(moment)
    await streams.until_relayed_from(settings)
    await day.happen(shards_of("auth"))
    await victim.says("stands")
    await victim.kill()
    await staff.hire()
    assert await day.end() == day.undisturbed
    await streams.assert_complete(day)


async def test_a_relay_that_hangs_is_replaced_and_does_no_harm_when_it_wakes_up(
    settings: Settings, shards_of: ShardsOf, staff: Staff, day: Day
) -> None:
    victim = await staff.hire_relay("late")
    await streams.until_relayed_from(settings)
    await day.happen(shards_of("auth"))
    await victim.says("stands")
    victim.process.send_signal(signal.SIGSTOP)
    await staff.hire()
    assert await day.end() == day.undisturbed
    await streams.assert_complete(day)
    victim.process.send_signal(signal.SIGCONT)
    await victim.says("published")  # the same once more, beside its successor
    await streams.assert_complete(day)


async def test_a_broker_that_is_killed_and_comes_back_is_used_again_by_the_same_processes(
    shards_of: ShardsOf, binding: Binding, broker: RabbitMQ, staff: Staff, day: Day
) -> None:
    writer = shards_of("auth")
    writer.on_commit.append(binding.committed)
    other = await staff.hire()
    async with consuming(shards_of("conversations"), binding):
        await until_tokens_flow(binding)
        await asyncio.to_thread(broker.settle)
        happening = asyncio.create_task(day.happen(writer, 0.2))
        await asyncio.sleep(0.5)
        await asyncio.to_thread(broker.nodes[0].kill)
        await happening
        assert await day.end() == day.undisturbed  # without a broker
        await asyncio.to_thread(broker.nodes[0].start)
        await until_tokens_flow(binding)
        await streams.assert_complete(day)
    await other.leave()


async def test_a_broker_that_takes_nothing_for_want_of_memory_costs_time_only(
    shards_of: ShardsOf, binding: Binding, broker: RabbitMQ, day: Day, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dana.platform.broker.publishing.CONFIRM_SECONDS", 1.0)
    [node] = broker.nodes
    limit = "vm_memory_monitor:set_vm_memory_high_watermark({{absolute, {}}})."
    writer = shards_of("auth")
    writer.on_commit.append(binding.committed)
    async with consuming(shards_of("conversations"), binding):
        await until_tokens_flow(binding)
        await streams.until_relayed_from(day.settings)
        await asyncio.to_thread(broker.evaluate, node, limit.format(1))
        try:
            await day.happen(writer)
            assert await day.end() == day.undisturbed
        finally:
            await asyncio.to_thread(broker.evaluate, node, limit.format(2**30))
        await streams.assert_complete(day)


async def test_tokens_alone_wake_the_lanes_of_another_process(
    settings: Settings, shards_of: ShardsOf, day: Day, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dana.platform.broker.binding.POLL_SECONDS", 3600.0)
    here, there = binding_of(settings, None), binding_of(settings, None)  # and no Valkey between them
    writer = shards_of("auth")
    await here.start()
    await there.start()
    try:
        async with consuming(shards_of("conversations"), there):
            await until_tokens_flow(there)
            await day.happen(writer)
            assert await day.end((LEDGER,)) == await day.digest((LEDGER,))
            assert isinstance(there, RabbitBinding)
            assert there.poll_seconds == 3600.0
    finally:
        await there.stop()
        await here.stop()


@pytest.mark.usefixtures("binding_name")
async def test_three_nodes_form_a_cluster(cluster: RabbitMQ) -> None:
    running = await asyncio.to_thread(
        cluster.evaluate, cluster.nodes[2], "lists:sort(rabbit_mnesia:cluster_nodes(running))."
    )
    assert running == "[r1@localhost, r2@localhost, r3@localhost]"
    assert cluster.url.count("127.0.0.1:") == 3


async def test_the_leader_of_a_cluster_is_killed_under_load(
    settings: Settings, valkey: Valkey, cluster: RabbitMQ, shards_of: ShardsOf, day: Day
) -> None:
    own = replace(settings, rabbitmq_url=cluster.url)
    day = replace(day, settings=own)
    binding, staff = binding_of(own, valkey), Staff(own)
    await binding.start()
    writer = shards_of("auth")
    writer.on_commit.append(binding.committed)
    try:
        await staff.hire()
        async with consuming(shards_of("conversations"), binding):
            await until_tokens_flow(binding)
            await streams.until_relayed_from(own)
            happening = asyncio.create_task(day.happen(writer, 0.2))
            await asyncio.sleep(0.5)
            stream = stream_name(partition_of(day.orgs[0]))
            leader = await asyncio.to_thread(cluster.leader_of, stream)
            await asyncio.to_thread(leader.kill)
            await happening
            assert await day.end() == day.undisturbed
            await streams.assert_complete(day)
            successor = await asyncio.to_thread(cluster.leader_of, stream)
            assert successor.name != leader.name
            assert (await asyncio.to_thread(cluster.leader_of, jobs_name(LEDGER, "live"))).name != leader.name
            await asyncio.to_thread(leader.start)
            await until_tokens_flow(binding)
    finally:
        staff.dismiss()
        await binding.stop()
