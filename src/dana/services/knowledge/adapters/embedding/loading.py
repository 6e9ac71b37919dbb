"""Load the model if it is there; without it Dana searches by words only."""

import os
from typing import TYPE_CHECKING

import structlog

if TYPE_CHECKING:
    from dana.services.knowledge.adapters.embedding.meaning import Meaning

log = structlog.get_logger(__name__)


def load_meaning() -> "Meaning | None":
    """Return the model at work, or None where the extra `embeddings` or its model isn't installed."""
    # A search is one small product; threads that spin for it only take the processor from others.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    try:
        from dana.services.knowledge.adapters.embedding.meaning import Meaning  # noqa: PLC0415 - an extra
        from dana.services.knowledge.adapters.embedding.model import MiniLM, model_folder  # noqa: PLC0415

        return Meaning(MiniLM(model_folder()))
    except Exception as error:  # noqa: BLE001 - ONNX Runtime's own exceptions share no base of their own
        log.warning("no_embeddings", reason=str(error), effect="search goes by words only")
        return None
