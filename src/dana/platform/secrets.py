"""Secrets: one root key and two signing keys in a folder only its owner can read.

Everything else is derived from the root (HKDF, RFC 5869), so a new database role or a new sealed
column needs no new secret.
"""

import base64
import os
import secrets
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from dana.platform.errors import Unavailable

ROOT_BYTES = 32
NONCE_BYTES = 12


@dataclass(frozen=True, slots=True)
class Secrets:
    """The root key, and the two keys that sign tokens of members and of visitors."""

    root: bytes = field(repr=False)  # a representation may end in a log
    member_key: ec.EllipticCurvePrivateKey
    visitor_key: ec.EllipticCurvePrivateKey

    @classmethod
    def load(cls, folder: Path) -> "Secrets":
        """Read the secrets, making those that don't exist yet; files are 0600, the folder 0700."""
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        return cls(
            root=_read_or_make(folder / "root.key", lambda: os.urandom(ROOT_BYTES)),
            member_key=_signing_key(folder / "member.pem"),
            visitor_key=_signing_key(folder / "visitor.pem"),
        )

    def derive(self, purpose: str) -> bytes:
        """Derive 32 bytes for one purpose."""
        return HKDF(algorithm=hashes.SHA256(), length=32, salt=None, info=purpose.encode()).derive(self.root)

    def password(self, role: str) -> str:
        """Derive the password of a database role."""
        return base64.urlsafe_b64encode(self.derive(f"database role {role}")).decode().rstrip("=")

    def seal(self, purpose: str, secret: str) -> bytes:
        """Encrypt a secret for storage (AES-256-GCM, random nonce in front)."""
        nonce = os.urandom(NONCE_BYTES)
        return nonce + AESGCM(self.derive(purpose)).encrypt(nonce, secret.encode(), purpose.encode())

    def open(self, purpose: str, sealed: bytes) -> str:
        """Decrypt what `seal` made; raises Unavailable when the root key is another one."""
        try:
            plain = AESGCM(self.derive(purpose)).decrypt(
                sealed[:NONCE_BYTES], sealed[NONCE_BYTES:], purpose.encode()
            )
        except InvalidTag:
            raise Unavailable("A stored secret can't be read with this installation's key.") from None
        return plain.decode()


def _read_or_make(path: Path, make: Callable[[], bytes]) -> bytes:
    """Read a secret, or make it; of several processes that start at once, one makes it for all."""
    with suppress(FileNotFoundError):
        return path.read_bytes()
    own = path.with_name(f"{path.name}.{os.getpid()}.{secrets.token_hex(4)}")
    descriptor = os.open(own, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(make())
        with suppress(FileExistsError):
            os.link(own, path)  # whole or not at all
    finally:
        own.unlink()
    return path.read_bytes()


def _signing_key(path: Path) -> ec.EllipticCurvePrivateKey:
    pem = _read_or_make(path, _new_signing_key)
    key = serialization.load_pem_private_key(pem, password=None)
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise TypeError(f"{path} does not hold an elliptic-curve key.")
    return key


def _new_signing_key() -> bytes:
    return ec.generate_private_key(ec.SECP256R1()).private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
