"""What finance stated, as of now or as it was recorded by a moment: exchange rates, the baseline, assumptions."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Final

import sqlalchemy as sa

from sync_core.finance import NUMBERS, Stated
from sync_core.reads.paging import Listed, Listing, Order, Row, Where


@dataclass(frozen=True, slots=True)
class RateFilter:
    """`as_of` None: now. `replaced`: earlier versions of a currency's day, too."""

    currency: str | None = None
    as_of: datetime | None = None
    replaced: bool = False


@dataclass(frozen=True, slots=True)
class RateRow:
    """One unit of `currency` in `reporting`, from `valid_on` on."""

    currency: str
    valid_on: date
    rate: Decimal
    reporting: str
    recorded_at: datetime
    recorded_by: str  # "estate": it stands in the estate file


@dataclass(frozen=True, slots=True)
class StatedNumber:
    """A number that can be stated; all but its name and meaning is None where nobody has."""

    name: str
    says: str
    value: Decimal | None
    reason: str | None
    recorded_at: datetime | None
    recorded_by: str | None


RatePage = Listed[RateRow]

_COLUMNS: Final = "r.seq, r.currency, r.valid_on, r.rate, r.reporting, r.recorded_at, r.recorded_by"
_ORDER: Final = Order("r.recorded_at", descending=True, nullable=False, kind=datetime, row_id="r.seq")
_IN_TIME: Final = "(CAST(:as_of AS timestamptz) IS NULL OR {}.recorded_at <= :as_of)"
_HOLDS: Final = f"""NOT EXISTS (SELECT FROM metrics.exchange_rate AS n WHERE n.reporting = r.reporting
    AND n.currency = r.currency AND n.valid_on = r.valid_on AND n.seq > r.seq AND {_IN_TIME.format("n")})"""
_STATED: Final = sa.text(f"""
    SELECT DISTINCT ON (s.name) s.name, s.value, s.reason, s.recorded_at, s.recorded_by
    FROM metrics.stated_value AS s WHERE s.kind = :kind AND {_IN_TIME.format("s")} ORDER BY s.name, s.seq DESC
""")


def rate_listing(wanted: RateFilter, *, reporting: str) -> Listing[RateRow]:
    """Rates in the reporting currency, recorded last first."""
    conditions = ["r.reporting = :reporting", _IN_TIME.format("r")]
    values: dict[str, object] = {"reporting": reporting, "as_of": wanted.as_of}
    if wanted.currency is not None:
        conditions.append("r.currency = :currency")
        values["currency"] = wanted.currency
    if not wanted.replaced:
        conditions.append(_HOLDS)
    return Listing(_COLUMNS, "metrics.exchange_rate AS r", Where(tuple(conditions), values), _ORDER, _rate)


def _rate(row: Row) -> RateRow:
    return RateRow(
        currency=row.currency, valid_on=row.valid_on, rate=row.rate, reporting=row.reporting,
        recorded_at=row.recorded_at, recorded_by=row.recorded_by,
    )  # fmt: skip


def stated_numbers(conn: sa.Connection, kind: Stated, *, as_of: datetime | None) -> list[StatedNumber]:
    """All that can be stated, in the order of sync_core/finance.py."""
    held: Mapping[str, Row] = {row.name: row for row in conn.execute(_STATED, {"kind": kind.value, "as_of": as_of})}
    return [_number(name, number.says, held.get(name)) for name, number in NUMBERS[kind].items()]


def _number(name: str, says: str, row: Row | None) -> StatedNumber:
    if row is None:
        return StatedNumber(name, says, None, None, None, None)
    return StatedNumber(name, says, row.value, row.reason, row.recorded_at, row.recorded_by)
