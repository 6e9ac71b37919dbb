"""Which sentences are worth saying to a customer: some are like a question without answering it."""

import re

POINTER_PENALTY = 0.2
CODE_PENALTY = 0.2
FRAGMENT_PENALTY = 0.08  # an entry of a list may answer, but a full sentence answers better

_POINTER = re.compile(
    r"^\W*(?:(?:please\s+)?(?:see|refer to|read|check(?: out)?|follow|visit)\b.{0,80}\b"
    r"(?:guide|docs?|documentation|page|article|section|instructions|here|steps|link)\b"
    r"|learn (?:how|about|more)\b|(?:complete |step-by-step )?guide (?:to|for|on)\b"
    r"|(?:in )?(?:this|the following) (?:guide|docs?|document|article|page|section)\b)"
    r"|\b(?:do|see|use|run|are) the (?:following|below)\s*[.:]?$",
    re.IGNORECASE,
)
_CODE = re.compile(r"^\S*[=/_{}<>$\\]\S*$|^\s*[$#>{}<]|[{};]\s*$|\b\w+=\S|--\w|::|\w\(\)|^\s*[\w.-]+:\s*$")
_ENDED = re.compile(r"[.!?:。！？।…][\"'”’)\]]*$")


def penalty(sentence: str) -> float:
    """Return how much worse a sentence is as a quote than its likeness to the question says."""
    if _POINTER.search(sentence):
        return POINTER_PENALTY
    if _CODE.search(sentence):
        return CODE_PENALTY
    return 0.0 if _ENDED.search(sentence) else FRAGMENT_PENALTY
