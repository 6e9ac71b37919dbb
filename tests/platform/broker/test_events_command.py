"""`dana events tail` shows what happens to people and to pipes."""

import json
import os
import subprocess
import sys
from datetime import UTC, datetime

import pytest

from dana.contracts.ids import EventId, OrgId, new_id
from dana.platform.broker.publishing import Outgoing, Publisher
from dana.platform.broker.topology import partition_of
from dana.platform.local.rabbitmq import RabbitMQ


def dana(*arguments: str, broker: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "dana", "events", "tail", *arguments],
        env=os.environ | {"DANA_RABBITMQ_URL": broker},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


async def test_a_pipe_gets_a_line_of_json_for_each_event(broker: RabbitMQ, publisher: Publisher) -> None:
    org_id, other = OrgId(new_id()), OrgId(new_id())
    now = datetime.now(UTC)
    batch = [
        Outgoing(org, cursor, EventId(new_id()), "member_changed", "", f'{{"n": {cursor}}}', now, "shard1")
        for cursor in range(1, 4)
        for org in (org_id, other)
    ]
    await publisher.publish(batch)
    for start in ("first", now.isoformat()):
        run = dana("--from", start, "--organization", str(org_id), "--count", "3", broker=broker.url)
        assert run.returncode == 0, run.stderr
        lines = [json.loads(line) for line in run.stdout.splitlines()]
        assert [(line["org_id"], line["cursor"], line["event"]) for line in lines] == [
            (str(org_id), cursor, {"n": cursor}) for cursor in (1, 2, 3)
        ]
    again = ("--from", str(lines[1]["offset"]), "--partition", str(partition_of(org_id)), "--count", "1")
    run = dana(*again, "--organization", str(org_id), broker=broker.url)
    assert [json.loads(line)["cursor"] for line in run.stdout.splitlines()] == [2]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--from", "yesterday"], "neither a time"),
        (["--from", "17"], "name it with --partition"),
        (["--partition", "4"], "There are 4 partitions"),
    ],
)
def test_what_makes_no_sense_is_refused_in_one_sentence(arguments: list[str], says: str) -> None:
    run = dana(*arguments, broker="amqp://nobody@127.0.0.1:1/")
    assert run.returncode == 1
    assert says in run.stderr
    assert len(run.stderr.splitlines()) == 1


def test_without_a_broker_it_says_what_to_set() -> None:
    run = dana(broker="")
    assert run.returncode == 1
    assert "DANA_RABBITMQ_URL" in run.stderr
