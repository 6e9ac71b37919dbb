"""A document and its states.

queued ──► parsing ──► indexing ──► searchable
              └───────────┴──► failed ──(retry)──► queued
"""

from enum import StrEnum
from pathlib import PurePath

from dana.contracts.views import DocumentStatus

MAX_FILE_BYTES = 25 * 1024 * 1024
MAX_CHARACTERS = 2_000_000  # about 700 dense pages; more belongs into several documents
MAX_TITLE_CHARACTERS = 200
MAX_FILENAME_CHARACTERS = 255


class Kind(StrEnum):
    """What can be read."""

    MARKDOWN = "markdown"
    TEXT = "text"
    HTML = "html"
    PDF = "pdf"
    DOCX = "docx"
    CSV = "csv"


KINDS = {
    ".md": Kind.MARKDOWN,
    ".markdown": Kind.MARKDOWN,
    ".mdx": Kind.MARKDOWN,
    ".txt": Kind.TEXT,
    ".text": Kind.TEXT,
    ".html": Kind.HTML,
    ".htm": Kind.HTML,
    ".pdf": Kind.PDF,
    ".docx": Kind.DOCX,
    ".csv": Kind.CSV,
}

MEDIA_TYPES = {
    Kind.MARKDOWN: "text/markdown",
    Kind.TEXT: "text/plain",
    Kind.HTML: "text/html",
    Kind.PDF: "application/pdf",
    Kind.DOCX: "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
    Kind.CSV: "text/csv",
}

STEPS: dict[DocumentStatus, frozenset[DocumentStatus]] = {
    DocumentStatus.QUEUED: frozenset({DocumentStatus.PARSING, DocumentStatus.FAILED}),
    DocumentStatus.PARSING: frozenset(
        {
            DocumentStatus.PARSING,
            DocumentStatus.INDEXING,
            DocumentStatus.SEARCHABLE,  # a second worker began again, but the first had not died: it wins
            DocumentStatus.FAILED,
        }
    ),
    DocumentStatus.INDEXING: frozenset(
        {
            DocumentStatus.PARSING,  # the worker died; another begins again
            DocumentStatus.INDEXING,
            DocumentStatus.SEARCHABLE,
            DocumentStatus.FAILED,
        }
    ),
    DocumentStatus.SEARCHABLE: frozenset(),
    DocumentStatus.FAILED: frozenset({DocumentStatus.QUEUED}),
}


class UnreadableError(Exception):
    """A file that can't become knowledge; the message tells its owner why and what to do."""


def may_become(now: DocumentStatus, then: DocumentStatus) -> bool:
    """Tell whether a document in one state may enter another."""
    return then in STEPS[now]


def kind_of(filename: str) -> Kind | None:
    """Tell by its name what a file is; None when it can't be read."""
    return KINDS.get(PurePath(filename).suffix.lower())


def title_of(filename: str) -> str:
    """Make a title of a file's name: `return_policy.md` is "Return policy"."""
    words = PurePath(filename).stem.replace("_", " ").replace("-", " ").split()
    title = " ".join(words) or filename
    return title[:1].upper() + title[1:MAX_TITLE_CHARACTERS]


def clean_filename(filename: str) -> str:
    """Keep only the name, without folders and control characters."""
    name = PurePath(filename.replace("\\", "/")).name
    return "".join(c for c in name if c.isprintable()).strip()[-MAX_FILENAME_CHARACTERS:]
