"""One table of a snapshot: what every file holds it as, and the hash of its data.

Values are text, whole numbers, exact decimals, days and moments in UTC; the hash is over names, kinds and values in a
form of its own, so it depends neither on a file's format nor on the release that wrote it.
"""

import hashlib
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from enum import StrEnum

import orjson

from metrics.kpi import Unit

Cell = str | int | Decimal | date | datetime | None


class Kind(StrEnum):
    TEXT = "text"
    INTEGER = "integer"
    NUMBER = "number"  # exact; measured values have six decimals at most, rates twelve
    DAY = "day"
    MOMENT = "moment"  # UTC


@dataclass(frozen=True, slots=True)
class Field:
    key: str
    label: str
    kind: Kind
    unit: Unit | None = None  # of all values of the column, where they have one
    by_row: bool = False  # its values have the unit and the currency of their row


@dataclass(frozen=True, slots=True)
class Table:
    """`total`: how many rows there are, where not all are in it."""

    name: str  # a-z, 0-9 and `_`
    title: str
    fields: tuple[Field, ...]
    rows: tuple[tuple[Cell, ...], ...]
    total: int
    units: tuple[tuple[Unit, str], ...] = ()  # of each row, with the currency of its money; () without `by_row`

    @property
    def sha256(self) -> str:
        """Of its data alone."""
        hashed = hashlib.sha256(orjson.dumps([self.name, [[f.key, f.kind] for f in self.fields], self.total]))
        for row in self.rows:
            hashed.update(orjson.dumps([None if cell is None else plain(cell) for cell in row]))
        return hashed.hexdigest()


def plain(cell: Cell) -> str:
    """The one text of a value: a decimal without an exponent, a moment to the microsecond in UTC."""
    if isinstance(cell, Decimal):
        return format(cell, "f")
    if isinstance(cell, datetime):
        return cell.astimezone(UTC).isoformat(timespec="microseconds")
    return cell.isoformat() if isinstance(cell, date) else str(cell)
