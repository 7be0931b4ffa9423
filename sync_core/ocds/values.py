"""Texts, amounts and dates as publishers write them: read exactly, or refused with the field and what to write."""

import hashlib
import re
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, date, datetime, timedelta, tzinfo
from decimal import Decimal, InvalidOperation
from typing import Final, TypeAlias

from sync_core.commands.words import visible
from sync_core.money import MOST_DIGITS, quantum, storable
from sync_core.ocds.findings import Unmapped, Why

Json: TypeAlias = "bool | int | Decimal | str | list[Json] | dict[str, Json] | None"
Object: TypeAlias = Mapping[str, Json]

LONGEST_TEXT: Final = 200
LONGEST_ID: Final = 300
_NOTHING: Final[Object] = {}
_NUMBER: Final = re.compile(r"[-+]?[0-9]{1,40}(\.[0-9]{1,40})?([eE][-+]?[0-9]{1,3})?")
_FIRST_YEAR, _LAST_YEAR = 1900, 2199  # beyond them stands what systems write for "no date", 0001-01-01 for instance
# What a double cannot tell apart: 3325.5499999999997 was 3325.55 before some program added it up.
_NOISE: Final = Decimal(2) ** -50
_DIGITS_OF_A_DOUBLE: Final = 15


def items(given: Json) -> list[Object]:
    """The objects of a list; one object that stands where a list should is that list."""
    listed = given if isinstance(given, list) else [given]
    return [one for one in listed if isinstance(one, dict)]


def inner(given: Object, *path: str) -> Object:
    """The object below, or an empty one."""
    found: Json | Object = given
    for name in path:
        found = found.get(name) if isinstance(found, Mapping) else None
    return found if isinstance(found, Mapping) else _NOTHING


def text(given: Json, longest: int = LONGEST_TEXT) -> str:
    """One visible line, cut where it is too long; "" for what is no text."""
    if not isinstance(given, str):
        return ""
    line = visible(" ".join(given.split()))
    return line if len(line) <= longest else f"{line[: longest - 1].rstrip()}…"


def identifier(given: Json) -> str:
    """An id, which some publishers write as a number; "" for none."""
    if isinstance(given, bool):
        return ""
    if isinstance(given, int):
        return str(given) if abs(given) < 10**MOST_DIGITS else ""
    if isinstance(given, Decimal):
        return format(given.normalize(), "f") if given.adjusted() < MOST_DIGITS and given == int(given) else ""
    return _named(visible(given.strip())) if isinstance(given, str) else ""


def _named(given: str) -> str:
    """An id that is a novel keeps its beginning and a digest."""
    if len(given) <= LONGEST_ID:
        return given
    return f"{given[:80]}~{hashlib.sha256(given.encode()).hexdigest()[:16]}"


def first(*found: str) -> str:
    """The first that is not empty."""
    return next((one for one in found if one), "")


def currency(given: Json) -> str:
    """The code as it is meant; "" for none."""
    return given.strip().upper() if isinstance(given, str) else ""


def amount(given: Json, field: str) -> Decimal | None:
    """Exact; None where nothing is given. Raises Unmapped."""
    if given is None or given == "":
        return None
    try:
        if isinstance(given, bool) or not isinstance(given, int | Decimal | str):
            raise ValueError
        if isinstance(given, str) and not _NUMBER.fullmatch(given.strip()):
            raise ValueError
        found = Decimal(given.strip() if isinstance(given, str) else given)
        if not found.is_finite() or not storable(found):
            raise ValueError
    except (ValueError, InvalidOperation) as wrong:
        words = f"{field}: {_shown(given)} is no amount of money; write it like 1234.56, with a point and nothing else"
        raise Unmapped(Why.AMOUNT_UNREADABLE, words) from wrong
    return found if found else Decimal(0)


def in_minor_units(found: Decimal, code: str) -> tuple[Decimal, bool]:
    """With the currency's decimals, and whether it was a double's noise that went.

    An amount that is really finer stays as it is: the contract's check stops it, and a person decides.
    """
    near = found.quantize(quantum(code))
    if near == found:
        return near, False
    noisy = len(found.as_tuple().digits) >= _DIGITS_OF_A_DOUBLE and abs(found - near) <= abs(found) * _NOISE
    return (near, True) if noisy else (found, False)


def moment(given: Json, field: str) -> datetime | None:
    """With the offset that is written, UTC for none; None where nothing is given. Raises Unmapped."""
    if given is None or given == "":
        return None
    try:
        if not isinstance(given, str):
            raise ValueError
        found = datetime.fromisoformat(given.strip())
    except ValueError as wrong:
        words = f"{field}: {_shown(given)} is no date; write it like 2026-11-23T09:30:00Z"
        raise Unmapped(Why.DATE_UNREADABLE, words) from wrong
    found = found if found.tzinfo else found.replace(tzinfo=UTC)
    return found if _FIRST_YEAR < found.year < _LAST_YEAR else None


def day(given: datetime | None, zone: tzinfo | None) -> date | None:
    """The calendar date that is meant: as written, or in `zone` where it is written in UTC."""
    if given is None:
        return None
    return (given.astimezone(zone) if zone is not None and not given.utcoffset() else given).date()


def later(start: date | None, days: Json) -> date | None:
    """So many days after the start, where both are known."""
    if start is None or isinstance(days, bool) or not isinstance(days, int | Decimal):
        return None
    return start + timedelta(days=int(days)) if 0 <= days <= 36_525 else None


def earliest(moments: Iterable[datetime | None]) -> datetime | None:
    return min((one for one in moments if one is not None), default=None)


def texts(given: Json) -> Iterator[str]:
    """The texts of a list, lower case."""
    yield from (one.strip().lower() for one in (given if isinstance(given, list) else [given]) if isinstance(one, str))


def _shown(given: object) -> str:
    return visible(repr(given)[:40])
