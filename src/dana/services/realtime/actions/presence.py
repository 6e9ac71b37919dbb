"""Who is there: between the hub, which knows this node's sockets, and what all nodes know together.

    hub ─► Board of the organization ─► Roster (Valkey) ─► "changed" ─► each node reads, and shows its sockets
                                             ▲
                signs of life ───────────────┘   whose node gives none any more isn't there

Nothing here waits for anything else: without Valkey the lists stay as they are.
"""

import asyncio
import time
from collections.abc import Iterator
from contextlib import suppress

import structlog

from dana.contracts.ids import OrgId
from dana.platform.errors import Unavailable
from dana.platform.fanout import Fanout
from dana.platform.identity import Member
from dana.platform.valkey import Valkey
from dana.services.realtime import models
from dana.services.realtime.actions.board import Board, Shown
from dana.services.realtime.actions.feed import Feed
from dana.services.realtime.actions.roster import Line, Roster
from dana.services.realtime.models import ORGANIZATION, Channel, Client, People

log = structlog.get_logger(__name__)

SIGN_SECONDS = 2.0
LOOK_SECONDS = 1.0  # for nodes that have died: with their last sign, and a list's second, below 10 s
ROUND_SECONDS = 0.25  # what happens within it is written, announced and read together
SETTLE_SECONDS = 3.0  # after Valkey was away: until then, other nodes aren't missing, but on their way back
MAX_ANNOUNCED = 100  # channels in one message
MAX_READ = 50  # lists at once


class Presence:
    """Is told of everybody who comes, goes, looks at something or turns away; never waits in these calls."""

    def __init__(self, valkey: Valkey, fanout: Fanout) -> None:
        self._fanout = fanout
        self._roster = Roster(valkey)
        self._boards: dict[OrgId, Board] = {}
        self._is_alive = False
        self._hurry = asyncio.Event()
        self._look_at = 0.0
        self._quiet_until = 0.0
        self._tasks: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        """Begin to give signs of life."""
        self._tasks = [asyncio.create_task(self._live()), asyncio.create_task(self._work())]

    async def stop(self) -> None:
        """Give no more; what this node has said counts for a moment longer."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        with suppress(Unavailable):
            await self._roster.say_farewell()

    def arrive(self, feed: Feed, client: Client) -> None:
        """Note that a client follows its channels (`client.channels`) from now on; its `hello` has left."""
        board = self._boards.setdefault(feed.org_id, Board(feed.org_id, feed))
        board.feed = feed
        for place in _places(client):
            board.enter(client, place)
        for channel in client.channels:
            self._show(board, client, channel)

    def follow(self, feed: Feed, client: Client, channel: Channel) -> None:
        """Note that it follows one more; its `subscribed` has left."""
        board = self._boards.setdefault(feed.org_id, Board(feed.org_id, feed))
        board.feed = feed
        if _is_place(channel):
            board.enter(client, channel.name)
        self._show(board, client, channel)

    def unfollow(self, feed: Feed, client: Client, channel: Channel) -> None:
        """Note that it follows one less."""
        if (board := self._boards.get(feed.org_id)) is not None:
            board.hide(client, channel.name)
            if channel != ORGANIZATION:  # where members are for as long as they are connected
                board.exit(client, channel.name)

    def state(self, feed: Feed, client: Client, *, is_away: bool) -> None:
        """Note that the person has turned away from the screen, or is back."""
        client.is_away = is_away
        if (board := self._boards.get(feed.org_id)) is not None:
            for channel in _places(client):
                board.turn(client, channel)

    def leave(self, feed: Feed, client: Client) -> None:
        """Note that it is gone; only for who had arrived."""
        if (board := self._boards.get(feed.org_id)) is not None:
            for channel in _places(client):
                board.exit(client, channel)
                board.hide(client, channel)

    def changed(self, feed: Feed, channel: str) -> None:
        """Note that some node has changed who is in a channel, or in several."""
        if (board := self._boards.get(feed.org_id)) is not None:
            for each in channel.split(","):
                board.changed(each)

    def gap(self, feed: Feed) -> None:
        """Note that changes may have been missed, and that Valkey may have forgotten everything."""
        self._settle()
        if (board := self._boards.get(feed.org_id)) is not None:
            board.doubt()

    def _show(self, board: Board, client: Client, channel: Channel) -> None:
        if _is_place(channel) and isinstance(client.who, Member):
            board.show(client, channel.name)

    def _settle(self) -> None:
        """Say at once that this node lives, and give the others time to do so, before any is missed."""
        self._quiet_until = time.monotonic() + SETTLE_SECONDS
        self._is_alive = False
        self._hurry.set()

    async def _live(self) -> None:
        while True:
            self._hurry.clear()
            try:
                was_known = await self._roster.sign()
                if not was_known:  # so others may have wiped out what stood there of this node
                    for board in self._boards.values():
                        board.doubt()
                self._is_alive = True
            except Unavailable:
                self._quiet_until = time.monotonic() + SETTLE_SECONDS
                self._is_alive = False
            except Exception:
                log.exception("sign_of_life_failed")
            with suppress(TimeoutError):
                async with asyncio.timeout(SIGN_SECONDS if self._is_alive else ROUND_SECONDS):
                    await self._hurry.wait()

    async def _work(self) -> None:
        while True:
            await asyncio.sleep(ROUND_SECONDS)
            if not self._is_alive:
                continue
            try:
                await self._write()
                if time.monotonic() >= self._quiet_until:
                    await self._look_for_the_dead()
                    await self._read()
            except Unavailable:
                self._settle()
            except Exception:
                log.exception("presence_failed")

    async def _write(self) -> None:
        for board in tuple(self._boards.values()):
            lines = board.lines()
            if lines:
                self._announce(board, await self._put(board, lines))
            elif board.is_empty and self._boards.get(board.org_id) is board:
                del self._boards[board.org_id]

    async def _put(self, board: Board, lines: list[Line]) -> list[str]:
        """Write lines, and return the channels in which that has changed something."""
        try:
            news = await self._roster.write(lines)
        except BaseException:
            for line in lines:
                board.failed(line)
            raise
        changed = [line.channel for line in lines if board.wrote(line)]
        return list(dict.fromkeys([*changed, *(line.channel for line in news)]))

    def _announce(self, board: Board, channels: list[str]) -> None:
        for at in range(0, len(channels), MAX_ANNOUNCED):
            self._fanout.changed(board.org_id, ",".join(channels[at : at + MAX_ANNOUNCED]))

    async def _look_for_the_dead(self) -> None:
        if time.monotonic() < self._look_at:
            return
        self._look_at = time.monotonic() + LOOK_SECONDS
        if dead := await self._roster.look_for_the_dead():
            log.info("nodes_died", nodes=sorted(dead))
            for board in self._boards.values():
                board.died(dead)

    async def _read(self) -> None:
        due = [(board, *each) for board in self._boards.values() for each in board.due()]
        for at in range(0, len(due), MAX_READ):
            some = (self._read_list(*each) for each in due[at : at + MAX_READ])
            for answer in await asyncio.gather(*some, return_exceptions=True):
                if isinstance(answer, BaseException):
                    raise answer

    async def _read_list(self, board: Board, channel: str, shown: Shown) -> None:
        shown.is_due = False
        try:
            said = await self._roster.read(board.org_id, channel)
        except BaseException:
            shown.is_due = True
            raise
        people: People = {}
        for entries in said.values():
            models.add_people(people, entries)
            await asyncio.sleep(0)
        board.listed(channel, models.presence(channel, people), frozenset(said))


def _places(client: Client) -> Iterator[str]:
    """Return the channels in which somebody is: members are in their organization, whatever they follow."""
    if isinstance(client.who, Member):
        yield ORGANIZATION.name
    for channel in client.channels:
        if channel.kind == "conversation":
            yield channel.name


def _is_place(channel: Channel) -> bool:
    return channel == ORGANIZATION or channel.kind == "conversation"
