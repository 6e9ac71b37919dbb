"""Every recurring job of every service may be cut anywhere and run again: it says nothing twice."""

import asyncio
from datetime import UTC, datetime, timedelta

from dana.app import Dana
from dana.contracts.ids import OrgId
from dana.platform.broker import upkeep_of
from dana.platform.jobs import Recurring
from dana.platform.maintenance import maintenance
from dana.platform.shards import Shards
from tests.conftest import SignedUp

CUTS_SECONDS = (0.0, 0.001, 0.003, 0.01, 0.03)
ASLEEP = timedelta(seconds=0.5)


def recurring(dana: Dana) -> list[Recurring]:
    """All that a process with all services does again and again."""
    own = [job for service, _ in dana.services for job in service.jobs]
    upkeep = maintenance(dana.platform_shards) + upkeep_of(dana.settings, dana.platform_shards)
    return [*own, *upkeep]


async def said(shards: Shards, org_id: OrgId) -> list[str]:
    """What the organization's log says, in order."""
    async with shards.read(org_id) as tx:
        rows = await tx.fetch(
            "select type, payload::text from platform.event_log where org_id = $1 order by cursor", org_id
        )
    return [f"{row['type']} {row['payload']}" for row in rows]


async def cut(job: Recurring, seconds: float) -> None:
    """Begin a run and end it in the middle, as a process does that stops."""
    running = asyncio.ensure_future(job.run())
    await asyncio.sleep(seconds)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


async def test_what_is_cut_and_run_again_is_said_once(dana: Dana, signed_up: SignedUp) -> None:
    http, shards = signed_up.http, dana.platform_shards
    inbox = await http.post("/api/v1/inboxes", json={"name": "Web", "channel": "web_widget"})
    begun = await http.post(f"/api/v1/widget/{inbox.json()['public_key']}/conversations", json={"name": "Bo"})
    conversation = f"/api/v1/conversations/{begun.json()['conversation_id']}"
    until = datetime.now(UTC) + ASLEEP
    answer = await http.post(f"{conversation}/snooze", json={"until": until.isoformat()})
    assert answer.status_code == 200, answer.text
    before = await said(shards, signed_up.org_id)
    await asyncio.sleep(ASLEEP.total_seconds())
    jobs = recurring(dana)
    assert len(jobs) > 10
    for job in jobs:
        for seconds in CUTS_SECONDS:
            await cut(job, seconds)
        await job.run()
    once = await said(shards, signed_up.org_id)
    assert [line.split()[0] for line in once[len(before) :]] == ["conversation_reopened", "message_appended"]
    for job in jobs:
        await asyncio.gather(job.run(), job.run())
    assert await said(shards, signed_up.org_id) == once
