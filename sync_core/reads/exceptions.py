"""The list of exceptions, with the contract each one holds up."""

from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum
from typing import Final, Literal

import pandas as pd

from sync_core.errors import ErrorClass
from sync_core.money import Money
from sync_core.reads.paging import Listed, Listing, Order, Row, Where


class ExceptionSort(StrEnum):
    MONEY = "money"  # most exposure first
    AGE = "age"  # oldest first
    DUE = "due"  # soonest due first


@dataclass(frozen=True, slots=True)
class ExceptionFilter:
    """Empty fields do not filter. `state` "all" lists resolved ones too."""

    function: str = ""
    cause: str = ""
    error_class: str = ""
    severity: str = ""
    legal_entity: str = ""
    state: Literal["open", "resolved", "all"] = "open"
    tests: bool = False


@dataclass(frozen=True, slots=True)
class ExceptionRow:
    """One exception. Times are UTC."""

    case_id: int
    contract_id: int
    external_id: str
    title: str
    customer_name: str
    legal_entity: str
    cause: str
    error_class: ErrorClass
    function: str
    severity: str
    message: str
    exposure: Money | None  # None: the contract's currency is not known
    exposure_reporting: Money | None  # None: no exchange rate
    bill_on: date | None
    state: str
    occurrences: int
    opened_at: datetime
    seen_at: datetime
    due_at: datetime | None
    resolved_at: datetime | None


ExceptionPage = Listed[ExceptionRow]

_FROM: Final = "core.case AS k JOIN core.contract AS c USING (contract_id)"
COLUMNS: Final = """k.case_id, contract_id, c.external_id, c.title, c.customer_name, c.legal_entity, k.cause,
    k.error_class, k.function, k.severity, k.message, k.exposure, k.currency, k.exposure_reporting, k.bill_on, k.state,
    k.occurrences, k.opened_at, k.seen_at, k.due_at, k.resolved_at"""
_ORDERS: Final = {
    ExceptionSort.MONEY: Order("k.exposure_reporting", True, True, Decimal, "k.case_id"),
    ExceptionSort.AGE: Order("k.opened_at", False, False, datetime, "k.case_id"),
    ExceptionSort.DUE: Order("k.due_at", False, True, datetime, "k.case_id"),
}


def exception_listing(wanted: ExceptionFilter, sort: ExceptionSort, *, reporting: str) -> Listing[ExceptionRow]:
    """The exceptions that meet the filter, to be read page by page."""
    return Listing(COLUMNS, _FROM, _where(wanted), _ORDERS[sort], lambda row: exception_row(row, reporting=reporting))


def _where(wanted: ExceptionFilter) -> Where:
    conditions: list[str] = [] if wanted.tests else ["NOT c.test"]
    values: dict[str, object] = {}
    for column in ("k.function", "k.cause", "k.error_class", "k.severity", "c.legal_entity"):
        name = column[2:]
        if value := getattr(wanted, name):
            conditions.append(f"{column} = :{name}")
            values[name] = value
    if wanted.state != "all":
        # Spelled out, so that the partial index case_open serves it.
        conditions.append("k.state = 'open'" if wanted.state == "open" else "k.state = 'resolved'")
    return Where(tuple(conditions), values)


def exception_row(row: Row, *, reporting: str) -> ExceptionRow:
    return ExceptionRow(
        case_id=row.case_id,
        contract_id=row.contract_id,
        external_id=row.external_id,
        title=row.title,
        customer_name=row.customer_name,
        legal_entity=row.legal_entity,
        cause=row.cause,
        error_class=ErrorClass(row.error_class),
        function=row.function,
        severity=row.severity,
        message=row.message,
        exposure=Money(row.exposure, row.currency) if row.currency else None,
        exposure_reporting=None if row.exposure_reporting is None else Money(row.exposure_reporting, reporting),
        bill_on=row.bill_on,
        state=row.state,
        occurrences=row.occurrences,
        opened_at=row.opened_at,
        seen_at=row.seen_at,
        due_at=row.due_at,
        resolved_at=row.resolved_at,
    )


def exceptions_frame(page: ExceptionPage, *, now: datetime) -> pd.DataFrame:
    """A page as a table, a row per exception in its order, indexed by case_id.

    Columns: contract, title, customer, entity, cause, function, severity, exposure (Decimal, in `currency`), currency,
    exposure_reporting (Decimal, reporting currency), age_h (hours since opened, until resolved or `now`), due_at and
    opened_at (UTC), occurrences, message.
    """
    rows = [
        {
            "case_id": row.case_id,
            "contract": row.external_id,
            "title": row.title,
            "customer": row.customer_name,
            "entity": row.legal_entity,
            "cause": row.cause,
            "function": row.function,
            "severity": row.severity,
            "exposure": row.exposure.amount if row.exposure else None,
            "currency": row.exposure.currency if row.exposure else "",
            "exposure_reporting": row.exposure_reporting.amount if row.exposure_reporting else None,
            "age_h": ((row.resolved_at or now) - row.opened_at).total_seconds() / 3600,
            "due_at": row.due_at,
            "opened_at": row.opened_at,
            "occurrences": row.occurrences,
            "message": row.message,
        }
        for row in page.rows
    ]
    return pd.DataFrame(rows, columns=_FRAME).set_index("case_id")


_FRAME = [
    "case_id", "contract", "title", "customer", "entity", "cause", "function", "severity", "exposure", "currency",
    "exposure_reporting", "age_h", "due_at", "opened_at", "occurrences", "message",
]  # fmt: skip
