"""What may be written: texts, names, addresses and keys."""

from uuid import UUID

from dana.platform.errors import Invalid

MAX_TEXT_CHARACTERS = 10_000
MAX_GREETING_CHARACTERS = 1_000
MAX_NAME_CHARACTERS = 200
MAX_EMAIL_CHARACTERS = 254  # RFC 5321, section 4.5.3.1
MAX_KEY_CHARACTERS = 255


def checked_text(text: str) -> str:
    """Return the text of a message if it may be sent; raises Invalid."""
    if not text.strip():
        raise Invalid("The message is empty.")
    if len(text) > MAX_TEXT_CHARACTERS:
        raise Invalid(
            f"The message has {len(text):,} characters; at most {MAX_TEXT_CHARACTERS:,} can be sent."
        )
    return without_nul(text, "The message")


def without_nul(text: str, what: str) -> str:
    """Return the text; raises Invalid where it holds what can't be stored."""
    if "\x00" in text:
        raise Invalid(f"{what} contains a NUL character, which can't be stored.")
    return text


def checked_name(name: str, what: str) -> str:
    """Return a name without surrounding space; raises Invalid."""
    name = without_nul(name, what).strip()
    if not name:
        raise Invalid(f"{what} is empty.")
    if len(name) > MAX_NAME_CHARACTERS:
        raise Invalid(f"{what} is too long; at most {MAX_NAME_CHARACTERS} characters.")
    return name


def checked_email(email: str) -> str:
    """Return an address that may belong to somebody; raises Invalid. Only a mail sent would prove it."""
    email = without_nul(email, "The e-mail address").strip()
    before, at, after = email.partition("@")
    if not (before and at and after) or any(c.isspace() for c in email) or "@" in after:
        raise Invalid("This is not an e-mail address.")
    if len(email) > MAX_EMAIL_CHARACTERS:
        raise Invalid(f"The e-mail address is too long; at most {MAX_EMAIL_CHARACTERS} characters.")
    return email


def checked_key(key: str | None) -> str | None:
    """Return an idempotency key that can be stored; raises Invalid."""
    if key is None or not key.strip():
        return None
    if len(key) > MAX_KEY_CHARACTERS or not key.isprintable():
        raise Invalid(f"The Idempotency-Key must be at most {MAX_KEY_CHARACTERS} printable characters.")
    return key


def checked_start_key(key: str | None) -> str | None:
    """Return the key of a start; it leads back to the conversation, so it must be hard to guess."""
    key = checked_key(key)
    if key is None:
        return None
    try:
        return str(UUID(key))
    except ValueError:
        raise Invalid("To start a conversation, the Idempotency-Key must be a random UUID.") from None


def visitor_name(contact_id: UUID) -> str:
    """Name a customer who gave no name, so that agents can tell two of them apart."""
    return f"Visitor {contact_id.hex[-4:].upper()}"


def checked_greeting(greeting: str) -> str:
    """Return a greeting, which may be empty; raises Invalid."""
    greeting = without_nul(greeting, "The greeting").strip()
    if len(greeting) > MAX_GREETING_CHARACTERS:
        raise Invalid(f"The greeting is too long; at most {MAX_GREETING_CHARACTERS} characters.")
    return greeting
