"""Run the built graph: texts to vectors, on one thread per call, so that a search never waits for a batch."""

import os
import sys
from pathlib import Path

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from dana.services.knowledge.models.wordpiece import WordPiece

GRAPH = "minilm-l6-v2-int8.onnx"
VOCABULARY = "minilm-l6-v2-vocab.txt"
WIDTH = 384
LONGEST = 256  # what the model was trained on
BATCH_TOKENS = 1024  # texts times the longest of them, so that a batch never takes much memory

Vectors = NDArray[np.float32]


def model_folder() -> Path:
    """Where the model belongs: to the installation, not to the data."""
    return Path(os.environ.get("DANA_MODELS", str(Path(sys.prefix) / "share" / "dana" / "models")))


class MiniLM:
    """The embedding model, loaded."""

    def __init__(self, folder: Path) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        options.inter_op_num_threads = 1
        options.log_severity_level = 3
        self._session = onnxruntime.InferenceSession(
            str(folder / GRAPH), options, providers=["CPUExecutionProvider"]
        )
        self.pieces = WordPiece((folder / VOCABULARY).read_text(encoding="utf-8").splitlines())

    def embed(self, texts: list[str]) -> Vectors:
        """Return one vector of length 1 for each text."""
        vectors = np.zeros((len(texts), WIDTH), dtype=np.float32)
        encoded = [self.pieces.encode(text, LONGEST) for text in texts]
        for batch in _batches(encoded):
            tokens, mask = self._run([encoded[i] for i in batch])
            weight = mask[:, :, None].astype(np.float32)
            vectors[batch] = _unit((tokens * weight).sum(axis=1) / weight.sum(axis=1))
        return vectors

    def embed_tokens(self, texts: list[str]) -> tuple[list[list[int]], list[Vectors], Vectors]:
        """Return for each text its token numbers, one vector of length 1 per token, and its own vector."""
        encoded = [self.pieces.encode(text, LONGEST) for text in texts]
        each: list[Vectors] = [np.zeros((0, WIDTH), dtype=np.float32)] * len(texts)
        whole = np.zeros((len(texts), WIDTH), dtype=np.float32)
        for batch in _batches(encoded):
            tokens, _ = self._run([encoded[i] for i in batch])
            for row, i in enumerate(batch):
                own = tokens[row, : len(encoded[i])]
                each[i] = _unit(own)
                whole[i] = _unit(own.mean(axis=0, keepdims=True))[0]
        return encoded, each, whole

    def _run(self, encoded: list[list[int]]) -> tuple[Vectors, NDArray[np.int32]]:
        longest = max(len(numbers) for numbers in encoded)
        ids = np.zeros((len(encoded), longest), dtype=np.int32)
        mask = np.zeros_like(ids)
        for row, numbers in enumerate(encoded):
            ids[row, : len(numbers)] = numbers
            mask[row, : len(numbers)] = 1
        tokens: Vectors = self._session.run(["tokens"], {"ids": ids, "mask": mask})[0]
        return tokens, mask


def _batches(encoded: list[list[int]]) -> list[list[int]]:
    """Put texts of similar length together, so that little is wasted on padding."""
    batches: list[list[int]] = []
    for i in sorted(range(len(encoded)), key=lambda i: len(encoded[i])):
        if not batches or (len(batches[-1]) + 1) * len(encoded[i]) > BATCH_TOKENS:
            batches.append([])
        batches[-1].append(i)
    return batches


def _unit(vectors: Vectors) -> Vectors:
    lengths = np.linalg.norm(vectors, axis=-1, keepdims=True)
    unit: Vectors = vectors / np.maximum(lengths, 1e-9)
    return unit
