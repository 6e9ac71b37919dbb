"""One organization deletes 100,000 conversations: what do customers of another one on the same shard notice?

    python -m benchmarks.bulk_deletion                       loads for a minute, measures for one
    python -m benchmarks.bulk_deletion --conversations 5000  shorter

Customers write at a steady rate to an organization of their own, first undisturbed, then while the other one
deletes. A message's time counts from when it was due, so that a pause isn't hidden by a generator that waits.
"""

import argparse
import asyncio
import json
import statistics
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

import asyncpg

from benchmarks.client import Client
from benchmarks.dana import running
from dana.cli.installation import installation
from dana.platform.servers import shard_addresses

CONVERSATIONS = 100_000
MESSAGES = 5  # in each
RATE = 40  # messages a second to the other organization
UNDISTURBED_SECONDS = 20.0
CUSTOMERS = 20
POLL_SECONDS = 0.5

LOAD = """
with said as (
  insert into conversations.contacts (org_id, id, name, created_at)
    select $1, ('0190eeee-0000-7000-8000-' || lpad(to_hex(n), 12, '0'))::uuid, 'Person ' || n, now()
      from generate_series(1, $3::int) n
), held as (
  insert into conversations.conversations
    (org_id, id, inbox_id, contact_id, status, last_seq, last_text, unread_count, version, turn,
     last_activity_at, created_at)
    select $1, ('0190ffff-0000-7000-8000-' || lpad(to_hex(n), 12, '0'))::uuid, $2,
           ('0190eeee-0000-7000-8000-' || lpad(to_hex(n), 12, '0'))::uuid, 'resolved', $4, 'Thanks', 0, 1, 0,
           now() - interval '2 years' + n * interval '1 second', now() - interval '2 years'
      from generate_series(1, $3::int) n
), counted as (
  insert into conversations.counts (org_id, resolved) values ($1, $3)
    on conflict (org_id) do update set resolved = $3
)
insert into conversations.messages
  (org_id, id, conversation_id, seq, author, author_name, text, is_private, created_at, cursor, search_keys)
  select $1, gen_random_uuid(), ('0190ffff-0000-7000-8000-' || lpad(to_hex(n), 12, '0'))::uuid, seq,
         'customer', 'Person', repeat('My order number ' || n || ' has not come. ', 4), false, now(), 0,
         array[n % 5000, n % 7001, seq, n % 311, n % 97, n % 13]
    from generate_series(1, $3::int) n, generate_series(1, $4::int) seq
"""


@dataclass(slots=True)
class Organization:
    """Somebody with an inbox."""

    id: str
    token: str
    inbox_id: str
    public_key: str


async def measure(conversations: int) -> dict[str, Any]:
    """Run both halves; returns what the last line says."""
    async with running({"DANA_SHARDS": "1"}) as (url, data_dir):
        client = Client(url)
        deleting, other = [await _sign_up(client, name) for name in ("deleting", "other")]
        await _load(data_dir, deleting, conversations)
        customers = [await _customer(client, other) for _ in range(CUSTOMERS)]
        undisturbed = await _write(client, customers, asyncio.create_task(asyncio.sleep(UNDISTURBED_SECONDS)))
        started = time.perf_counter()
        deletion = asyncio.create_task(_delete(client, deleting, conversations))
        meanwhile = await _write(client, customers, deletion)
        await deletion
        seconds = time.perf_counter() - started
    return {
        "conversations": conversations,
        "messages": conversations * MESSAGES,
        "conversations_per_second": round(conversations / seconds),
        "others_messages_per_second": RATE,
        "others_p50_ms": _percentile(meanwhile, 50),
        "others_p95_ms": _percentile(meanwhile, 95),
        "others_p99_ms": _percentile(meanwhile, 99),
        "undisturbed_p50_ms": _percentile(undisturbed, 50),
        "undisturbed_p95_ms": _percentile(undisturbed, 95),
        "undisturbed_p99_ms": _percentile(undisturbed, 99),
    }


async def _sign_up(client: Client, name: str) -> Organization:
    body = {"email": f"{name}@example.org", "password": "correct horse battery", "name": name}
    session = await client.call("POST", "/api/v1/auth/signup", body | {"organization": name})
    inbox = await client.call(
        "POST",
        "/api/v1/inboxes",
        {"name": name, "channel": "web_widget", "is_assistant_enabled": False},
        session["access_token"],
    )
    return Organization(session["organization_id"], session["access_token"], inbox["id"], inbox["public_key"])


async def _load(data_dir: Path, organization: Organization, conversations: int) -> None:
    with installation(data_dir) as settings:
        [shard] = (await shard_addresses(settings)).values()
        connection = await asyncpg.connect(shard)
        print(f"loading {conversations:,} conversations", flush=True)
        await connection.execute("set statement_timeout = 0")
        await connection.execute(
            LOAD, organization.id, organization.inbox_id, conversations, MESSAGES, timeout=600
        )
        await connection.execute("vacuum (analyze) conversations.messages, conversations.conversations")
        await connection.execute("checkpoint")
        await connection.close()


async def _customer(client: Client, organization: Organization) -> tuple[str, str]:
    started = await client.call("POST", f"/api/v1/widget/{organization.public_key}/conversations", {})
    return f"/api/v1/widget/conversations/{started['conversation_id']}/messages", started["token"]


async def _write(client: Client, customers: list[tuple[str, str]], until: asyncio.Task[None]) -> list[float]:
    """Write at the rate until something is done; returns what each message took, in milliseconds."""
    took: list[float] = []
    sending: set[asyncio.Task[None]] = set()
    begun = time.perf_counter()

    async def send(due: float, path: str, token: str) -> None:
        await client.call("POST", path, {"text": "Where is my order?"}, token, str(uuid4()))
        took.append((time.perf_counter() - due) * 1000)

    number = 0
    while not until.done():
        due = begun + number / RATE
        await asyncio.sleep(max(0.0, due - time.perf_counter()))
        task = asyncio.create_task(send(due, *customers[number % len(customers)]))
        sending.add(task)
        task.add_done_callback(sending.discard)
        number += 1
    await asyncio.gather(*sending)
    return took


async def _delete(client: Client, organization: Organization, conversations: int) -> None:
    body = {"status": "resolved", "quiet_since": datetime.now(UTC).isoformat()}
    job = await client.call("POST", "/api/v1/conversations/deletions", body, organization.token)
    while job["state"] in ("queued", "running"):
        await asyncio.sleep(POLL_SECONDS)
        job = await client.call("GET", f"/api/v1/jobs/{job['id']}", None, organization.token)
    if (job["state"], job["done"]) != ("done", conversations):
        raise RuntimeError(f"the deletion ended otherwise: {job}")


def _percentile(values: list[float], percent: int) -> float:
    return round(statistics.quantiles(values, n=100)[percent - 1], 1)


def main() -> None:
    """Run, and print the result as the last line."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    options.add_argument("--conversations", type=int, default=CONVERSATIONS)
    print(json.dumps(asyncio.run(measure(options.parse_args().conversations))))


if __name__ == "__main__":
    main()
