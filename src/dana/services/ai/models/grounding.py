"""Whether an answer stands on its sources: every number, name and address in it must be found there.

Likeness of meaning can't tell this: a copy with "not" in it is still 94 % alike. Facts can be compared.
"""

import re
from dataclasses import dataclass

NUMBER_WORDS = {
    "two": "2", "three": "3", "four": "4", "five": "5", "six": "6", "seven": "7", "eight": "8", "nine": "9",
    "ten": "10", "eleven": "11", "twelve": "12", "fourteen": "14", "fifteen": "15", "twenty": "20",
    "thirty": "30", "forty": "40", "fifty": "50", "sixty": "60", "ninety": "90", "hundred": "100",
    "zwei": "2", "drei": "3", "vier": "4", "fünf": "5", "sechs": "6", "sieben": "7", "acht": "8", "neun": "9",
    "zehn": "10", "zwölf": "12", "vierzehn": "14", "dreißig": "30",
}  # fmt: skip
_MARK = re.compile(r"\s*\[\d+\]")
_PLACEHOLDER = re.compile(r"\[[a-z]+ \d+\]")
_LIST_NUMBER = re.compile(r"^\s*\d{1,2}[.)]\s", re.MULTILINE)

MANY_CAPITALS = 0.2  # above it a language writes all nouns large, and capitals tell nothing about names

_ADDRESS = re.compile(
    r"(?:https?://|www\.)[^\s<>\"')\]]+|[\w.+-]+@[\w-]+(?:\.[\w-]+)+|\b[\w-]+\.(?:com|org|net|io)\b\S*"
)
_NUMBER = re.compile(r"\d+(?:[.,:\u00a0 ]\d{3}(?!\d))*(?:[.,:]\d+)?")
_WORD = re.compile(r"[^\W\d_][\w'’&-]*")  # noqa: RUF001 - the apostrophe that telephones write
_SENTENCE_START = re.compile(r"(?:^|[.!?:…]['\"”’)]?\s+|\n\s*(?:[-*•]|\d+[.)])?\s*|[\"“„(]\s*)$")  # noqa: RUF001


@dataclass(frozen=True, slots=True)
class Sources:
    """The facts an answer may state."""

    addresses: frozenset[str]
    numbers: frozenset[str]
    names: frozenset[str]
    writes_nouns_large: bool

    @classmethod
    def of(cls, text: str, known: str = "") -> "Sources":
        """Read the facts of passages.

        Names may also come from what else is known, such as the customer's own words; numbers and
        addresses may not.
        """
        return cls(
            addresses=frozenset(_plain_address(found) for found in _ADDRESS.findall(text)),
            numbers=frozenset(_numbers(text)),
            names=frozenset(_plain_word(word) for word in _WORD.findall(f"{text} {known}")),
            writes_nouns_large=_writes_nouns_large(text),
        )


def unsupported(text: str, sources: Sources) -> list[str]:
    """Return the facts of a text that its sources don't hold: addresses, then numbers, then names."""
    text = _LIST_NUMBER.sub("", _PLACEHOLDER.sub("", without_marks(text)))
    missing = [found for found in _ADDRESS.findall(text) if _plain_address(found) not in sources.addresses]
    bare = _ADDRESS.sub(" ", text)
    missing += [number for number in _numbers(bare) if number not in sources.numbers]
    if not sources.writes_nouns_large:
        missing += [name for name in _names(bare) if _plain_word(name) not in sources.names]
    return missing


def without_marks(text: str) -> str:
    """Take out marks such as [1]: the citations stand beside the text."""
    return _MARK.sub("", text)


def supported_beginning(text: str, sources: Sources) -> str:
    """Return the longest beginning of a growing text whose facts all stand in the sources.

    The last word may still grow, so it is left out. What a customer sees as a draft has passed this.
    """
    complete = text[: text.rfind(" ") + 1].rstrip()
    if not unsupported(complete, sources):
        return complete
    words = list(re.finditer(r"\S+\s*", complete))
    low, high = 0, len(words)
    while low < high:
        middle = (low + high + 1) // 2
        beginning = complete[: words[middle - 1].end()]
        if unsupported(beginning, sources):
            high = middle - 1
        else:
            low = middle
    return complete[: words[low - 1].end()].rstrip() if low else ""


def _numbers(text: str) -> list[str]:
    digits = [_plain_number(found) for found in _NUMBER.findall(text)]
    words = [NUMBER_WORDS[word.lower()] for word in _WORD.findall(text) if word.lower() in NUMBER_WORDS]
    return digits + words


def _names(text: str) -> list[str]:
    """Return the capitalised words inside sentences; the first word of one is capitalised anyway."""
    found = []
    for match in _WORD.finditer(text):
        word = match.group()
        is_large = word[0].isupper() and word not in ("I", "I'm", "I'll", "I've", "I'd")
        if is_large and not _SENTENCE_START.search(text[max(0, match.start() - 12) : match.start()]):
            found.append(word)
    return found


def _writes_nouns_large(text: str) -> bool:
    inner = [
        m.group()
        for m in _WORD.finditer(text)
        if not _SENTENCE_START.search(text[max(0, m.start() - 12) : m.start()])
    ]
    return bool(inner) and sum(word[0].isupper() for word in inner) / len(inner) > MANY_CAPITALS


def _plain_number(text: str) -> str:
    """Compare 1,000 and 1000, 3.50 and 3,50."""
    grouped = re.sub(r"[.,\u00a0 ](?=\d{3}(?!\d))", "", text)
    return grouped.replace(",", ".").removesuffix(".00").lstrip("0") or "0"


def _plain_word(word: str) -> str:
    plain = word.replace("’", "'").lower().removesuffix("'s").rstrip("'-&")  # noqa: RUF001
    return plain.removesuffix("s")


def _plain_address(address: str) -> str:
    return re.sub(r"^(?:https?://)?(?:www\.)?", "", address.lower()).rstrip(".,;:!?/")
