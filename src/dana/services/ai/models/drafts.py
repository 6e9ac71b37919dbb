"""Reading a model's structured answer, whole or while it is still being written."""

import json
import re

import msgspec

from dana.contracts.views import Action

TEXT_LIMIT = 4000

_ACTION = re.compile(r'"action"\s*:\s*"(\w+)"')
_SOURCES = re.compile(r'"sources"\s*:\s*\[([\d,\s]*)\]')
_TEXT = re.compile(r'"text"\s*:\s*"((?:[^"\\]|\\.)*)', re.DOTALL)
_CUT_ESCAPE = re.compile(r"(?<!\\)(?:\\\\)*(\\(?:u[0-9a-fA-F]{0,3})?)$")
_FENCE = re.compile(r"^\s*```(?:json)?\s*|\s*```\s*$")


class Decision(msgspec.Struct, frozen=True):
    """What a model decided. The order of the fields is the order in which it must write them."""

    action: Action
    sources: tuple[int, ...]
    text: str


DECISION_SCHEMA = {
    "type": "object",
    "properties": {
        "action": {"type": "string", "enum": [action.value for action in Action]},
        "sources": {"type": "array", "items": {"type": "integer"}},
        "text": {"type": "string"},
    },
    "required": ["action", "sources", "text"],
    "additionalProperties": False,
}


class UnreadableDecisionError(ValueError):
    """A model wrote something else than the decision it was asked for."""


def read_decision(content: str) -> Decision:
    """Read a whole answer; raises UnreadableDecisionError."""
    try:
        decision = msgspec.json.decode(_FENCE.sub("", content), type=Decision)
    except (msgspec.DecodeError, UnicodeError) as error:
        raise UnreadableDecisionError(str(error)) from None
    if not decision.text.strip() and decision.action is not Action.HAND_OVER:
        raise UnreadableDecisionError("It says nothing.")
    if len(decision.text) > TEXT_LIMIT:
        raise UnreadableDecisionError(f"Its text is longer than {TEXT_LIMIT} characters.")
    return decision


def read_draft(content: str) -> Decision | None:
    """Read an answer as far as it has been written; None before its text begins."""
    action, sources, text = _ACTION.search(content), _SOURCES.search(content), _TEXT.search(content)
    if not (action and sources and text) or action.group(1) not in set(Action):
        return None
    written = _CUT_ESCAPE.sub("", text.group(1))
    try:
        plain = json.loads(f'"{written}"', strict=False)
    except ValueError:
        return None
    numbers = tuple(int(number) for number in re.findall(r"\d+", sources.group(1)))
    return Decision(action=Action(action.group(1)), sources=numbers, text=plain)
