"""Files of lines in packed parts: cut when one comes in, written one by one when one is made."""

import gzip
import hashlib
import zlib
from collections.abc import Iterator

import msgspec

from dana.platform.errors import Invalid
from dana.services.conversations.models.bulk import Described, Part

MAX_TEXT_BYTES = 300 * 1024 * 1024  # of a file that comes in packed
MAX_LINE_BYTES = 256 * 1024  # four times the longest message, every character of it escaped
LINES_AT_ONCE = 100
PART_BYTES = 1024 * 1024
PACKING = 6
GZIP = b"\x1f\x8b"
TOO_LONG = b"a line that was too long"
_READ_AT_ONCE = 1024 * 1024


class ListedPart(msgspec.Struct, frozen=True, kw_only=True):
    """A run of lines of an unpacked file."""

    first_line: int
    lines: int
    first_byte: int
    bytes: int
    sha256: str


def packed(number: int, first_line: int, lines: int, text: bytes) -> Part:
    """Pack some lines."""
    return Part(
        number,
        first_line,
        lines,
        len(text),
        hashlib.sha256(text).digest(),
        gzip.compress(text, PACKING, mtime=0),
    )


def unpacked(part: Part) -> list[tuple[int, bytes]]:
    """Return the lines of a part that has come in, with their numbers."""
    lines = gzip.decompress(part.content).split(b"\n")[: part.lines]
    return list(enumerate(lines, start=part.first_line))


def check_length(line: bytes) -> None:
    """Raise Invalid for a line that was too long to be kept."""
    if line == TOO_LONG:
        raise Invalid(f"The line is longer than {MAX_LINE_BYTES // 1024} kB.")


def cut(content: bytes) -> list[Part]:
    """Cut a file of lines into parts, unpacking it if it is packed; raises Invalid when it can't be read."""
    parts: list[Part] = []
    lines: list[bytes] = []
    size = 0
    first = 1

    def close() -> None:
        nonlocal first, size
        parts.append(packed(len(parts), first, len(lines), b"\n".join(lines) + b"\n"))
        first += len(lines)
        lines.clear()
        size = 0

    for line in _lines(content):
        lines.append(TOO_LONG if len(line) > MAX_LINE_BYTES else line)
        size += len(lines[-1])
        if len(lines) == LINES_AT_ONCE or size > PART_BYTES:
            close()
    if lines:
        close()
    return parts


def listed(parts: list[Described]) -> list[ListedPart]:
    """Describe a file, so that whoever has it can tell whether it is whole."""
    found: list[ListedPart] = []
    first_byte = 0
    for part in parts:
        found.append(
            ListedPart(
                first_line=part.first_line,
                lines=part.lines,
                first_byte=first_byte,
                bytes=part.size_bytes,
                sha256=part.sha256.hex(),
            )
        )
        first_byte += part.size_bytes
    return found


def _lines(content: bytes) -> Iterator[bytes]:
    rest = b""
    for piece in _text(content):
        *whole, rest = (rest + piece).split(b"\n")
        yield from whole
        rest = rest[: MAX_LINE_BYTES + 1]  # a longer line is refused, however long it is
    if rest:
        yield rest


def _text(content: bytes) -> Iterator[bytes]:
    if not content.startswith(GZIP):
        yield content
        return
    total = 0
    unread = content
    try:
        while unread:
            member = zlib.decompressobj(wbits=zlib.MAX_WBITS | 16)
            while not member.eof:
                piece = member.decompress(unread, _READ_AT_ONCE)
                unread = member.unconsumed_tail
                total += len(piece)
                if total > MAX_TEXT_BYTES:
                    most = MAX_TEXT_BYTES // 2**20
                    raise Invalid(f"Unpacked, the file is larger than {most} MB; split it.", field="file")
                yield piece
                if not piece and not unread and not member.eof:
                    raise Invalid("The packed file ends in the middle; upload it again.", field="file")
            unread = member.unused_data
    except zlib.error:
        raise Invalid("The packed file is damaged; upload it again.", field="file") from None
