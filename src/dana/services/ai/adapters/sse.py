"""Server-sent events, as far as model servers use them (the WHATWG HTML standard, section 9.2)."""

from collections.abc import AsyncIterable, AsyncIterator

LINE_LIMIT_BYTES = 1_000_000


class OversizedLineError(ValueError):
    """A line without an end."""


async def event_payloads(chunks: AsyncIterable[bytes]) -> AsyncIterator[str]:
    """Yield the payload of each event; comments and other fields are left out."""
    parts: list[str] = []
    async for line in _lines(chunks):
        if not line and parts:
            yield "\n".join(parts)
            parts = []
        elif line.startswith("data:"):
            parts.append(line[5:].removeprefix(" "))
    if parts:
        yield "\n".join(parts)


async def _lines(chunks: AsyncIterable[bytes]) -> AsyncIterator[str]:
    """Split at line ends; a byte of UTF-8 never looks like one."""
    rest = b""
    async for chunk in chunks:
        *lines, rest = (rest + chunk).split(b"\n")
        for line in lines:
            yield line.removesuffix(b"\r").decode("utf-8", "replace")
        if len(rest) > LINE_LIMIT_BYTES:
            raise OversizedLineError
    if rest:
        yield rest.decode("utf-8", "replace")
