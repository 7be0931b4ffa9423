"""What cannot be read of the estate or policy file: every fault, by its table, number and name, and how to mend it."""

import difflib
import re
from collections.abc import Mapping, Sequence
from dataclasses import fields, is_dataclass
from enum import StrEnum
from types import NoneType, UnionType
from typing import TYPE_CHECKING, Final, Union, get_args, get_origin, get_type_hints

from pydantic import ValidationError

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

MOST: Final = 20  # faults that are told; a file with more of them is another kind of file
_NAMED_BY: Final = ("code", "name", "type", "system", "currency", "function")  # what people know a table's rows by
_NUMBER: Final = re.compile(r"-?\d[\d.,' _]*")
_THOUSANDS: Final = re.compile(r"-?\d{1,3},\d{3}")


def misread(file: str, wrong: ValidationError, given: Mapping[str, object], model: type) -> str:
    """All that is wrong, in words. `given`: the file as TOML; `model`: what it should be."""
    return listed(file, [_fault(one, given, model) for one in wrong.errors(include_url=False)])


def listed(file: str, faults: Sequence[str]) -> str:
    """One fault in a line with the file, several in a line each."""
    if len(faults) == 1:
        return f"{file}: {faults[0]}"
    more = [f"and {len(faults) - MOST} more"] if len(faults) > MOST else []
    return "\n  ".join([f"{file}: {len(faults)} things are to be mended:", *faults[:MOST], *more])


def nearest(name: str, known: Sequence[str]) -> str:
    """What to write in its place."""
    close = difflib.get_close_matches(name.lower(), known, 1)
    return f"did you mean {close[0]}?" if close else f"use {', '.join(known)}"


def _fault(one: "ErrorDetails", given: Mapping[str, object], model: type) -> str:
    loc = one["loc"]
    table, row = str(loc[0]), given.get(str(loc[0]))
    if len(loc) == 1:
        if one["type"] == "unexpected_keyword_argument":
            return f"{table} is no table or key of it; {nearest(table, _names(model))}"
        join = " " if one["type"] == "missing" else ": "
        return f"{_table(model, table)}{join}{_words(one, '', row, model)}"
    place, rest = _table(model, table), loc[1:]
    if isinstance(rest[0], int):
        row = row[rest[0]] if isinstance(row, list) else None
        place, rest = f"{place} {rest[0] + 1}{_name(row)}", rest[1:]
    return f"{place}: {_words(one, _key(rest), row, model)}"


def _words(one: "ErrorDetails", key: str, row: object, model: type) -> str:
    kind, input_ = one["type"], one["input"]
    if kind == "unexpected_keyword_argument":
        above, _, name = key.rpartition(".")
        near = nearest(name, _names(model, one["loc"][:-1]))
        of = f"{above} in " if above else ""
        return f"{name} is no key of {of}{_table(model, str(one['loc'][0]))}; {near}"
    if kind in ("dataclass_type", "tuple_type") and len(one["loc"]) == 1:
        return f"write it as a table, {_table(model, str(one['loc'][0]))}, not as {input_!r}"
    if kind == "missing":
        return f"{key} is missing; add it".lstrip()
    shown = f"{key} {input_!r}" if isinstance(input_, str | int | float) else key
    if kind == "enum":
        known = _values(model, one["loc"])
        if known:
            close = difflib.get_close_matches(str(input_).lower(), known, 1)
            return f"{shown} is none of {', '.join(known)}" + (f"; did you mean {close[0]}?" if close else "")
    if isinstance(input_, str) and "," in input_ and _NUMBER.fullmatch(input_):
        return f"{shown} is no number; {_as_number(input_)}{_in_currency(key, row)}"
    said = one["msg"].replace("Input should be", "must be").removeprefix("Value error, ")
    return f"{shown}: {said[:1].lower()}{said[1:]}".removeprefix(": ")


def _as_number(written: str) -> str:
    if _THOUSANDS.fullmatch(written):
        return f"write {written.replace(',', '')}, or {written.replace(',', '.')} with a point if that is meant"
    if written.count(",") == 1 and "." not in written:
        return f"write {written.replace(',', '.')} with a point"
    return "write it with digits alone, and a point before decimals"


def _in_currency(key: str, row: object) -> str:
    """An amount says nothing without its currency."""
    if key == "from_amount":
        return ", in the group's reporting currency"
    currency = row.get("currency") if key == "from_value" and isinstance(row, dict) else ""
    return ", and name its one currency in `currency`" if currency is None or isinstance(currency, list) else ""


def _table(model: type, table: str) -> str:
    """As people write it."""
    several = get_origin(_bare(get_type_hints(model).get(table))) is tuple
    return f"[[{table}]]" if several else f"[{table}]"


def _name(row: object) -> str:
    named = next((row[key] for key in _NAMED_BY if isinstance(row.get(key), str)), "") if isinstance(row, dict) else ""
    return f" {named!r}" if named else ""


def _key(steps: Sequence[int | str]) -> str:
    """Values of a list, and tables in one, by their number."""
    told = ""
    for at, step in enumerate(steps, 1):
        number = ", value" if at == len(steps) else ""
        told += f"{number} {step + 1}" if isinstance(step, int) else f".{step}"
    return told.removeprefix(".")


def _names(model: type, steps: Sequence[int | str] = ()) -> list[str]:
    found = _at(model, steps)
    return [one.name for one in fields(found)] if isinstance(found, type) and is_dataclass(found) else []


def _values(model: type, steps: Sequence[int | str]) -> list[str]:
    found = _at(model, steps)
    return [one.value for one in found] if isinstance(found, type) and issubclass(found, StrEnum) else []


def _at(kind: object, steps: Sequence[int | str]) -> object:
    """The type of what stands there."""
    for step in steps:
        kind = _bare(kind)
        if isinstance(kind, type) and is_dataclass(kind):
            kind = get_type_hints(kind).get(str(step))
        else:
            inner = [one for one in get_args(kind) if one is not Ellipsis]
            kind = inner[-1] if inner else None
    return _bare(kind)


def _bare(kind: object) -> object:
    """Without `| None`."""
    if get_origin(kind) in (Union, UnionType):
        return next(one for one in get_args(kind) if one is not NoneType)
    return kind
