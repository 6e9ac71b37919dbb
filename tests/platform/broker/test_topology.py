"""What Dana makes in a broker says everything that versions of RabbitMQ have different defaults for."""

import re

from aio_pika import Message

from dana.contracts.ids import new_id
from dana.platform.broker.connection import Connection
from dana.platform.broker.topology import (
    EXCHANGE,
    JOB_DELIVERIES,
    declare_jobs,
    declare_streams,
    jobs_name,
    stream_name,
)
from dana.platform.local.rabbitmq import RabbitMQ

LIMITS_OF_JOBS = {
    "x-queue-type": "quorum",
    "x-max-length": "20000",
    "x-max-length-bytes": "50000000",
    "x-overflow": "drop-head",
    "x-delivery-limit": "20",
    "x-dead-letter-strategy": "at-most-once",
    "x-quorum-initial-group-size": "3",
    "x-queue-leader-locator": "balanced",
}
LIMITS_OF_STREAMS = {
    "x-queue-type": "stream",
    "x-max-age": "7D",
    "x-max-length-bytes": "10000000000",
    "x-stream-max-segment-size-bytes": "50000000",
    "x-initial-cluster-size": "3",
    "x-queue-leader-locator": "balanced",
}

LASTING = "[true, false, none]"


def said_of(broker: RabbitMQ, queue: str) -> tuple[dict[str, str], str]:
    """Return the arguments with which a queue was made, and whether it is durable, deleted, and whose."""
    [node] = broker.nodes
    found = f'{{ok, Q}} = rabbit_amqqueue:lookup(rabbit_misc:r(<<"/">>, queue, <<"{queue}">>)),'
    # An atom each, because what erl_call prints of longer things it cuts.
    each = '[list_to_atom(lists:flatten(io_lib:format("~s=~0p", [K, V])))'
    arguments = broker.evaluate(node, f"{found} {each} || {{K, _, V}} <- amqqueue:get_arguments(Q)].")
    manner = broker.evaluate(
        node,
        f"{found} [amqqueue:is_durable(Q), amqqueue:is_auto_delete(Q), amqqueue:get_exclusive_owner(Q)].",
    )
    pairs = re.findall(r"'([\w-]+)=(?:<<\"([^\"]+)\">>|(\d+))'", arguments)
    return {name: text or number for name, text, number in pairs}, manner


async def test_everything_is_durable_and_says_its_limits(broker: RabbitMQ, connection: Connection) -> None:
    group = f"group-{new_id()}"
    await declare_streams(connection)
    await declare_jobs(connection, group, "live", ["member_changed"])
    assert said_of(broker, stream_name(0)) == (LIMITS_OF_STREAMS, LASTING)
    assert said_of(broker, jobs_name(group, "live")) == (LIMITS_OF_JOBS, LASTING)


async def test_a_token_that_always_comes_back_is_dropped_in_the_end(connection: Connection) -> None:
    group = f"group-{new_id()}"
    await declare_jobs(connection, group, "live", ["member_changed"])
    channel = await connection.channel()
    await channel.set_qos(prefetch_count=1)
    exchange = await channel.get_exchange(EXCHANGE)
    queue = await channel.get_queue(jobs_name(group, "live"))
    await declare_streams(connection)
    await exchange.publish(Message(b"{}"), "0.member_changed")
    seen = 0
    while (message := await queue.get(fail=False)) is not None:
        seen += 1
        await message.nack(requeue=True)
    assert seen == JOB_DELIVERIES + 1
    await channel.close()
