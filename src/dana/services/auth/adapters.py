"""What auth needs from cryptography: password hashing that can't starve the process, and bearer tokens."""

import asyncio
import base64
import binascii
import hmac
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from uuid import UUID

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from dana.platform.errors import Unavailable
from dana.platform.network import forbid_network_in_tx

HASHES_AT_ONCE = 2  # each takes a core and 19 MiB; more at once only make all of them slower
HASHES_WAITING = 200  # about three seconds of work; whoever comes later is told to come back
BUSY_SECONDS = 3.0
# OWASP's recommendation for argon2id with parallelism 1.
ARGON2 = PasswordHasher(time_cost=2, memory_cost=19_456, parallelism=1)

SEED_BYTES = 32
PROOF_BYTES = 24
GENERATION_BYTES = 4
TOKEN_BYTES = 16 + GENERATION_BYTES + PROOF_BYTES
TOKEN_CHARACTERS = 4 * ((TOKEN_BYTES + 2) // 3)


class Passwords:
    """Hashes and verifies passwords in a few threads. Never call it while a transaction is open."""

    def __init__(self, most_waiting: int = HASHES_WAITING) -> None:
        self._threads = ThreadPoolExecutor(HASHES_AT_ONCE, thread_name_prefix="argon2")
        self._most_waiting = most_waiting
        self._waiting = 0
        self._nobody = ARGON2.hash(os.urandom(16).hex())

    def close(self) -> None:
        """Let the threads end."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def hash(self, password: str) -> str:
        """Hash a password; raises Unavailable when too many are waiting."""
        return str(await self._run(ARGON2.hash, password))

    async def verify(self, password_hash: str | None, password: str) -> bool:
        """Tell whether it is the password. Without a hash it takes just as long, and it never is."""
        is_right = await self._run(_verify, password_hash or self._nobody, password)
        return bool(is_right) and password_hash is not None

    async def renewed(self, password_hash: str, password: str) -> str | None:
        """Hash a right password anew if its hash was made with other parameters than today's."""
        return await self.hash(password) if ARGON2.check_needs_rehash(password_hash) else None

    async def _run(self, work: Callable[..., str | bool], *arguments: str) -> str | bool:
        forbid_network_in_tx()
        if self._waiting >= self._most_waiting:
            raise Unavailable("Too many people are signing in at this moment.", BUSY_SECONDS)
        self._waiting += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._threads, work, *arguments)
        finally:
            self._waiting -= 1


@dataclass(frozen=True, slots=True)
class TokenClaim:
    """What a token says about itself; true only if the proof fits."""

    id: UUID
    generation: int
    proof: bytes


class TokenKey:
    """Makes bearer tokens from the installation's key and a random seed stored in the row they belong to.

    A copy of the database can't make one without the key, nor the key without the database; and the
    same token can be computed again, for an answer that got lost.
    """

    def __init__(self, key: bytes) -> None:
        self._key = key

    def make(self, row_id: UUID, generation: int, seed: bytes) -> str:
        """Compute the token of one generation of a row."""
        head = row_id.bytes + generation.to_bytes(GENERATION_BYTES, "big")
        return _spell(head + self._prove(head, seed))

    def read(self, token: str) -> TokenClaim | None:
        """Take a token apart; None when it is not one."""
        if len(token) > TOKEN_CHARACTERS or not token.isascii():
            return None
        try:
            raw = base64.b64decode(token + "=" * (-len(token) % 4), altchars=b"-_", validate=True)
        except (binascii.Error, ValueError):
            return None
        if len(raw) != TOKEN_BYTES or token != _spell(raw):
            return None
        generation = int.from_bytes(raw[16 : 16 + GENERATION_BYTES], "big")
        return TokenClaim(UUID(bytes=raw[:16]), generation, raw[16 + GENERATION_BYTES :])

    def proves(self, claim: TokenClaim, seed: bytes) -> bool:
        """Tell whether this key made the token for the row with this seed."""
        head = claim.id.bytes + claim.generation.to_bytes(GENERATION_BYTES, "big")
        return hmac.compare_digest(claim.proof, self._prove(head, seed))

    def _prove(self, head: bytes, seed: bytes) -> bytes:
        return hmac.digest(self._key, head + seed, "sha256")[:PROOF_BYTES]


def new_seed() -> bytes:
    """Make the random part of a row that tokens are computed from."""
    return os.urandom(SEED_BYTES)


def _spell(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


def _verify(password_hash: str, password: str) -> bool:
    try:
        return ARGON2.verify(password_hash, password)
    except (VerificationError, InvalidHashError):
        return False
