"""What a file may cost, and what its child process says."""

import msgspec

from dana.services.knowledge.models.passages import Parsed

WALL_SECONDS = 90
CPU_SECONDS = 60
MEMORY_BYTES = 1536 * 1024 * 1024  # address space; libraries alone map some 300 MB
OPEN_FILES = 64
MAX_UNPACKED_BYTES = 200 * 1024 * 1024  # of a DOCX, which is a zip; real ones of 25 MB stay far below
MAX_PAGES = 3_000


class Outcome(msgspec.Struct, frozen=True):
    """What the child writes to its standard output."""

    parsed: Parsed | None = None
    error: str | None = None
    is_too_large: bool = False
