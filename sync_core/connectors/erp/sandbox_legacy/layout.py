"""The fixed-width records of sandbox-legacy, as its manual lists them (docs/legacy_erp.md), read and written.

A file is text in code page 1252, one record a line, every line `LENGTH` characters long. A record is a mapping from
field to text, without the blanks that fill it up. What a field cannot hold is refused, never cut off: names are cut
before, by whoever knows that they may be.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Final, TypeAlias

CODE_PAGE: Final = "cp1252"
LAYOUT: Final = "4"  # what the ERP calls the one that follows
LENGTH: Final = 300
KEY, NAME, TEXT = 80, 40, 30
CUSTOMER, CATEGORY = 40, 30

Record: TypeAlias = Mapping[str, str]


class BadFile(ValueError):
    """A file, or a value for one, that does not follow the layout."""


@dataclass(frozen=True, slots=True)
class Field:
    name: str
    width: int
    number: bool = False  # digits with leading zeros, a minus first; blanks for none


def _amount(name: str) -> Field:
    return Field(name, 15, number=True)


_HEAD = (Field("type", 2), Field("action", 1), Field("document", 10))
_PART = (Field("key", KEY), Field("order", KEY), Field("order_document", 10))
_LAYOUTS: Final[Mapping[str, tuple[Field, ...]]] = {
    # file, group
    "00": (Field("file", 24), Field("kind", 8), Field("written", 14)),
    "10": (Field("owner", KEY), Field("object", 2), Field("mark", 16)),
    # what a batch may post; a dump holds the same, and how it stands
    "20": (Field("key", CUSTOMER), Field("name", NAME), Field("country", 2), Field("tax_id", 24)),
    "21": (Field("key", CATEGORY), Field("name", TEXT), Field("category", 6)),
    "30": (
        Field("key", KEY), Field("name", NAME), Field("entity", 4), Field("customer", CUSTOMER), Field("method", 1),
        Field("currency", 3), _amount("value"), Field("starts", 8), Field("ends", 8), Field("terms", 4),
        Field("tax", 4), Field("po", 20), _amount("limit"), Field("released", 1), Field("status", 1),
        _amount("billed_amount"),
    ),
    "31": (
        *_PART, Field("name", TEXT), _amount("amount"), Field("currency", 3), Field("recognition", 1),
        Field("account", 10), Field("category", 6), Field("billed", 1),
    ),
    "32": (
        *_PART, Field("name", TEXT), _amount("amount"), Field("currency", 3), Field("bill_on", 8),
        Field("category", 6), Field("billed", 1),
    ),
    "33": (
        *_PART, Field("name", TEXT), _amount("amount"), Field("currency", 3), Field("labour", CATEGORY),
        Field("hours", 9, number=True), Field("category", 6), Field("billed", 1),
    ),
    # dumps only: invoices, payments and disputes; master data
    "40": (
        Field("number", 8, number=True), Field("fact", 1), Field("reference", 20), Field("order", KEY),
        _amount("amount"), Field("currency", 3), Field("day", 8), Field("status", 10), Field("invoice", 20),
    ),
    "50": (Field("entity", 4), Field("name", NAME), Field("currency", 3)),
    "51": (Field("entity", 4), Field("tax", 4)),
    "52": (Field("terms", 4),),
    "53": (Field("category", 6), Field("account", 10)),
    "54": (Field("entity", 4), Field("month", 6)),
    # answers only: one for each record of the group above
    "60": (Field("line", 6, number=True), Field("answer", 1), Field("code", 3), Field("words", 100)),
    "99": (Field("records", 8, number=True),),
}  # fmt: skip
LAYOUTS: Final[Mapping[str, tuple[Field, ...]]] = {name: (*_HEAD, *fields) for name, fields in _LAYOUTS.items()}


_CONTROL = re.compile("[\x00-\x1f\x7f]")


def _places(fields: tuple[Field, ...]) -> tuple[tuple[str, slice, bool], ...]:
    ends = list(accumulate(field.width for field in fields))
    return tuple((f.name, slice(end - f.width, end), f.number) for f, end in zip(fields, ends, strict=True))


_PLACES: Final = {name: _places(fields) for name, fields in LAYOUTS.items()}
# By type and field: where it begins, counted from 0, and its width.
PLACES: Final[Mapping[str, Mapping[str, tuple[int, int]]]] = {
    kind: {name: (at.start, at.stop - at.start) for name, at, _ in places} for kind, places in _PLACES.items()
}


def line_of(values: Mapping[str, str]) -> str:
    """One record; fields that are not given stay blank. Raises BadFile that names the field."""
    fields = LAYOUTS[values["type"]]
    line = "".join(_cell(field, values.get(field.name, "")) for field in fields)
    try:
        line.encode(CODE_PAGE)
    except UnicodeEncodeError as wrong:
        raise BadFile(f"{line[wrong.start : wrong.end]!r} is not in code page 1252") from wrong
    return line.ljust(LENGTH)


def _cell(field: Field, value: str) -> str:
    if len(value) > field.width:
        raise BadFile(f"{field.name} holds {field.width} characters, {value!r} has {len(value)}")
    if _CONTROL.search(value):
        raise BadFile(f"{field.name}: {value!r} has a control character")
    if not field.number or not value:
        return value.ljust(field.width)
    if not value.removeprefix("-").isdigit():
        raise BadFile(f"{field.name} is a whole number, {value!r} is not")
    return f"-{value[1:].rjust(field.width - 1, '0')}" if value.startswith("-") else value.rjust(field.width, "0")


def record_of(line: str) -> dict[str, str]:
    """Raises BadFile."""
    places = _PLACES.get(line[:2])
    if places is None or len(line) != LENGTH:
        raise BadFile(f"a record of type {line[:2]!r} and {len(line)} characters; {LENGTH} are expected")
    values = {name: line[at].rstrip(" ") for name, at, _ in places}
    for name, _, number in places:
        if number and values[name].lstrip("-").isdigit():
            values[name] = str(int(values[name]))
    return values


def file_of(name: str, kind: str, written: str, lines: Iterable[str]) -> bytes:
    """`written`: YYYYMMDDhhmmss. The last record says how many there are between it and the first."""
    body = list(lines)
    head = line_of({"type": "00", "file": name, "kind": kind, "written": written})
    foot = line_of({"type": "99", "records": str(len(body))})
    return "".join(f"{line}\r\n" for line in (head, *body, foot)).encode(CODE_PAGE)


def records_in(content: str) -> list[dict[str, str]]:
    """Without the first and the last one. Raises BadFile for a file that is not whole."""
    lines = content.split("\r\n")
    if len(lines) < 3 or lines[-1] or not lines[0].startswith("00") or not lines[-2].startswith("99"):
        raise BadFile("the file has no first or no last record")
    records = [record_of(line) for line in lines[1:-2]]
    told = record_of(lines[-2])["records"]
    if told != str(len(records)):
        raise BadFile(f"the file says that it has {told} records, and has {len(records)}")
    return records


def grouped(records: Sequence[Mapping[str, str]]) -> Iterator[tuple[Record, list[Record]]]:
    """Each group's own record with those that follow it."""
    group: Record | None = None
    held: list[Record] = []
    for record in records:
        if record["type"] != "10":
            if group is None:
                raise BadFile(f"a record of type {record['type']} stands before the first group")
            held.append(record)
            continue
        if group is not None:
            yield group, held
        group, held = record, []
    if group is not None:
        yield group, held
