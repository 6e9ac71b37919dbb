"""A connection takes any node of a cluster, waits for a broker that is away, and says why it has none."""

import logging

import pytest

from dana.platform.broker.connection import Connection, each_node
from dana.platform.errors import Unavailable
from dana.platform.local.programs import free_port
from dana.platform.local.rabbitmq import RabbitMQ


def test_an_address_may_list_the_nodes_of_a_cluster() -> None:
    nodes = each_node("amqps://dana:s%40fe@rmq1:5671,rmq2,rmq3:5673/events")
    assert [(str(node.host), node.port) for node in nodes] == [("rmq1", 5671), ("rmq2", None), ("rmq3", 5673)]
    assert {(node.scheme, node.user, node.password, node.path) for node in nodes} == {
        ("amqps", "dana", "s@fe", "/events")
    }


async def test_whichever_node_answers_is_taken(broker: RabbitMQ) -> None:
    login = broker.url.rpartition("@")[0]
    dead = ",".join(f"127.0.0.1:{free_port()}" for _ in range(2))
    connection = Connection(f"{login}@{dead},127.0.0.1:{broker.nodes[0].port}/", "test")
    try:
        assert await connection.start(60)
        assert (await connection.channel()).is_closed is False
    finally:
        await connection.stop()


async def test_a_broker_that_is_away_keeps_nobody_waiting_and_says_why_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    connection = Connection(f"amqp://dana:secret-word@127.0.0.1:{free_port()}/", "test")
    with caplog.at_level(logging.WARNING):
        assert not await connection.start(1.8)  # some three attempts
    with pytest.raises(Unavailable):
        await connection.channel()
    await connection.stop()
    assert len([record for record in caplog.records if "failed" in record.getMessage()]) == 1
    assert "secret-word" not in caplog.text


async def test_a_wrong_password_is_no_connection(broker: RabbitMQ) -> None:
    connection = Connection(f"amqp://dana:wrong@127.0.0.1:{broker.nodes[0].port}/", "test")
    assert not await connection.start(1.5)
    await connection.stop()
