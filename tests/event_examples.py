"""Test only: the examples that a user reads in docs/events.md, by event type."""

import re
from pathlib import Path
from typing import Final

import orjson

DOCUMENT: Final = Path(__file__).parent.parent / "docs" / "events.md"

_JSON_BLOCK = re.compile(r"^### `(?P<type>[a-z0-9._]+)`$.*?^```json\n(?P<json>.*?)^```$", re.MULTILINE | re.DOTALL)


def _examples() -> dict[str, dict[str, object]]:
    text = DOCUMENT.read_text(encoding="utf-8")
    return {found["type"]: orjson.loads(found["json"]) for found in _JSON_BLOCK.finditer(text)}


EXAMPLES: Final = _examples()
