"""Tryton's JSON: types that JSON lacks travel as objects with a `__class__`.

Money must go out as Decimal, a JSON float is refused in a numeric field. What comes in is made plain, so that
`answers.Row` can read it: Decimal for Decimal, ISO text for dates and times, Decimal seconds for a duration.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime, timedelta
from decimal import Decimal
from functools import partial
from typing import TypeAlias

from sync_core.connectors.answers import Json, Row

Value: TypeAlias = (
    "bool | int | float | str | Decimal | date | timedelta | Sequence[Value] | Mapping[str, Value] | None"
)
Values: TypeAlias = Mapping[str, Value]

_SECOND = Decimal("0.000001")
_MOMENT = ("year", "month", "day", "hour", "minute", "second", "microsecond")


def encode(value: Value) -> Json:
    match value:
        case Decimal():
            return {"__class__": "Decimal", "decimal": str(value)}
        case timedelta():
            return {"__class__": "timedelta", "seconds": value.total_seconds()}
        case datetime():
            return {"__class__": "datetime", **{name: getattr(value, name) for name in _MOMENT}}
        case date():
            return {"__class__": "date", "year": value.year, "month": value.month, "day": value.day}
        case Mapping():
            return {name: encode(item) for name, item in value.items()}
        case str() | bool() | int() | float() | None:
            return value
        case _:
            return [encode(item) for item in value]


def _plain(found: dict[str, Json]) -> Json:
    match found["__class__"]:
        case "Decimal":
            return Decimal(str(found["decimal"]))
        case "timedelta":
            return Decimal(str(found["seconds"])).quantize(_SECOND)
        case "datetime":
            # Tryton's own time, which it gives without a zone; it is only ever compared with itself.
            year, month, day, hour, minute, second, micro = _parts(found, _MOMENT)
            return f"{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{micro:06}"
        case "date":
            year, month, day = _parts(found, _MOMENT[:3])
            return date(year, month, day).isoformat()
    return found


def _parts(found: dict[str, Json], names: Sequence[str]) -> list[int]:
    return [int(str(found[name])) for name in names]


def _object(found: dict[str, Json]) -> Json:
    return _plain(found) if "__class__" in found else found


_loads: Callable[[bytes], Json] = partial(json.loads, object_hook=_object, parse_float=Decimal)


def decode(body: bytes) -> Json:
    """Parses the body of an answer. Raises ValueError, also for a number that can be none."""
    try:
        return _loads(body)
    except (ArithmeticError, KeyError) as wrong:
        raise ValueError(f"a value of Tryton's cannot be read: {wrong!r}") from wrong


def new(*rows: Values) -> Value:
    """The command that creates `rows` inside a field that holds many records."""
    return ["create", list(rows)]


def number(row: Row, name: str = "id") -> int:
    return int(row.decimal(name))


def linked(row: Row, name: str) -> Row | None:
    """The record that a dotted field read along, if the link is set."""
    return row.row(f"{name}.") if row.fields.get(f"{name}.") is not None else None


def linked_text(row: Row | None, *path: str) -> str | None:
    """The text at the end of a path of links; None where one is not set."""
    for name in path[:-1]:
        row = linked(row, name) if row is not None else None
    return row.optional(path[-1]) if row is not None else None
