"""Connects to whichever host of a server is the primary, even while others are dead, and sees when it dies.

The driver alone tries the hosts in the order in which they stand, and waits for one that swallows packets as
long as it may wait at all: the machine that is lost would keep everybody from the one that took over.
"""

import asyncio
import socket
from collections.abc import Sequence
from typing import Any

import asyncpg
from asyncpg.connect_utils import SessionAttribute
from asyncpg.exceptions import TargetServerAttributeNotMatched

HEAD_START_SECONDS = 0.5  # longer than a healthy host takes, even a busy one; then the next is tried as well
KNOWN_PRIMARIES = 1000

# A machine that is gone doesn't even say that the connection is broken. So the kernel asks when it is silent,
# and gives up when what was sent isn't acknowledged: after some ten seconds in both cases.
KEEPALIVE = {"TCP_KEEPIDLE": 5, "TCP_KEEPINTVL": 2, "TCP_KEEPCNT": 3, "TCP_USER_TIMEOUT": 10_000}

_primaries: dict[tuple[str, ...], str] = {}
"""Which of some addresses led to the primary last."""


async def connect(addresses: Sequence[str], **options: Any) -> asyncpg.Connection:
    """Connect to the one of several addresses that is a primary, or to the only one, whatever that is.

    The last primary has a head start before the next is tried beside it. Raises what the driver raises;
    TargetServerAttributeNotMatched when those that answer are no primaries.
    """
    if len(addresses) == 1:
        return _kept_alive(await asyncpg.connect(addresses[0], **options))
    options = {**options, "target_session_attrs": SessionAttribute.read_write}
    known = tuple(addresses)
    waiting = sorted(known, key=lambda address: address != _primaries.get(known))
    trying: dict[asyncio.Task[asyncpg.Connection], str] = {}
    failures: list[BaseException] = []
    try:
        while waiting or trying:
            if waiting:
                address = waiting.pop(0)
                trying[asyncio.create_task(asyncpg.connect(address, **options))] = address
            patience = HEAD_START_SECONDS if waiting else None
            done, _ = await asyncio.wait(trying, timeout=patience, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                address = trying.pop(task)
                if (failure := task.exception()) is None:
                    _remember(known, address)
                    return _kept_alive(task.result())
                failures.append(failure)
    finally:
        for task in trying:
            _give_up(task)
    raise min(failures, key=_how_little_it_says)


def _remember(known: tuple[str, ...], address: str) -> None:
    if len(_primaries) >= KNOWN_PRIMARIES:
        _primaries.clear()
    _primaries[known] = address


def _give_up(attempt: asyncio.Task[asyncpg.Connection]) -> None:
    """End an attempt, or its connection if it has just succeeded."""

    def close(done: asyncio.Task[asyncpg.Connection]) -> None:
        if not done.cancelled() and done.exception() is None:
            done.result().terminate()

    attempt.add_done_callback(close)
    attempt.cancel()


def _how_little_it_says(failure: BaseException) -> int:
    """Sort failures: a refused login tells more than a dead host, and that more than a replica."""
    if isinstance(failure, TargetServerAttributeNotMatched):
        return 2
    return 1 if isinstance(failure, OSError | asyncpg.CannotConnectNowError) else 0


def _kept_alive(connection: asyncpg.Connection) -> asyncpg.Connection:
    transport = connection._transport  # type: ignore[attr-defined]  # noqa: SLF001 - there is no option for it
    sock = transport.get_extra_info("socket")
    if sock is not None and sock.family in (socket.AF_INET, socket.AF_INET6):
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        for name, setting in KEEPALIVE.items():
            if hasattr(socket, name):  # not every system has all
                sock.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), setting)
    return connection
