"""Read a file in a child process of its own, with limits: a bad file can cost itself, not the service."""

import asyncio
import os
import signal
import sys
from contextlib import suppress

import msgspec

from dana.platform.network import forbid_network_in_tx
from dana.services.knowledge.adapters.parsing.limits import MEMORY_BYTES, WALL_SECONDS, Outcome
from dana.services.knowledge.models.documents import Kind, UnreadableError
from dana.services.knowledge.models.passages import Parsed

EMPTY = "The file is empty."
TOO_SLOW = (
    f"Reading the file took longer than {WALL_SECONDS} seconds. Split it, or send it in another format."
)
TOO_LARGE_INSIDE = (
    f"Reading the file needs more than {MEMORY_BYTES // 2**20} MB of memory. Split it, or send plain text."
)
BROKEN = (
    "The file is damaged: the program that reads it gave up. Save it again, or send it in another format."
)


async def parse(kind: Kind, content: bytes) -> Parsed:
    """Return the text of a file under its headings; raises UnreadableError with the reason for its owner."""
    forbid_network_in_tx()
    if not content.strip():
        raise UnreadableError(EMPTY)
    child = await asyncio.create_subprocess_exec(
        sys.executable,
        "-I",
        "-m",
        "dana.services.knowledge.adapters.parsing.child",
        kind.value,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
        env={"PATH": os.defpath, "LC_ALL": "C.UTF-8"},
        start_new_session=True,
    )
    try:
        output, _ = await asyncio.wait_for(child.communicate(content), WALL_SECONDS)
    except TimeoutError:
        raise UnreadableError(TOO_SLOW) from None
    finally:
        with suppress(ProcessLookupError):
            os.killpg(child.pid, signal.SIGKILL)
        await child.wait()
    return _outcome(child.returncode, output)


def _outcome(code: int | None, output: bytes) -> Parsed:
    if code in (-signal.SIGXCPU, -signal.SIGKILL):
        raise UnreadableError(TOO_SLOW)
    try:
        outcome = msgspec.msgpack.decode(output, type=Outcome)
    except msgspec.DecodeError:
        raise UnreadableError(BROKEN) from None
    if outcome.is_too_large:
        raise UnreadableError(TOO_LARGE_INSIDE)
    if outcome.parsed is None:
        raise UnreadableError(outcome.error or BROKEN)
    return outcome.parsed
