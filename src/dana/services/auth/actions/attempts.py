"""Throttling: guessing passwords must be slow, and nobody may lock another person out from one address.

Attempts are counted before the password is looked at, so that many at once can't slip through, and taken
back when it was right. A refused attempt counts nowhere: its transaction rolls back.
"""

import hmac
from dataclasses import dataclass

from dana.platform.database import CatalogTx
from dana.platform.errors import Limited
from dana.platform.limits import network_of
from dana.services.auth import store

WINDOW_SECONDS = 900.0
MOST_PER_ADDRESS_AND_EMAIL = 10
MOST_PER_ADDRESS = 100  # an office shares an address
MOST_PER_EMAIL = 100  # NIST SP 800-63B, 5.2.2: at most 100 failures in a row on one account


@dataclass(frozen=True, slots=True)
class Limit:
    """How many attempts one key has within the window."""

    key: bytes
    most: int
    is_cleared_by_success: bool = False


def sign_in_limits(secret: bytes, address: str, email: str) -> list[Limit]:
    """List what a sign-in counts against, the narrowest first."""
    network = network_of(address)
    return [
        Limit(_digest(secret, "both", network, email), MOST_PER_ADDRESS_AND_EMAIL, True),
        Limit(_digest(secret, "address", network), MOST_PER_ADDRESS),
        Limit(_digest(secret, "email", email), MOST_PER_EMAIL),
    ]


def sign_up_limits(secret: bytes, address: str) -> list[Limit]:
    """List what a sign-up counts against: those that fail would tell who is here."""
    return [Limit(_digest(secret, "sign-up", network_of(address)), MOST_PER_ADDRESS)]


async def admit(tx: CatalogTx, limits: list[Limit]) -> None:
    """Count an attempt; raises Limited when there were too many."""
    for limit in limits:
        attempts, seconds_left = await store.access.count_attempt(tx, limit.key, WINDOW_SECONDS)
        if attempts > limit.most:
            raise Limited("Too many attempts. Wait, then try again.", max(1.0, seconds_left))


async def forgive(tx: CatalogTx, limits: list[Limit]) -> None:
    """Take a successful attempt back, and all those before it from the same place for the same person."""
    for limit in limits:
        if limit.is_cleared_by_success:
            await store.access.forget_attempts(tx, limit.key)
        else:
            await store.access.forget_attempt(tx, limit.key)


def _digest(secret: bytes, *parts: str) -> bytes:
    return hmac.digest(secret, "\0".join(parts).encode(errors="surrogatepass"), "sha256")
