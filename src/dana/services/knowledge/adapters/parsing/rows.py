"""CSV: each row is a piece of knowledge; questions and titles become headings."""

import csv
import io

from dana.services.knowledge.adapters.parsing.plain import decode
from dana.services.knowledge.models.documents import UnreadableError
from dana.services.knowledge.models.passages import Block, Parsed

MAX_ROWS = 50_000
SNIFFED = 8_192
_HEADING_COLUMNS = {"question", "title", "subject", "topic", "name", "frage", "titel", "pregunta", "titre"}
_TEXT_COLUMNS = {
    "answer",
    "content",
    "text",
    "body",
    "description",
    "antwort",
    "inhalt",
    "respuesta",
    "réponse",
}


def read(content: bytes) -> Parsed:
    """Read a table with a row of column names."""
    text = decode(content)
    csv.field_size_limit(1_000_000)
    try:
        rows = [row for row in csv.reader(io.StringIO(text), _dialect(text)) if any(map(str.strip, row))]
    except csv.Error:
        raise UnreadableError("The table can't be read; export it again as comma-separated UTF-8.") from None
    if len(rows) > MAX_ROWS:
        raise UnreadableError(
            f"The table has {len(rows):,} rows; at most {MAX_ROWS:,} can be read. Split it."
        )
    if len(rows) < 2:  # noqa: PLR2004 - the names of the columns, and one row
        raise UnreadableError("The table has no rows below its column names.")
    names = [name.strip() for name in rows[0]]
    return Parsed([_block(names, [cell.strip() for cell in row]) for row in rows[1:]])


def _dialect(text: str) -> type[csv.Dialect]:
    try:
        return csv.Sniffer().sniff(text[:SNIFFED], delimiters=",;\t|")
    except csv.Error:
        return csv.excel


def _block(names: list[str], cells: list[str]) -> Block:
    row = [(name, cell) for name, cell in zip(names, cells, strict=False) if cell]
    heading = next((cell for name, cell in row if name.lower() in _HEADING_COLUMNS), None)
    answer = next((cell for name, cell in row if name.lower() in _TEXT_COLUMNS), None)
    if heading and answer:
        others = [f"{name}: {cell}" for name, cell in row if cell not in (heading, answer) and name]
        return Block("\n".join([answer, *others]), (heading,))
    return Block("\n".join(f"{name}: {cell}" if name else cell for name, cell in row))
