"""The child process: limits itself, reads a file from standard input, writes its text to standard output."""

import resource
import sys
from collections.abc import Callable
from importlib import import_module

import msgspec

from dana.services.knowledge.adapters.parsing.limits import CPU_SECONDS, MEMORY_BYTES, OPEN_FILES, Outcome
from dana.services.knowledge.adapters.parsing.signatures import refuse_mislabelled
from dana.services.knowledge.models.documents import MAX_CHARACTERS, Kind, UnreadableError
from dana.services.knowledge.models.passages import Block, Parsed

READERS = {
    Kind.MARKDOWN: "markdown",
    Kind.TEXT: "plain",
    Kind.HTML: "html",
    Kind.PDF: "pdf",
    Kind.DOCX: "docx",
    Kind.CSV: "rows",
}


def limit() -> None:
    """Bound what this process may use; the kernel kills it beyond."""
    resource.setrlimit(resource.RLIMIT_CPU, (CPU_SECONDS, CPU_SECONDS))
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    resource.setrlimit(resource.RLIMIT_NOFILE, (OPEN_FILES, OPEN_FILES))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))  # it writes to a pipe only
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def read(kind: Kind, content: bytes) -> Outcome:
    """Read a file; every way it can fail becomes a sentence."""
    try:
        refuse_mislabelled(kind, content)
        module = import_module(f"dana.services.knowledge.adapters.parsing.{READERS[kind]}")
        reader: Callable[[bytes], Parsed] = module.read
        parsed = _clean(reader(content))
    except UnreadableError as error:
        return Outcome(error=str(error))
    except MemoryError:
        return Outcome(is_too_large=True)
    except RecursionError:
        return Outcome(error="The file is nested too deep to be read.")
    return Outcome(parsed=parsed)


def _clean(parsed: Parsed) -> Parsed:
    """Drop what no text may hold, and refuse what is too much or nothing."""
    size = sum(len(block.text) for block in parsed.blocks)
    if size > MAX_CHARACTERS:
        raise UnreadableError(
            f"The file holds {size:,} characters of text; at most {MAX_CHARACTERS:,} can be read. Split it."
        )
    blocks = [
        Block(_printable(block.text).strip(), tuple(_printable(h).strip() for h in block.headings))
        for block in parsed.blocks
    ]
    blocks = [block for block in blocks if block.text]
    if not blocks:
        raise UnreadableError("The file holds no text.")
    return Parsed(blocks, _printable(parsed.title or "") or None, _printable(parsed.summary))


def _printable(text: str) -> str:
    kept = "".join(c for c in text if c.isprintable() or c in "\n\t\u200d\u200c\u00a0\u3000")
    return kept.replace("\u00a0", " ").encode("utf-8", "ignore").decode()


def main() -> None:
    """Run."""
    limit()
    outcome = read(Kind(sys.argv[1]), sys.stdin.buffer.read())
    sys.stdout.buffer.write(msgspec.msgpack.encode(outcome))


if __name__ == "__main__":
    main()
