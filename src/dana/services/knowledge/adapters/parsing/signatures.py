"""Tell by its first bytes what a file really is."""

from dana.services.knowledge.models.documents import Kind, UnreadableError

PDF = b"%PDF-"
ZIP = b"PK\x03\x04"
OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
PDF_HEADER_WITHIN = 1024  # some programs write a line or two before it

_BINARY = {
    PDF: "a PDF",
    ZIP: "a ZIP archive or an Office document",
    OLE: "an old or encrypted Office document",
    b"\x89PNG": "a PNG image",
    b"\xff\xd8\xff": "a JPEG image",
    b"GIF8": "a GIF image",
    b"\x1f\x8b": "a gzip archive",
    b"\x7fELF": "a program",
    b"MZ": "a program",
    b"7z\xbc\xaf": "a 7z archive",
    b"Rar!": "a RAR archive",
    b"SQLite format 3": "a database",
}


def refuse_mislabelled(kind: Kind, content: bytes) -> None:
    """Raise UnreadableError when a file isn't what its name says."""
    if kind is Kind.PDF:
        if PDF not in content[:PDF_HEADER_WITHIN]:
            raise UnreadableError(f"The file is named .pdf, but it is {_described(content)}.")
    elif kind is Kind.DOCX:
        if content.startswith(OLE):
            raise UnreadableError(
                "The file is encrypted with a password, or it is an old .doc. Remove the password, save it as"
                " .docx, and upload it again."
            )
        if not content.startswith(ZIP):
            raise UnreadableError(f"The file is named .docx, but it is {_described(content)}.")
    else:
        found = next((name for magic, name in _BINARY.items() if content.startswith(magic)), None)
        if found and not (found == "a program" and content[:2] == b"MZ" and b"\0" not in content[:512]):
            raise UnreadableError(f"The file is named as text, but it is {found}.")


def _described(content: bytes) -> str:
    found = next((name for magic, name in _BINARY.items() if content.startswith(magic)), None)
    if found:
        return found
    start = content[:512].lstrip().lower()
    if start.startswith((b"<!doctype html", b"<html")):
        return "an HTML page"
    return "something else" if b"\0" in start else "plain text"
