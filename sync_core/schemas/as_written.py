"""Is a value written as its JSON Schema says? Pydantic reads more: `true` and "1_0" as numbers, seconds as a date."""

import re
from collections.abc import Iterator, Mapping
from datetime import date
from decimal import Decimal
from typing import Final

_AMOUNT: Final = re.compile(r"[-+]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][-+]?[0-9]{1,2})?")
_DAY: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")


def oddities(understood: object, given: object, path: str = "") -> Iterator[str]:
    """What was understood although it is not written as its schema says; in words, by field."""
    if isinstance(given, Mapping):
        for name, value in given.items():
            inner = understood.get(name) if isinstance(understood, Mapping) else getattr(understood, str(name), None)
            yield from oddities(inner, value, f"{path}.{name}" if path else str(name))
    elif isinstance(given, list) and isinstance(understood, tuple):
        for index, (inner, value) in enumerate(zip(understood, given, strict=True)):
            yield from oddities(inner, value, f"{path}.{index}")
    elif (wanted := _wanted(understood, given)) is not None:
        yield f"{path}: it must be {wanted}"


def _wanted(understood: object, given: object) -> str | None:
    match understood:
        case bool():
            return None if isinstance(given, bool) else "true or false"
        case int():
            return None if type(given) is int else "a whole number, written as a JSON number"
        case Decimal():
            plain = (isinstance(given, str) and _AMOUNT.fullmatch(given)) or type(given) in (int, float)
            return None if plain else "a plain decimal number"
        case date():
            return None if isinstance(given, str) and _DAY.match(given) else "an ISO 8601 date or time, as text"
    return None
