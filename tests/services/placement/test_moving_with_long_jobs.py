"""A long job goes on where its organization has moved to: no chunk is left out, and none is done twice."""

import asyncio

import pytest

from dana.contracts.events import EVENTS_BY_TYPE
from dana.contracts.views import JobState
from dana.services.placement.actions import moving
from dana.services.placement.models.moves import MoveState
from tests.platform.longjobs.rehearsal import Counting, RehearsalAdvanced, working
from tests.services.placement.grounds import Grounds

AFTER_THE_MOVE = 10  # chunks
WITHOUT_END = 1_000_000
PATIENCE_SECONDS = 90

pytestmark = pytest.mark.xdist_group("placement")


async def test_a_long_job_goes_on_where_its_organization_has_moved_to(
    grounds: Grounds, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(EVENTS_BY_TYPE, "rehearsal_advanced", RehearsalAdvanced)
    org_id = await grounds.organization("shard1")
    counting = Counting(grounds.writing, WITHOUT_END)
    counting.seconds = 0.02
    async with working(grounds.writing, counting), asyncio.timeout(PATIENCE_SECONDS):
        job = await counting.ask(org_id)
        while (await counting.find(org_id, job.id)).done < 3:
            await asyncio.sleep(0.02)
        move = await moving.request(grounds.desk, org_id, "shard3")
        move = await moving.drive(grounds.desk, move.id, lambda _: None)
        assert move.state is MoveState.VERIFIED
        counting.numbers = (await counting.find(org_id, job.id)).done + AFTER_THE_MOVE
        while (job := await counting.find(org_id, job.id)).state is JobState.RUNNING:
            await asyncio.sleep(0.1)
    assert (job.state, job.done) == (JobState.DONE, counting.numbers)
    assert await counting.said(org_id) == [f"number {n}" for n in range(1, counting.numbers + 1)]
    assert (await grounds.route(org_id))[0] == "shard3"
