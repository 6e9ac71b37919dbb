"""Service tokens: how a process proves to another that it belongs to the same installation.

`payload.mac`: who asks, whom, and until when, sealed by HMAC-SHA256 under a key that only processes with this
installation's secrets can derive. The mac is checked, in constant time, before anything is parsed.
"""

import base64
import hmac
import time
from collections.abc import Callable

import msgspec

from dana.platform.errors import Unauthenticated
from dana.platform.secrets import Secrets

LIFE_SECONDS = 15  # made anew for each question
CLOCK_LEEWAY_SECONDS = 5  # machines' clocks differ
LONGEST_TOKEN = 512


class _Payload(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    by: str
    to: str
    until: int


class ServiceTokens:
    """Makes and verifies tokens of one installation."""

    def __init__(self, secrets: Secrets, clock: Callable[[], float] = time.time) -> None:
        self._key = secrets.derive("service tokens")
        self._clock = clock

    def make(self, by: str, to: str) -> str:
        """Make a token with which one service may ask another, for some seconds."""
        payload = msgspec.json.encode(_Payload(by, to, int(self._clock()) + LIFE_SECONDS))
        return f"{_text(payload)}.{_text(self._mac(payload))}"

    def verify(self, token: str, to: str) -> str:
        """Return who asks `to`; raises Unauthenticated."""
        payload = self._sealed(token)
        if payload is None:
            raise Unauthenticated("This is for services of this installation only.")
        claim = msgspec.json.decode(payload, type=_Payload)
        if claim.to != to or claim.until + CLOCK_LEEWAY_SECONDS < self._clock():
            raise Unauthenticated("The service token is for another service, or has expired.")
        return claim.by

    def _sealed(self, token: str) -> bytes | None:
        """Return the payload of a token if its mac is ours."""
        body, _, mac = token.partition(".")
        if len(token) > LONGEST_TOKEN:
            return None
        try:
            payload, claimed = _bytes(body), _bytes(mac)
        except ValueError:
            return None
        return payload if hmac.compare_digest(self._mac(payload), claimed) else None

    def _mac(self, payload: bytes) -> bytes:
        return hmac.digest(self._key, payload, "sha256")


def _text(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).decode().rstrip("=")


def _bytes(text: str) -> bytes:
    return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
