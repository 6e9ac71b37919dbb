"""What a customer's message is, as far as that can be told without the knowledge and without a model."""

import re
import unicodedata
from enum import Enum, auto

from dana.services.ai.models.wording import (
    CONSENT,
    DEFAULT_LANGUAGE,
    EMPTY,
    FILLERS,
    GREETING_PHRASES,
    GREETINGS,
    TELLING,
    THANKS,
    UNWANTED,
    WANTS_PERSON,
)

CANDIDATES = 3  # each asks the knowledge once
LONG_MESSAGE = 12  # words; a longer message tells a story around its question

_WORD = re.compile(r"[^\W_]+(?:['’][^\W_]+)*")  # noqa: RUF001 - the apostrophe that telephones write
_WISH = re.compile(
    r"\?\s*$|\b(?:would like|'d like|want|need|wish|trying to|looking for|can't|cannot|how|möchte|quiero)\b",
    re.IGNORECASE,
)
_WANTS_PERSON = [re.compile(pattern, re.IGNORECASE) for pattern in WANTS_PERSON]
_UNWANTED = re.compile(UNWANTED, re.IGNORECASE)
_GREETING = re.compile(
    r"^\W*(?:(?:"
    + "|".join([*GREETING_PHRASES, *sorted(GREETINGS)])
    + r")\b(?:\s+(?:there|all|team|everyone))?[\W_]+)+",
    re.IGNORECASE,
)


class Intent(Enum):
    """What a message asks for."""

    GREETING = auto()
    THANKS = auto()
    PERSON = auto()
    """A person, by an explicit wish."""
    NOTHING = auto()
    """Nothing that could be looked up, such as "help" or "???"."""
    QUESTION = auto()


def intent_of(message: str) -> Intent:
    """Tell what a message is; in doubt a question."""
    text = unicodedata.normalize("NFKC", message).replace("’", "'").strip()  # noqa: RUF001
    if wants_person(text):
        return Intent.PERSON
    words = [word.lower() for word in _WORD.findall(text)]
    if _greets(text.lower(), words):
        return Intent.GREETING
    if _thanks(words):
        return Intent.THANKS
    return Intent.QUESTION if topic_words(text) else Intent.NOTHING


def wants_person(text: str) -> bool:
    """Tell whether the customer asks for a person instead of the assistant."""
    for pattern in _WANTS_PERSON:
        found = pattern.search(text)
        if found and not _UNWANTED.search(text[: found.start()]):
            return True
    return False


def topic_words(text: str) -> list[str]:
    """Return the words of a message that name a topic."""
    return [word for word in _WORD.findall(text.lower().replace("’", "'")) if word not in EMPTY]  # noqa: RUF001


def candidates(message: str) -> list[str]:
    """Return the questions to look up, the whole message first.

    A greeting in front is cut off, and the sentences of a long message that ask or wish for something stand
    by themselves too, because the story around them would draw the search away.
    """
    whole = _GREETING.sub("", message).strip() or message.strip()
    found = [whole]
    if len(whole.split()) > LONG_MESSAGE:
        sentences = re.split(r"(?<=[.!?])\s+|\n+", whole)
        asking = [s.strip() for s in sentences if _WISH.search(s) and topic_words(s)]
        found += [sentence for sentence in asking[::-1] if sentence != whole]
    return found[:CANDIDATES]


def language_of(message: str) -> str:
    """Guess the language of a message among those the assistant has sentences in."""
    words = set(_WORD.findall(message.lower()))
    votes = {language: len(words & telling) for language, telling in TELLING.items()}
    best = max(votes, key=lambda language: votes[language])
    return best if votes[best] > votes[DEFAULT_LANGUAGE] else DEFAULT_LANGUAGE


def _greets(text: str, words: list[str]) -> bool:
    if not words:
        return False
    rest = text
    for phrase in GREETING_PHRASES:
        rest = rest.replace(phrase, " hello ")
    remaining = _WORD.findall(rest)
    return any(word in GREETINGS for word in remaining) and all(
        word in GREETINGS or word in FILLERS for word in remaining
    )


def _thanks(words: list[str]) -> bool:
    polite = THANKS | CONSENT
    return any(word in polite for word in words) and all(
        word in polite or word in FILLERS or word in GREETINGS for word in words
    )
