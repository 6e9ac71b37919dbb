"""Frames from the server: bytes of JSON, made with as little as possible, since there are so many."""

import msgspec

HEARTBEAT_SECONDS = 10
RETURNS_PER_SECOND = 500  # come back to the other nodes after a restart; each costs a handshake and a replay

_SECOND = 1_000
_MINUTE = 60 * _SECOND


class Close:
    """Why a socket ends, for its client to act on."""

    RESTART = 1012
    TRY_LATER = 1013
    BAD_FRAME = 4400
    TOKEN = 4401
    TOO_SLOW = 4408
    TOO_MANY = 4429


_RETRY_MS = {
    Close.RESTART: (0, _SECOND),
    Close.TRY_LATER: (_SECOND, 5 * _SECOND),
    Close.BAD_FRAME: (30 * _SECOND, _MINUTE),
    Close.TOKEN: (0, _SECOND),
    Close.TOO_SLOW: (_SECOND, 3 * _SECOND),
    Close.TOO_MANY: (30 * _SECOND, _MINUTE),
}


def hello(cursor: int, valid_seconds: int, channels: list[str]) -> bytes:
    """Make the first frame: from which cursor the events of which channels follow, and for how long."""
    return b'{"type":"hello","cursor":%d,"heartbeat_seconds":%d,"valid_seconds":%d,"channels":%b}' % (
        cursor,
        HEARTBEAT_SECONDS,
        valid_seconds,
        msgspec.json.encode(channels),
    )


def heartbeat(cursor: int) -> bytes:
    """Say that all events up to a cursor have been sent."""
    return b'{"type":"heartbeat","cursor":%d}' % cursor


def resync(cursor: int, position: str | None) -> bytes:
    """Say that the client must fetch the state anew; events follow from this cursor."""
    return b'{"type":"resync","cursor":%d%b}' % (cursor, at(position))


def subscribed(channel: str, cursor: int) -> bytes:
    """Say that the events of a channel after a cursor follow."""
    return b'{"type":"subscribed","channel":%b,"cursor":%d}' % (msgspec.json.encode(channel), cursor)


def unsubscribed(channel: str) -> bytes:
    """Say that no more events of a channel follow."""
    return b'{"type":"unsubscribed","channel":%b}' % msgspec.json.encode(channel)


def refused(channel: str, reason: str) -> bytes:
    """Say that a channel isn't followed, or not any longer."""
    return msgspec.json.encode({"type": "refused", "channel": channel, "reason": reason})


def renewed(valid_seconds: int) -> bytes:
    """Say for how long the socket may live from now on."""
    return b'{"type":"renewed","valid_seconds":%d}' % valid_seconds


def bye(code: int, reason: str, retry_ms: int) -> bytes:
    """Make the last frame: why the socket ends, and in how long to come back."""
    return msgspec.json.encode({"type": "bye", "code": code, "reason": reason, "retry_ms": retry_ms})


def retry_ms(code: int, chance: float) -> int:
    """Return in how long to come back after a code; `chance`, from 0 to 1, spreads those who all get it."""
    least, most = _RETRY_MS.get(code, (_SECOND, 5 * _SECOND))
    return least + int((most - least) * chance)


def leave_and_return(number: int, many: int, most_seconds: float) -> tuple[float, float]:
    """Return when one of many who all must leave is told so, and how long it then stays away, in seconds.

    They are told evenly, within so many seconds at most; they come back evenly, too, and no more of them in
    a second than can be borne, which takes longer when they are many.
    """
    returning = many / RETURNS_PER_SECOND
    leaving = min(returning, most_seconds)
    return leaving * number / many, (returning - leaving) * number / many


def at(position: str | None) -> bytes:
    """Write a position as a further field, when there is one."""
    return b"" if position is None else b',"position":"%b"' % position.encode()
