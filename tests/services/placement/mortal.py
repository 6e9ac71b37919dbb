"""A driver that kills itself: `python -m tests.services.placement.mortal MOVE STEP`, with DANA_… set.

It drives like any other, and dies by SIGKILL when the step is reached; its end without that is an error.
"""

import asyncio
import os
import signal
import sys
from uuid import UUID

from dana.platform.settings import Settings
from dana.platform.shards import Shards
from dana.services.placement.actions.desk import Desk
from dana.services.placement.actions.driving import carry_on
from dana.services.placement.models.moves import Move, MoveId, Step


async def drive(move_id: MoveId, last: Step) -> Move | None:
    """Drive until the step, and no further."""
    settings = Settings.from_environment()

    def die(step: Step) -> None:
        if step == last:
            os.kill(os.getpid(), signal.SIGKILL)

    shards = Shards(settings, "placement")
    return await carry_on(Desk(settings, shards), move_id, lambda _: None, die)


if __name__ == "__main__":
    sys.exit(f"It ended: {asyncio.run(drive(MoveId(UUID(sys.argv[1])), Step(sys.argv[2])))}")
