"""The settings of an organization's assistant, and the rules a change of them must keep."""

from enum import StrEnum
from urllib.parse import SplitResult, urlsplit

import msgspec

from dana.platform.errors import Invalid

NAME_LIMIT = 60  # it stands above each message
LANGUAGE_LIMIT = 60
TONE_LIMIT = 300
HAND_OVER_LIMIT = 1000
ADDRESS_LIMIT = 500
MODEL_LIMIT = 200
KEY_LIMIT = 1000
SHOWN_OF_KEY = 4  # enough to recognise a key, too little to use it
MASK = "••••"


class ProviderKind(StrEnum):
    """Who finds the words."""

    EXTRACTIVE = "extractive"
    """The embedded assistant: it quotes the knowledge word for word and needs no model."""
    OPENAI = "openai"
    """A model server that speaks OpenAI's protocol."""


class Provider(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A model server, with the key in clear; only ever in memory."""

    kind: ProviderKind = ProviderKind.EXTRACTIVE
    base_url: str = ""
    model: str = ""
    api_key: str = msgspec.field(default="")

    def __repr__(self) -> str:
        """Leave the key out: a representation may end in a log."""
        return f"Provider(kind={self.kind.value!r}, base_url={self.base_url!r}, model={self.model!r})"


class Assistant(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """How an organization's assistant presents itself and when it dares to answer."""

    name: str = "Assistant"
    language: str | None = None
    """Such as `de` or `German`; None means the customer's own."""
    tone: str | None = None
    """In the organization's words, such as "friendly and brief"; only a model server can follow it."""
    threshold: float | None = None
    """Below this confidence it hands over; None means the calibrated default."""
    hand_over_text: str = "I'm handing you over to a person from our team, who will answer here."
    provider: Provider = Provider()


def checked(change: Assistant, *, present: Assistant) -> Assistant:
    """Return the settings to store; raises Invalid.

    A key that comes back masked or not at all stays as it is, unless the server's address changed:
    whoever may change the address must not be able to send the stored key to a server of their own.
    """
    _check_words(change)
    provider = change.provider
    is_kept = not provider.api_key or provider.api_key.startswith(MASK)
    if is_kept and present.provider.api_key:
        if provider.base_url and _origin(provider.base_url) != _origin(present.provider.base_url):
            raise Invalid("The server's address changed: enter its API key again.", field="provider.api_key")
        provider = msgspec.structs.replace(provider, api_key=present.provider.api_key)
    elif is_kept:
        provider = msgspec.structs.replace(provider, api_key="")
    if provider.kind is ProviderKind.OPENAI:
        _check_provider(provider)
    return msgspec.structs.replace(change, provider=provider)


def masked(key: str) -> str:
    """Show enough of a key to recognise it."""
    if not key:
        return ""
    return MASK + (key[-SHOWN_OF_KEY:] if len(key) > 4 * SHOWN_OF_KEY else "")


def _check_words(change: Assistant) -> None:
    limits = {
        "name": (change.name, NAME_LIMIT),
        "tone": (change.tone or "", TONE_LIMIT),
        "hand_over_text": (change.hand_over_text, HAND_OVER_LIMIT),
        "language": (change.language or "", LANGUAGE_LIMIT),
        "provider.base_url": (change.provider.base_url, ADDRESS_LIMIT),
        "provider.model": (change.provider.model, MODEL_LIMIT),
        "provider.api_key": (change.provider.api_key, KEY_LIMIT),
    }
    for field, (text, limit) in limits.items():
        if len(text) > limit:
            raise Invalid(f"{field} is longer than {limit} characters.", field=field)
        if not text.isprintable() and field not in ("hand_over_text", "tone"):
            raise Invalid(f"{field} has characters that can't be shown.", field=field)
        if "\0" in text:
            raise Invalid(f"{field} has a NUL byte.", field=field)
    for field in ("name", "hand_over_text"):
        if not limits[field][0].strip():
            raise Invalid(f"{field} is empty.", field=field)
    if change.threshold is not None and not 0.0 <= change.threshold <= 1.0:
        raise Invalid("threshold must be between 0 and 1.", field="threshold")


def _check_provider(provider: Provider) -> None:
    parts = _split(provider.base_url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise Invalid(
            "Give the server's address, such as https://models.example/v1.", field="provider.base_url"
        )
    if parts.username or parts.password or parts.query or parts.fragment:
        raise Invalid(
            "The address must have no user name, query or fragment; the key has its own field.",
            field="provider.base_url",
        )
    if not provider.model.strip():
        raise Invalid("Name the model.", field="provider.model")
    if not provider.api_key.isascii():
        raise Invalid("The API key has characters that no key has.", field="provider.api_key")


def _origin(url: str) -> tuple[str, str, int | None]:
    parts = _split(url)
    return parts.scheme, parts.hostname or "", parts.port


def _split(url: str) -> SplitResult:
    try:
        parts = urlsplit(url.strip())
        _ = parts.port
    except ValueError:
        raise Invalid("The server's address can't be read.", field="provider.base_url") from None
    return parts
