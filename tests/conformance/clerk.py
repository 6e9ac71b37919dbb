"""A worker for long jobs in a process of its own: `python -m tests.conformance.clerk`.

It does what the services' own do, in chunks small enough that there are many. It says `begun` when the work
of a chunk is done and not yet committed: the worst moment to be killed at.
"""

import asyncio
import json
import os
import sys
from dataclasses import replace
from typing import Any

from dana.platform.bus import Bus, pace
from dana.platform.database import Tx
from dana.platform.longjobs import Advance, Kind, LongJob, LongJobs
from dana.platform.settings import Settings
from dana.platform.shards import Shards
from dana.platform.telemetry import configure_logging
from dana.platform.valkey import Valkey
from dana.services.conversations import actions
from dana.services.conversations.actions import deleting, exporting
from dana.services.knowledge.actions.indexing import Indexer
from dana.services.knowledge.actions.reindexing import long_jobs as reindexing
from tests.conformance.bindings import make_binding

AT_ONCE = 2  # conversations
UNCOMMITTED_SECONDS = 0.03  # for which a chunk stays undecided; the killer needs a moment


async def work() -> None:
    """Do chunks until killed."""
    for name, value in json.loads(os.environ["CONFORMANCE_PACE"]).items():
        setattr(pace, name, value)
    deleting.CONVERSATIONS_AT_ONCE = exporting.CONVERSATIONS_AT_ONCE = AT_ONCE
    configure_logging("ERROR")
    settings = Settings.from_environment()
    valkey = Valkey(settings.redis_url)
    await valkey.start()
    binding = make_binding(settings, valkey)
    await binding.start()
    of_conversations, of_knowledge = Shards(settings, "conversations"), Shards(settings, "knowledge")
    jobs = {
        "conversations": (of_conversations, actions.long_jobs(of_conversations)),
        "knowledge": (of_knowledge, reindexing(of_knowledge, Indexer(of_knowledge, None))),
    }
    for group, (shards, its) in jobs.items():
        shards.on_commit.append(binding.committed)
        await Bus(group, shards, [_telling(its).worker()], binding).start()
    _say("ready")
    await asyncio.Event().wait()


def _telling(jobs: LongJobs) -> LongJobs:
    """Let each chunk say that it is about to be committed."""

    def telling(kind: Kind) -> Kind:
        async def chunk(tx: Tx, job: LongJob, prepared: Any) -> Advance:
            advance = await kind.chunk(tx, job, prepared)
            _say("begun")
            await asyncio.sleep(UNCOMMITTED_SECONDS)
            return advance

        return replace(kind, chunk=chunk)

    jobs._kinds = {name: telling(kind) for name, kind in jobs._kinds.items()}
    return jobs


def _say(what: str) -> None:
    sys.stdout.write(f"{what}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    asyncio.run(work())
