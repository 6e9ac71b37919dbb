"""Markdown and MDX: headings, paragraphs, lists, tables and code, without the marks."""

import html
import re

import msgspec

from dana.services.knowledge.adapters.parsing.plain import decode
from dana.services.knowledge.models.passages import Block, Parsed

_FRONT_MATTER = re.compile(r"\A---\s*\n(.*?)\n---\s*(?:\n|\Z)", re.DOTALL)
_FIELD = re.compile(r"""^(title|sidebarTitle|description)\s*:\s*["']?(.*?)["']?\s*$""", re.MULTILINE)
_HEADING = re.compile(r"^ {0,3}(#{1,6})\s+(.*?)\s*#*\s*$")
_UNDERLINE = re.compile(r"^ {0,3}(=+|-+)\s*$")
_FENCE = re.compile(r"^\s*(```+|~~~+)")
_MODULE = re.compile(r"^(import\s.+from\s+['\"].*|import\s+['\"].*|export\s+(const|default|function)\b.*)$")
_TABLE_RULE = re.compile(r"^\s*\|?[\s:|-]*-[\s:|-]*\|?\s*$")
_COMMENT = re.compile(r"<!--.*?-->|\{/\*.*?\*/\}", re.DOTALL)
# Bounded, so that no line takes quadratic time.
_TITLED_TAG = re.compile(r"""<[A-Z]\w{0,40}\s[^<>]{0,400}?\btitle=["'{]{1,2}([^"'<>}]{1,200})["'}]""")
_TAG = re.compile(r"</?[A-Za-z][\w.:-]*(?:\s[^<>]*)?/?>", re.DOTALL)
_IMAGE = re.compile(r"!\[([^\[\]]{0,500})\]\([^()\s]{0,2000}[^()]{0,200}\)")
_LINK = re.compile(r"\[([^\[\]]{1,500})\](?:\([^()]{0,2000}\)|\[[^\[\]]{0,200}\])")
_AUTOLINK = re.compile(r"<(https?://[^>\s]+|[^>\s@]+@[^>\s]+)>")
_REFERENCE = re.compile(r"^\s{0,3}\[[^\]]+\]:\s+\S+.*$")
_STRONG = re.compile(r"(\*\*|__|~~)(?=\S)(.+?)(?<=\S)\1")
_EMPHASIS = re.compile(r"(?<![\w*])([*_])(?=\S)(.+?)(?<=\S)\1(?![\w*])")
_CODE = re.compile(r"`+([^`]+)`+")
_ENTRY = re.compile(r"^\s*(?:[-*+]|(\d{1,3})[.)])\s+(?:\[[ xX]\]\s+)?")
_QUOTE = re.compile(r"^\s{0,3}(?:>\s?)+")


class _Writer(msgspec.Struct):
    """Collects blocks under the headings that are open."""

    blocks: list[Block] = []
    headings: list[tuple[int, str]] = []
    lines: list[str] = []

    def flush(self) -> None:
        """End the block that is being written."""
        text = "\n".join(self.lines).strip()
        if text:
            self.blocks.append(Block(text, tuple(heading for _, heading in self.headings)))
        self.lines = []

    def open(self, level: int, heading: str) -> None:
        """Begin what stands under a heading."""
        self.flush()
        self.headings = [each for each in self.headings if each[0] < level]
        if heading:
            self.headings.append((level, heading))


def read(content: bytes) -> Parsed:
    """Read Markdown or MDX."""
    return read_text(decode(content))


def read_text(source: str) -> Parsed:
    """Read Markdown from text; also what becomes of an HTML page."""
    fields: dict[str, str] = {}
    front = _FRONT_MATTER.match(source)
    if front:
        fields = {name: html.unescape(value) for name, value in _FIELD.findall(front.group(1))}
        source = source[front.end() :]
    writer = _Writer()
    _read_lines(_COMMENT.sub("", source).splitlines(), writer)
    writer.flush()
    title = fields.get("title") or _only_top_heading(writer.blocks)
    summary = fields.get("description", "")
    if not writer.blocks and summary:
        return Parsed([Block(summary)], title)
    return Parsed(writer.blocks, title, summary)


def _read_lines(lines: list[str], writer: _Writer) -> None:
    fence = ""
    for at, line in enumerate(lines):
        mark = _FENCE.match(line)
        if fence:
            if mark and mark.group(1).startswith(fence):
                fence = ""
            else:
                writer.lines.append(line.rstrip())
        elif mark:
            fence = mark.group(1)
        else:
            _read_line(
                line, lines[at - 1] if at else "", lines[at + 1] if at + 1 < len(lines) else "", writer
            )


def _read_line(line: str, before: str, after: str, writer: _Writer) -> None:
    if heading := _HEADING.match(line):
        writer.open(len(heading.group(1)), inline(heading.group(2)))
    elif _is_underlined(line, after):
        writer.open(1 if after.strip().startswith("=") else 2, inline(line))
    elif not line.strip():
        writer.flush()
    elif (
        _MODULE.match(line)
        or _REFERENCE.match(line)
        or _TABLE_RULE.match(line)
        or (_UNDERLINE.match(line) and _is_underlined(before, line))
    ):
        return
    else:
        _read_words(line, writer)


def _read_words(line: str, writer: _Writer) -> None:
    entry = _ENTRY.match(line)
    line = _QUOTE.sub("", line)
    titled = _TITLED_TAG.search(line)
    if titled and not _TAG.sub("", line).strip():
        line = f"{titled.group(1)}:"
    text = inline(_ENTRY.sub("", line))
    if not text or not text.strip("|-: "):
        return
    if entry:
        writer.lines.append(f"{entry.group(1)}. {text}" if entry.group(1) else f"- {text}")
    elif "|" in text and line.strip().startswith("|"):
        writer.lines.append(" | ".join(cell.strip() for cell in text.strip("| ").split("|")))
    elif writer.lines and not writer.lines[-1].endswith(("  ", "\\")) and " | " not in writer.lines[-1]:
        writer.lines[-1] = f"{writer.lines[-1]} {text}"
    else:
        writer.lines.append(text)


def inline(text: str) -> str:
    """Take the marks out of a line."""
    text = _IMAGE.sub(r"\1", text)
    text = _LINK.sub(r"\1", text)
    text = _AUTOLINK.sub(r"\1", text)
    text = _TAG.sub("", text)
    kept: list[str] = []

    def keep(code: re.Match[str]) -> str:
        kept.append(code.group(1))
        return f"\x00{len(kept) - 1}\x00"

    text = _CODE.sub(keep, text)
    text = _EMPHASIS.sub(r"\2", _STRONG.sub(r"\2", _STRONG.sub(r"\2", text)))
    text = re.sub(r"\\([\\`*_{}\[\]()#+.!|<>~-])", r"\1", html.unescape(text))
    return re.sub(r"\x00(\d+)\x00", lambda at: kept[int(at.group(1))], text).strip()


def _is_underlined(line: str, after: str) -> bool:
    is_text = bool(line.strip()) and not _ENTRY.match(line) and "|" not in line and not line.startswith("#")
    return is_text and bool(_UNDERLINE.match(after)) and len(after.strip()) >= 3  # noqa: PLR2004 - "-" is a list


def _only_top_heading(blocks: list[Block]) -> str | None:
    """Take the heading under which everything stands as the title."""
    tops = {block.headings[0] if block.headings else "" for block in blocks}
    return tops.pop() or None if len(tops) == 1 else None
