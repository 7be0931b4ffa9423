"""The list of exceptions, with the contract each one holds up."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum
from typing import TYPE_CHECKING, Final, Literal

from sync_core.errors import ErrorClass
from sync_core.money import Money
from sync_core.reads.ages import IN_BUCKET, Cuts
from sync_core.reads.paging import Listed, Listing, Order, Row, Where
from sync_core.reads.scope import CASES, NOT_OF_A_TEST, OF_CONTRACT, Entities, bound

if TYPE_CHECKING:
    import pandas as pd


class ExceptionSort(StrEnum):
    MONEY = "money"  # most exposure first
    AGE = "age"  # oldest first
    DUE = "due"  # soonest due first


@dataclass(frozen=True, slots=True)
class ExceptionFilter:
    """Empty fields do not filter. `state` "all" lists closed ones too, "closed" both resolved and decided ones."""

    function: str = ""
    cause: str = ""
    error_class: str = ""
    severity: str = ""
    legal_entity: str = ""
    service_line: str = ""
    geography: str = ""
    billing: str = ""
    state: Literal["open", "resolved", "decided", "closed", "all"] = "open"
    tests: bool = False
    assignee: str = ""
    unassigned: bool = False
    acknowledged: bool | None = None
    group: str = ""  # a group_key
    age: int | None = None  # index into WORKING_BUCKETS
    due_before: datetime | None = None
    text: str = ""  # in the contract's id, title, project or customer


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
    resolved_at: datetime | None  # when it was closed; closed_how says by what
    first_opened_at: datetime | None = None  # if it reopened since
    operation: str = ""  # where it arose: "check.contract", "project.create"
    group_key: str = ""
    assignee: str | None = None
    acknowledged_at: datetime | None = None
    acknowledged_by: str | None = None
    version: int = 1
    closed_how: str | None = None  # read_back, checked, decision
    decided_by: str | None = None  # of an open one: who approved it
    decided_reason: str | None = None


ExceptionPage = Listed[ExceptionRow]

COLUMNS: Final = """k.case_id, contract_id, c.external_id, c.title, c.customer_name, c.legal_entity, k.cause,
    k.error_class, k.function, k.severity, k.message, k.exposure, k.currency, k.exposure_reporting, k.bill_on, k.state,
    k.occurrences, k.opened_at, k.seen_at, k.due_at, k.resolved_at, k.first_opened_at, k.operation, k.group_key,
    k.assignee, k.acknowledged_at, k.acknowledged_by, k.version, k.closed_how, k.decided_by, k.decided_reason"""
_ORDERS: Final = {
    ExceptionSort.MONEY: Order("k.exposure_reporting", True, True, Decimal, "k.case_id"),
    ExceptionSort.AGE: Order("k.opened_at", False, False, datetime, "k.case_id"),
    ExceptionSort.DUE: Order("k.due_at", False, True, datetime, "k.case_id"),
}


def exception_listing(
    wanted: ExceptionFilter, sort: ExceptionSort, *, reporting: str, entities: Entities = None, cuts: Cuts | None = None
) -> Listing[ExceptionRow]:
    """The exceptions of these legal entities that meet the filter, to be read page by page. `cuts`: for its age."""
    return Listing(
        COLUMNS,
        CASES,
        where(wanted, entities, cuts),
        _ORDERS[sort],
        lambda row: exception_row(row, reporting=reporting),
    )


def where(wanted: ExceptionFilter, entities: Entities, cuts: Cuts | None = None) -> Where:
    conditions: list[str] = [] if wanted.tests else [NOT_OF_A_TEST]
    values: dict[str, object] = {}
    if entities is not None:
        conditions.append(OF_CONTRACT)
        values |= bound(entities)
    for column in _EQUAL:
        name = column[2:]
        if value := getattr(wanted, name):
            conditions.append(f"{column} = :{name}")
            values[name] = value
    if wanted.state != "all":
        # Spelled out, so that the partial index case_open serves it.
        conditions.append(_STATES[wanted.state])
    _add_work(wanted, conditions, values)
    if wanted.age is not None and cuts is not None:
        conditions.append(IN_BUCKET)
        values |= cuts.bucket(wanted.age)
    return Where(tuple(conditions), values)


_EQUAL: Final = (
    "k.function", "k.cause", "k.error_class", "k.severity", "c.legal_entity", "c.service_line", "c.geography",
    "c.billing",
)  # fmt: skip
_STATES: Final = {
    "open": "k.state = 'open'",
    "resolved": "k.state = 'resolved'",
    "decided": "k.state = 'decided'",
    "closed": "k.state <> 'open'",
}
# Word for word the expression of the index contract_search; another spelling would scan the table.
_SEARCHED = "(c.external_id || ' ' || c.title || ' ' || c.customer_name || ' ' || coalesce(c.project_ref, ''))"
_LONGEST_SEARCH = 200


def _add_work(wanted: ExceptionFilter, conditions: list[str], values: dict[str, object]) -> None:
    """Who has it, what it is like, until when."""
    given = {"k.assignee = :assignee": wanted.assignee, "k.group_key = :group_key": wanted.group}
    for condition, value in given.items():
        if value:
            conditions.append(condition)
            values[condition.partition(":")[2]] = value.replace("\0", "")
    if wanted.unassigned:
        conditions.append("k.assignee IS NULL")
    if wanted.acknowledged is not None:
        conditions.append(f"k.acknowledged_at IS {'NOT ' if wanted.acknowledged else ''}NULL")
    if wanted.due_before is not None:
        conditions.append("k.due_at < :due_before")
        values["due_before"] = wanted.due_before
    if text := wanted.text.replace("\0", "").strip()[:_LONGEST_SEARCH]:
        conditions.append(f"{_SEARCHED} ILIKE :pattern")
        values["pattern"] = f"%{_SPECIAL.sub(_ESCAPED, text)}%"


_SPECIAL, _ESCAPED = re.compile(r"[\\%_]"), r"\\\g<0>"  # LIKE takes the text as it stands


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
        first_opened_at=row.first_opened_at,
        operation=row.operation,
        group_key=row.group_key,
        assignee=row.assignee,
        acknowledged_at=row.acknowledged_at,
        acknowledged_by=row.acknowledged_by,
        version=row.version,
        closed_how=row.closed_how,
        decided_by=row.decided_by,
        decided_reason=row.decided_reason,
    )


def exceptions_frame(page: ExceptionPage, *, now: datetime) -> "pd.DataFrame":
    """A page as a table: see `exceptions_table`."""
    return exceptions_table(page.rows, now=now)


def exceptions_table(listed: Sequence[ExceptionRow], *, now: datetime) -> "pd.DataFrame":
    """A row per exception in the order given, indexed by case_id.

    Columns: contract, title, customer, entity, cause, function, severity, exposure (Decimal, in `currency`), currency,
    exposure_reporting (Decimal, reporting currency), age_h (hours since opened, until resolved or `now`), due_at and
    opened_at (UTC), occurrences, message.
    """
    import pandas as pd

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
        for row in listed
    ]
    return pd.DataFrame(rows, columns=_FRAME).set_index("case_id")


_FRAME = [
    "case_id", "contract", "title", "customer", "entity", "cause", "function", "severity", "exposure", "currency",
    "exposure_reporting", "age_h", "due_at", "opened_at", "occurrences", "message",
]  # fmt: skip
