"""Plain text: paragraphs between empty lines."""

import re

from dana.services.knowledge.models.documents import UnreadableError
from dana.services.knowledge.models.passages import Block, Parsed

MOST_CONTROL_SHARE = 0.02  # of the characters; more is no text
_MARKS = ((b"\xef\xbb\xbf", "utf-8-sig"), (b"\xff\xfe", "utf-16"), (b"\xfe\xff", "utf-16"))
_EMPTY_LINES = re.compile(r"\n[ \t]*\n+")
_CONTROL = re.compile(r"[\x00-\x08\x0e-\x1f\x7f]")


def read(content: bytes) -> Parsed:
    """Read plain text."""
    paragraphs = _EMPTY_LINES.split(decode(content))
    return Parsed([Block(unwrapped(paragraph)) for paragraph in paragraphs])


def decode(content: bytes) -> str:
    """Turn bytes into text, whatever usual encoding they have; raises UnreadableError for what is no text."""
    encoding = next((name for mark, name in _MARKS if content.startswith(mark)), "utf-8")
    try:
        text = content.decode(encoding)
    except UnicodeDecodeError:
        text = content.decode("cp1252", errors="replace")
    if len(_CONTROL.findall(text)) > MOST_CONTROL_SHARE * len(text):
        raise UnreadableError("The file is named as text, but it is a binary file.")
    return text.replace("\r\n", "\n").replace("\r", "\n")


def unwrapped(paragraph: str) -> str:
    """Join lines that were broken at a fixed width; short lines and lists stay as they are."""
    lines = [line.strip() for line in paragraph.strip().splitlines()]
    joined: list[str] = []
    for line in lines:
        if joined and _continues(joined[-1], line, lines):
            joined[-1] = f"{joined[-1]} {line}"
        else:
            joined.append(line)
    return "\n".join(joined)


def _continues(before: str, line: str, lines: list[str]) -> bool:
    longest = max(map(len, lines))
    is_entry = bool(re.match(r"[-*•–·]\s|\(?\d{1,3}[.)]\s", line))
    last_line = before[-longest:]
    return not is_entry and longest > 40 and len(last_line) >= 0.7 * longest and not before.endswith(":")  # noqa: PLR2004
