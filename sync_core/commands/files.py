"""Tables that people hand in as CSV or JSON: understood, or refused with the line and what to write; never guessed at.

CSV is UTF-8 with or without a byte order mark, with a comma, a semicolon or a tab between the values; its first line
names the columns. JSON is an array of objects with the same names. Numbers have a point; a comma in one is refused,
because it means a thousand here and a fraction there. All errors are InvalidInput.
"""

import csv
import io
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from enum import StrEnum
from typing import Final

from sync_core.commands.desk import InvalidInput
from sync_core.commands.words import LONGEST_NAME, visible
from sync_core.json_exact import JsonValue, holds_nul, parse

MOST_ROWS: Final = 50_000
MOST_BYTES: Final = 16 << 20

_NUMBER: Final = re.compile(r"-?[0-9]{1,18}(\.[0-9]{1,12})?")
_PERHAPS_THOUSANDS: Final = re.compile(r"-?[0-9]{1,3}\.[0-9]{3}")
_DAY: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_DELIMITERS: Final = (",", ";", "\t")


class Form(StrEnum):
    CSV = "csv"
    JSON = "json"


@dataclass(frozen=True, slots=True)
class Row:
    """One row by column; what a column that may be left out lacks is ""."""

    place: str  # "line 3", "item 3"
    values: Mapping[str, str]
    decimal_comma: bool = False  # of a file as spreadsheets write it where a comma begins the fraction

    def wrong(self, words: str) -> InvalidInput:
        return InvalidInput(f"{self.place}: {words}; nothing was stored")

    def text(self, name: str) -> str:
        """One line, not empty."""
        given = self.optional(name)
        if not given:
            raise self.wrong(f"{name} is empty; give it")
        return given

    def optional(self, name: str) -> str:
        given = visible(" ".join(self.values.get(name, "").split()))
        if len(given) > LONGEST_NAME:
            raise self.wrong(f"{name} is longer than {LONGEST_NAME} characters; shorten it")
        return given

    def chosen(self, name: str, known: Iterable[str], *, otherwise: str | None = None) -> str:
        """One of `known`, in any case; `otherwise` where it is empty."""
        given, words = self.optional(name).lower(), list(known)
        if not given and otherwise is not None:
            return otherwise
        if given not in words:
            raise self.wrong(f"{name}: {given[:40]!r} is none of {', '.join(words)}")
        return given

    def day(self, name: str) -> date:
        given = self.text(name)
        try:
            if not _DAY.fullmatch(given):
                raise ValueError
            found = date.fromisoformat(given)
        except ValueError as wrong:
            raise self.wrong(f"{name}: {given[:40]!r} is no date; write it like 2026-11-23") from wrong
        if not 1990 <= found.year <= 2100:
            raise self.wrong(f"{name}: {given} is not between 1990 and 2100")
        return found

    def number(self, name: str) -> Decimal:
        given = self.text(name)
        if "," in given:
            raise self.wrong(
                f"{name}: {given[:40]!r} has a comma; write 1234.56, with a point and no thousands separator"
            )
        if not _NUMBER.fullmatch(given):
            raise self.wrong(f"{name}: {given[:40]!r} is no number; write it like 1234.56")
        if self.decimal_comma and _PERHAPS_THOUSANDS.fullmatch(given):
            meant = given.replace(".", "")
            words = f"{given!r} could be {meant} here, with a thousands separator; write {meant} or {given}0"
            raise self.wrong(f"{name}: {words}")
        return Decimal(given)


def rows_of(body: bytes, form: Form, *, needed: Sequence[str], optional: Sequence[str] = ()) -> list[Row]:
    """At least one, at most MOST_ROWS, in the file's order. Raises InvalidInput."""
    if len(body) > MOST_BYTES:
        raise InvalidInput(f"the file is over {MOST_BYTES:,} bytes; split it")
    if not body.strip():
        raise InvalidInput(f"the file is empty; its columns are {', '.join((*needed, *optional))}")
    read = _csv if form is Form.CSV else _json
    rows = list(read(body, needed, optional))
    if not rows:
        raise InvalidInput("the file has no rows")
    if len(rows) > MOST_ROWS:
        raise InvalidInput(f"the file has {len(rows):,} rows; at most {MOST_ROWS:,} at once, split it")
    return rows


def unique(rows: Sequence[Row], keys: Sequence[object], what: str) -> None:
    """Raises InvalidInput for the second row of a key."""
    seen: dict[object, Row] = {}
    for row, key in zip(rows, keys, strict=True):
        if key in seen:
            raise row.wrong(f"the {what} is that of {seen[key].place} again")
        seen[key] = row


def _csv(body: bytes, needed: Sequence[str], optional: Sequence[str]) -> Iterator[Row]:
    text = _decoded(body)
    first = next((line for line in text.splitlines() if line.strip()), "")
    delimiter = _delimiter(first, needed)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    header: list[str] | None = None
    try:
        for values in reader:
            place = f"line {reader.line_num}"
            if not any(value.strip() for value in values):
                continue
            if header is None:
                header = _header(values, needed, optional)
            elif len(values) != len(header):
                words = f"{len(values)} values for {len(header)} columns; a decimal comma would do that, write 1.25"
                raise InvalidInput(f"{place}: {words}; nothing was stored")
            else:
                yield Row(place, dict(zip(header, values, strict=True)), delimiter != ",")
    except csv.Error as wrong:
        raise InvalidInput(f"line {reader.line_num}: {wrong}; nothing was stored") from wrong


def _decoded(body: bytes) -> str:
    if body.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise InvalidInput("the file is UTF-16; save it as CSV in UTF-8")
    try:
        text = body.decode("utf-8-sig")
    except UnicodeDecodeError as wrong:
        line = body[: wrong.start].count(b"\n") + 1
        raise InvalidInput(f"line {line} is not UTF-8; save the file as CSV in UTF-8") from wrong
    if "\0" in text:
        raise InvalidInput(f"line {text[: text.index(chr(0))].count(chr(10)) + 1} holds U+0000; save the file as CSV")
    return text


def _delimiter(header: str, needed: Sequence[str]) -> str:
    found = [one for one in _DELIMITERS if one in header]
    if len(found) > 1:
        raise InvalidInput("line 1: its columns stand between different marks; use commas alone, or semicolons alone")
    if not found and len(needed) > 1:
        raise InvalidInput(f"line 1: it names no columns; they are {','.join(needed)}")
    return found[0] if found else ","


def _header(values: Sequence[str], needed: Sequence[str], optional: Sequence[str]) -> list[str]:
    names = [value.strip().lower() for value in values]
    _known(names, needed, optional, "line 1")
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise InvalidInput(f"line 1: column {twice!r} is there twice")
    return names


def _known(names: Iterable[str], needed: Sequence[str], optional: Sequence[str], place: str) -> None:
    given = list(names)
    strange = next((name for name in given if name not in (*needed, *optional)), None)
    if strange is not None:
        columns = ", ".join((*needed, *optional))
        raise InvalidInput(f"{place}: {visible(strange)[:40]!r} is no column; they are {columns}; nothing was stored")
    missing = next((name for name in needed if name not in given), None)
    if missing is not None:
        raise InvalidInput(f"{place}: {missing} is missing; nothing was stored")


def _json(body: bytes, needed: Sequence[str], optional: Sequence[str]) -> Iterator[Row]:
    try:
        given = parse(body.removeprefix(b"\xef\xbb\xbf"))
    except ValueError as wrong:
        raise InvalidInput(f"the file is no JSON that can be read: {wrong}; nothing was stored") from wrong
    if not isinstance(given, list) or holds_nul(given):
        raise InvalidInput(f"the file is no JSON array of objects with {', '.join(needed)}; nothing was stored")
    for number, item in enumerate(given, 1):
        place = f"item {number}"
        if not isinstance(item, dict):
            raise InvalidInput(f"{place} is no object; nothing was stored")
        _known(item, needed, optional, place)
        yield Row(place, {name: _plain(value, place, name) for name, value in item.items()})


def _plain(value: JsonValue, place: str, name: str) -> str:
    if value is None:
        return ""
    if isinstance(value, bool | list | dict):
        raise InvalidInput(f"{place}: {name} is no text and no number; nothing was stored")
    # What a float is exactly is its shortest text, which json_exact has compared with what was sent.
    return format(Decimal(repr(value)), "f") if isinstance(value, float) else str(value)
