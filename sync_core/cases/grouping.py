"""What exceptions have in common: one key for all that one person can mend in one go. Pure.

The key is made of the error class, the step, the legal entity, the message without what is particular to one contract,
and the estate's version, because other rules find other things.
"""

import hashlib
import re
from collections.abc import Iterable

_LONGEST = 2_000  # a traceback's end says enough
_QUOTED = re.compile(r"(?<!\w)'[^']{0,200}'(?!\w)|\"[^\"]{0,200}\"|“[^”]{0,200}”")
_WORD = re.compile(r"[^\s,;:()\[\]<>'\"]+")
_LIST = re.compile(r"(<[a-z]+>)(?:, \1)+")


def normalised(message: str, *, names: Iterable[str] = ()) -> str:
    """`message` with placeholders: <name> for quoted texts and `names`, <n> for whatever holds a digit."""
    text = " ".join(message[-_LONGEST:].split())
    for name in sorted({name for name in names if len(name) > 1}, key=lambda name: (-len(name), name)):
        text = re.sub(rf"(?<!\w){re.escape(name)}(?!\w)", "<name>", text)
    return _LIST.sub(r"\1", _WORD.sub(_placed, _QUOTED.sub("<name>", text)))


def _placed(word: re.Match[str]) -> str:
    return "<n>" if any(character.isdigit() for character in word[0]) else word[0]


def group_key(error_class: str, operation: str, legal_entity: str, message: str, version: str) -> str:
    """`message` normalised. 20 hex digits, the same on every machine."""
    parts = "\x1f".join((error_class, operation, legal_entity, message, version))
    return hashlib.sha256(parts.encode()).hexdigest()[:20]
