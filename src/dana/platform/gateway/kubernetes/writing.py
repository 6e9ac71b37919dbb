"""YAML as people write it, for what resources are made of: mappings, lists, words and numbers."""

import json
import re
from typing import Any

PLAIN = re.compile(r"[A-Za-z/][A-Za-z0-9_./-]*(?<![-:])")  # what no YAML parser takes for something else
NOT_PLAIN = {"true", "false", "null", "yes", "no", "on", "off", "y", "n"}


def to_yaml(content: Any, indent: int = 0) -> str:
    """Write one document."""
    pad = " " * indent
    if isinstance(content, dict):
        return "".join(f"{pad}{_word(key)}:{_below(value, indent)}" for key, value in content.items())
    return "".join(f"{pad}-{_item(value, indent)}" for value in content)


def _below(content: Any, indent: int) -> str:
    if not isinstance(content, dict | list) or not content:
        return f" {_word(content)}\n"
    return f"\n{to_yaml(content, indent + 2 if isinstance(content, dict) else indent)}"


def _item(content: Any, indent: int) -> str:
    if not isinstance(content, dict | list) or not content:
        return f" {_word(content)}\n"
    return f" {to_yaml(content, indent + 2).lstrip()}"


def _word(content: Any) -> str:
    if isinstance(content, str) and PLAIN.fullmatch(content) and content.lower() not in NOT_PLAIN:
        return content
    return json.dumps(content)
