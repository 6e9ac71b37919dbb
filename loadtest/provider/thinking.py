"""What stands in for a mind: it finds the passages in the prompt and answers from the one that fits.

It knows the prompt only as a model does, by reading it; nothing of Dana is imported here.
"""

import json
import re

PASSAGE = re.compile(r"^\[(\d+)\] (.+)\n((?:.+\n?|\n(?!\[\d+\] ))+)", re.MULTILINE)
BLOCK = re.compile(r"^(==\w+==)\n(.*?)\n\1$", re.MULTILINE | re.DOTALL)
_SMALL_WORDS = """
a an and any are as at be by can do does for from have how i if in is it me my not of on or our so that the
their there this to was we what when where which who will with you your
"""
SMALL_WORDS = frozenset(_SMALL_WORDS.split())
ENOUGH = 0.34  # part of the question's words that a sentence must share


def answer_to(prompt: str, *, invents: str = "") -> str:
    """Return the structured answer to a prompt, as JSON text."""
    blocks = [block.group(2) for block in BLOCK.finditer(prompt)]
    if not blocks:
        return json.dumps({"action": "reply", "sources": [], "text": "Hello from the simulator."})
    question = blocks[-1]
    best = _best(question, blocks[0])
    if best is None:
        text = "The customer asks about something the passages do not cover."
        return json.dumps({"action": "hand_over", "sources": [], "text": text})
    number, sentence = best
    return json.dumps({"action": "reply", "sources": [number], "text": _invented(sentence, invents)})


def _best(question: str, material: str) -> tuple[int, str] | None:
    asked = _words(question)
    best: tuple[float, int, str] = (0.0, 0, "")
    for passage in PASSAGE.finditer(material + "\n"):
        for sentence in re.split(r"(?<=[.!?])\s+|\n+", passage.group(3)):
            own = _words(f"{sentence} {passage.group(2)}")
            shared = len(asked & own) / max(1, len(asked))
            score = shared - 0.01 * len(own) / 20
            if shared >= ENOUGH and score > best[0] and sentence.strip():
                best = (score, int(passage.group(1)), sentence.strip())
    return (best[1], best[2]) if best[0] else None


def _words(text: str) -> set[str]:
    words = {word.lower() for word in re.findall(r"[^\W_]+", text)}
    return {word.removesuffix("s").removesuffix("ing") for word in words - SMALL_WORDS}


def _invented(sentence: str, invents: str) -> str:
    if invents == "number":
        changed = re.sub(r"\d+", lambda found: str(int(found.group()) + 7), sentence, count=1)
        return changed if changed != sentence else f"{sentence} It takes 997 days."
    if invents == "name":
        return f"{sentence} Ask for Rumpelstiltskin at the desk."
    if invents == "address":
        return f"{sentence} See https://evil.example/login for more."
    return sentence
