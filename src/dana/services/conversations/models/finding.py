"""By which numbers a message is found, and whether it is what somebody looks for.

A word is found by its beginnings of four, five and seven letters, so `refund` finds "refunded"; one of up to
three letters as a whole. Scripts that write without spaces are cut into all pairs of neighbouring characters.
The upper bits of a number are the organization's, so that no search wades through what others have written.
"""

import re
from collections.abc import Iterable
from functools import lru_cache
from zlib import crc32

from dana.contracts.ids import OrgId
from dana.contracts.views import Author, ContactView
from dana.platform.errors import Invalid
from dana.platform.folding import words

BEGINNINGS = (4, 5, 7)  # with these, few messages are read that have only the beginning in common
WHOLE_UP_TO = 3
PAIR = 2
MAX_KEYS = 2_000  # of one message: some 1,000 different words; writing more would take milliseconds
MAX_QUERY_CHARACTERS = 200
MAX_QUERY_WORDS = 10
CACHED_WORDS = 20_000
PIECE_BITS = 22  # of 32: a handful of organizations share the upper ten, a handful of words the lower

# Thai, Lao, Myanmar; Hangul; Khmer; kana and Chinese characters
_DENSE = (
    r"\u0e00-\u0eff\u1000-\u109f\u1100-\u11ff\u1780-\u17ff\u3040-\u30ff\u3130-\u318f\u3400-\u9fff"
    r"\uac00-\ud7af\uf900-\ufaff\U00020000-\U0003ffff"
)
_RUNS = re.compile(rf"[{_DENSE}]+|[^{_DENSE}]+")
_IS_DENSE = re.compile(rf"[{_DENSE}]")


def search_keys(org_id: OrgId, *texts: str) -> list[int]:
    """Return the numbers by which these texts are found in an organization, each once."""
    numbers = dict.fromkeys(key for text in texts for term in terms(text) for key in _numbers(term))
    own = key_range(org_id)
    return [own | number for number in list(numbers)[:MAX_KEYS]]


def key_range(org_id: OrgId) -> int:
    """Return the upper bits of all numbers of an organization."""
    bits = crc32(org_id.bytes) >> PIECE_BITS << PIECE_BITS
    return bits - (1 << 32) if bits >= 1 << 31 else bits


def findable_texts(seq: int, author: Author, text: str, contact: ContactView) -> list[str]:
    """Name what a message is found by: its text, and the contact if it is the conversation's first.

    So a name is looked for as any word is, and there is no second index that every act would have to write.
    Nobody looks for activity lines.
    """
    said = [] if author is Author.SYSTEM else [text]
    return [*said, contact.name, contact.email or ""] if seq == 1 else said


def terms(text: str) -> list[str]:
    """Return the words of a text, folded, and cut where the kind of script changes."""
    found = words(text)
    if text.isascii():
        return found
    return [run for word in found for run in _RUNS.findall(word)]


def asked_terms(query: str) -> list[str]:
    """Return what a query asks for, each once; raises Invalid when it is too long."""
    if len(query) > MAX_QUERY_CHARACTERS:
        raise Invalid(f"The search is too long; at most {MAX_QUERY_CHARACTERS} characters.")
    asked = list(dict.fromkeys(terms(query)))
    if len(asked) > MAX_QUERY_WORDS:
        raise Invalid(f"These are too many words; search for at most {MAX_QUERY_WORDS}.")
    return asked


def asked_keys(org_id: OrgId, asked: Iterable[str]) -> list[int]:
    """Return the numbers that a message of the organization must have to be worth reading."""
    numbers: dict[int, None] = {}
    for term in asked:
        found = _numbers(term)
        numbers.update(dict.fromkeys(found if is_dense(term) else found[-1:]))
    own = key_range(org_id)
    return [own | number for number in numbers]


def has_all(asked: Iterable[str], *texts: str) -> bool:
    """Tell whether each term asked for stands somewhere in these texts."""
    there = {term for text in texts for term in terms(text)}
    return all(any(is_found(wanted, term) for term in there) for wanted in asked)


def is_found(wanted: str, term: str) -> bool:
    """Tell whether a term of a text is what somebody looks for."""
    if is_dense(wanted):
        return wanted in term
    return term == wanted if len(wanted) <= WHOLE_UP_TO else term.startswith(wanted)


def is_dense(term: str) -> bool:
    """Tell whether a term is written in a script without spaces."""
    return _IS_DENSE.match(term) is not None


@lru_cache(maxsize=CACHED_WORDS)
def _numbers(term: str) -> tuple[int, ...]:
    if is_dense(term):
        pieces = [term[at : at + PAIR] for at in range(max(1, len(term) - 1))]
    elif len(term) <= WHOLE_UP_TO:
        pieces = [term]
    else:
        pieces = [term[:length] for length in BEGINNINGS if length <= len(term)]
    return tuple(crc32(piece.encode()) & ((1 << PIECE_BITS) - 1) for piece in pieces)
