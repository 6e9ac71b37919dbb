"""The console's types are made from the API's description: a change of one without the other fails here."""

import json
import subprocess
import sys
from pathlib import Path

DESCRIPTION = Path(__file__).parents[2] / "web/schema/openapi.json"


def test_console_knows_the_api_as_it_is() -> None:
    printed = subprocess.run(
        [sys.executable, "-m", "dana", "openapi"], capture_output=True, check=True, timeout=60
    ).stdout
    served = json.loads(printed)
    del served["servers"]
    known = json.loads(DESCRIPTION.read_text())
    assert _without_required(served) == _without_required(known), "run `npm run api` in web/"


def _without_required(node: object) -> object:
    """Leave out which fields are required: the console requires all that the server always sends."""
    if isinstance(node, dict):
        return {key: _without_required(value) for key, value in node.items() if key != "required"}
    return [_without_required(item) for item in node] if isinstance(node, list) else node
