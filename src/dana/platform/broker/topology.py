"""The exchange, streams and queues: their names, and how they are declared once, whoever comes first.

What exists is taken as it is, so an operator may have made it with other limits. Everything is said here for
which versions of RabbitMQ have different defaults, so that all of them do the same.
"""

import zlib
from collections.abc import Iterable
from typing import Any

from aio_pika import ExchangeType
from aio_pika.exceptions import ChannelNotFoundEntity

from dana.contracts.ids import OrgId
from dana.platform.broker.connection import Connection, answers_in_time

Arguments = dict[str, Any]

EXCHANGE = "dana.events"
PARTITIONS = 4
STREAM_AGE = "7D"  # PostgreSQL keeps five weeks; streams serve those who read along
STREAM_BYTES = 10_000_000_000
SEGMENT_BYTES = 50_000_000  # old events go by whole segments
JOB_TOKENS = 20_000  # more than any pool can use; the oldest go, as tokens are replaceable
JOB_BYTES = 50_000_000
JOB_DELIVERIES = 20  # a token that came back so often is dropped: lanes look by themselves anyway
REPLICAS = 3  # of each stream and queue, or as many as there are nodes: one may die


def partition_of(org_id: OrgId) -> int:
    """Return the partition in which all events of an organization are."""
    return zlib.crc32(org_id.bytes) % PARTITIONS


def stream_name(partition: int) -> str:
    """Name the stream of a partition."""
    return f"dana.stream.{partition}"


def jobs_name(group: str, lane: str) -> str:
    """Name the queue of tokens of one lane of one consuming service."""
    return f"dana.jobs.{group}.{lane}"


async def declare_streams(connection: Connection) -> None:
    """Make the exchange and the streams unless they are there; raises Unavailable."""
    for partition in range(PARTITIONS):
        arguments: Arguments = {
            "x-queue-type": "stream",
            "x-max-age": STREAM_AGE,
            "x-max-length-bytes": STREAM_BYTES,
            "x-stream-max-segment-size-bytes": SEGMENT_BYTES,
            "x-initial-cluster-size": REPLICAS,
            "x-queue-leader-locator": "balanced",
        }
        await _declare(connection, stream_name(partition), arguments, [f"{partition}.#"])


async def declare_jobs(connection: Connection, group: str, lane: str, types: Iterable[str]) -> None:
    """Make the queue of a lane unless it is there, bound to each type it consumes; raises Unavailable."""
    arguments: Arguments = {
        "x-queue-type": "quorum",
        "x-max-length": JOB_TOKENS,
        "x-max-length-bytes": JOB_BYTES,
        "x-overflow": "drop-head",
        "x-delivery-limit": JOB_DELIVERIES,
        "x-dead-letter-strategy": "at-most-once",
        "x-quorum-initial-group-size": REPLICAS,
        "x-queue-leader-locator": "balanced",
    }
    keys = [f"*.{event_type}" for event_type in sorted(types)]
    await _declare(connection, jobs_name(group, lane), arguments, keys)


async def _declare(connection: Connection, name: str, arguments: Arguments, keys: list[str]) -> None:
    channel = await connection.channel()
    async with answers_in_time():
        try:
            queue = await channel.get_queue(name)
        except ChannelNotFoundEntity:
            channel = await connection.channel()
            queue = await channel.declare_queue(name, durable=True, arguments=arguments)
        await channel.declare_exchange(EXCHANGE, ExchangeType.TOPIC, durable=True)
        for key in keys:
            await queue.bind(EXCHANGE, key)
        await channel.close()
