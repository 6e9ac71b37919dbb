"""Cut text into sentences, by rules that hold for most scripts."""

import re

LONGEST_SENTENCE = (
    600  # a longer run without an end is cut at a comma or a space, so that a quote stays readable
)

_END = re.compile(
    # Latin: an end and a space, and no small letter after it
    r"""[.!?…]+["'”’»)\]]*(?=\s+["'“‘«(\[¿¡]*[^\W_a-zß-öø-ÿа-я])"""
    r"|[。！？｡][\"”’」』）]*"  # Chinese, Japanese
    r"|[।॥؟۔።]+(?=\s|$)"  # Hindi, Arabic, Urdu, Amharic
    r"|\n+"  # an entry of a list, a row of a table
)
_ABBREVIATION = re.compile(
    r"(?:^|[\s(\[\"'“-])(?:[^\W\d_]|[A-Za-z](?:\.[A-Za-z])+|Mr|Mrs|Ms|Dr|Prof|St|Sr|Jr|Sen|Rep|Gov|Gen|Col|Lt|Capt"
    r"|Sgt|Rev|Hon|vs|etc|approx|No|Nos|Vol|Fig|Inc|Ltd|Co|Corp|ca|cf|al|Mt|Ft|Jan|Feb|Mar|Apr|Jun|Jul|Aug|Sep"
    r"|Sept|Oct|Nov|Dec|bzw|z\.B|Nr|ggf|inkl|usw|p\.ej|Sra|Dra|Mme|Mlle)\.$"
)
_NUMBER = re.compile(r"\s*\(?\d{1,3}\.$")  # of an entry in a list
_SOFT_CUT = re.compile(r"[;:,]\s|\s")


def sentences(text: str) -> list[str]:
    """Return the sentences of a passage, in order, each trimmed."""
    found: list[str] = []
    start = 0
    for end in _END.finditer(text):
        candidate = text[start : end.end()]
        if end.group().startswith(".") and (_ABBREVIATION.search(candidate) or _NUMBER.match(candidate)):
            continue
        found.append(candidate)
        start = end.end()
    found.append(text[start:])
    return [part for sentence in found for part in _short_enough(sentence.strip())]


def _short_enough(sentence: str) -> list[str]:
    parts: list[str] = []
    while len(sentence) > LONGEST_SENTENCE:
        cuts = [cut.end() for cut in _SOFT_CUT.finditer(sentence, LONGEST_SENTENCE // 2, LONGEST_SENTENCE)]
        at = cuts[-1] if cuts else LONGEST_SENTENCE
        parts.append(sentence[:at].strip())
        sentence = sentence[at:].strip()
    return [*parts, sentence] if sentence else parts
