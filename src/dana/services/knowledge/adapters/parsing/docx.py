"""DOCX: paragraphs and tables in reading order under their headings, without hidden text."""

import io
import re
import zipfile

import docx
from docx.document import Document
from docx.oxml.ns import qn
from docx.table import Table
from docx.text.paragraph import Paragraph

from dana.services.knowledge.adapters.parsing.limits import MAX_UNPACKED_BYTES
from dana.services.knowledge.models.documents import UnreadableError
from dana.services.knowledge.models.passages import Block, Parsed

DAMAGED = "The file is named .docx, but it is not a Word document, or it is damaged. Save it again."
BOMB = (
    f"The file unpacks to more than {MAX_UNPACKED_BYTES // 2**20} MB, which no real document does;"
    " it was not opened."
)
LARGE_BYTES = 50 * 1024 * 1024  # as XML, this takes a gigabyte to hold
LEAST_HALF_POINTS = 4  # smaller letters can't be read by people


def read(content: bytes) -> Parsed:
    """Read a Word document."""
    unpacked = _unpacked_bytes(content)
    try:
        document = docx.Document(io.BytesIO(content))
    except MemoryError:
        raise
    except Exception:  # noqa: BLE001 - the library raises whatever its own parts raise
        if unpacked > LARGE_BYTES:
            raise MemoryError from None  # the XML parser doesn't say why it gave up; it is this
        raise UnreadableError(DAMAGED) from None
    title = (document.core_properties.title or "").strip()
    return Parsed(_blocks(document), title or None)


def _unpacked_bytes(content: bytes) -> int:
    """Count what really comes out, and refuse bombs; the sizes an archive states may lie."""
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            if "[Content_Types].xml" not in archive.namelist():
                raise UnreadableError(DAMAGED)
            left = MAX_UNPACKED_BYTES
            for entry in archive.infolist():
                if entry.flag_bits & 1:
                    raise UnreadableError(
                        "The file is encrypted with a password. Remove it, and upload it again."
                    )
                left = _count(archive, entry, left)
            return MAX_UNPACKED_BYTES - left
    except (zipfile.BadZipFile, NotImplementedError, EOFError, OSError):
        raise UnreadableError(DAMAGED) from None


def _count(archive: zipfile.ZipFile, entry: zipfile.ZipInfo, left: int) -> int:
    if entry.file_size > left:
        raise UnreadableError(BOMB)
    with archive.open(entry) as stream:
        while piece := stream.read(1 << 20):
            left -= len(piece)
            if left < 0:
                raise UnreadableError(BOMB)
    return left


def _blocks(document: Document) -> list[Block]:
    blocks: list[Block] = []
    headings: list[tuple[int, str]] = []
    for item in document.iter_inner_content():
        texts = _rows(item) if isinstance(item, Table) else [_visible(item)]
        level = _level(item) if isinstance(item, Paragraph) else 0
        if level and texts[0]:
            headings = [*(each for each in headings if each[0] < level), (level, texts[0])]
            continue
        under = tuple(heading for _, heading in headings)
        blocks.extend(Block(text, under) for text in texts if text)
    return blocks


def _level(paragraph: Paragraph) -> int:
    name = (paragraph.style.name if paragraph.style else "") or ""
    if name == "Title":
        return 1
    match = re.fullmatch(r"[Hh]eading (\d)", name)
    return int(match.group(1)) if match else 0


def _rows(table: Table) -> list[str]:
    rows: list[str] = []
    for row in table.rows:
        cells: list[str] = []
        for cell in row.cells:
            text = " ".join(filter(None, (_visible(paragraph) for paragraph in cell.paragraphs)))
            if text and text not in cells[-1:]:  # merged cells repeat
                cells.append(text)
        rows.append(" | ".join(cells))
    return ["\n".join(filter(None, rows))]


def _visible(paragraph: Paragraph) -> str:
    parts: list[str] = []
    for run in paragraph._p.iter(qn("w:r")):  # noqa: SLF001 - the only way to also see runs within links
        if _is_hidden(run):
            continue
        for node in run:
            if node.tag == qn("w:t"):
                parts.append(node.text or "")
            elif node.tag in (qn("w:tab"), qn("w:br"), qn("w:cr")):
                parts.append(" ")
    text = re.sub(r"\s+", " ", "".join(parts)).strip()
    is_entry = paragraph._p.find(f"{qn('w:pPr')}/{qn('w:numPr')}") is not None  # noqa: SLF001 - the same
    return f"- {text}" if is_entry and text and not _level(paragraph) else text


def _is_hidden(run: object) -> bool:
    properties = run.find(qn("w:rPr"))  # type: ignore[attr-defined]
    if properties is None:
        return False
    vanish = properties.find(qn("w:vanish"))
    colour = properties.find(qn("w:color"))
    size = properties.find(qn("w:sz"))
    is_on_ground = properties.find(qn("w:shd")) is not None or properties.find(qn("w:highlight")) is not None
    is_white = colour is not None and (colour.get(qn("w:val")) or "").upper() == "FFFFFF" and not is_on_ground
    is_tiny = size is not None and (size.get(qn("w:val")) or "99").isdigit()
    is_tiny = is_tiny and int(size.get(qn("w:val"))) < LEAST_HALF_POINTS
    return (vanish is not None and vanish.get(qn("w:val")) not in ("0", "false")) or is_white or is_tiny
