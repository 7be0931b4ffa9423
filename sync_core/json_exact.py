"""JSON in and out without losing a digit of an amount.

A JSON number with a fraction becomes a binary float in every fast parser: 1234567890123456789.12 would be read as
1234567890123456800 and nobody would know. What a float cannot carry is refused here; as a string it passes.
"""

import json
import re
from decimal import Decimal
from math import isfinite

import orjson

JsonValue = None | bool | int | float | str | list["JsonValue"] | dict[str, "JsonValue"]

_LARGEST_INTEGER = 2**63 - 1


def parse(text: bytes) -> JsonValue:
    """Strict JSON. Raises ValueError, in words, for bad JSON and for numbers that would change."""
    try:
        value: JsonValue = json.loads(text, parse_float=_exact, parse_int=_whole, parse_constant=_no_number)
        dump(value)
    except RecursionError as wrong:
        raise ValueError("it is nested too deeply") from wrong
    return value


def dump(value: JsonValue) -> bytes:
    """Compact. Raises ValueError for text that is no Unicode (a lone surrogate) and for too deep a nesting."""
    try:
        return orjson.dumps(value)
    except TypeError as wrong:
        raise ValueError(f"it cannot be stored: {wrong}") from wrong


def holds_nul(value: JsonValue) -> bool:
    """Whether any text in it has U+0000, which PostgreSQL cannot store."""
    if isinstance(value, str):
        return "\0" in value
    if isinstance(value, list):
        return any(holds_nul(item) for item in value)
    if isinstance(value, dict):
        return any("\0" in key or holds_nul(item) for key, item in value.items())
    return False


def _exact(text: str) -> float:
    # Decimal is costly for long texts, and its exponent has a limit of its own.
    if len(text) > 40:
        raise ValueError(f"number {text[:20]}... has too many digits; send it as a string")
    number = float(text)
    # Zero apart: Decimal has limits of its own for exponents, and 1e-999 becomes a zero that it was not.
    same = _reads_zero(text) if number == 0 else isfinite(number) and Decimal(repr(number)) == Decimal(text)
    if not same:
        raise ValueError(f"number {text} has more digits than a JSON number carries; send it as a string")
    return number


def _reads_zero(text: str) -> bool:
    return not re.search(r"[1-9]", text.lower().partition("e")[0])


def _whole(text: str) -> int:
    if len(text) > 20 or abs(number := int(text)) > _LARGEST_INTEGER:
        raise ValueError(f"number {text[:20]} is too large; send it as a string")
    return number


def _no_number(text: str) -> float:
    raise ValueError(f"{text} is not JSON; leave the field out or send null")
