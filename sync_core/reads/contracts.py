"""The list of contracts: found, filtered, sorted and paged by the database."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from sync_core.journal.progress import State
from sync_core.life.life_row import RenewalState
from sync_core.money import Money
from sync_core.reads.paging import Listed, Listing, Order, Row, Where
from sync_core.reads.scope import CONTRACT, Entities, bound

if TYPE_CHECKING:
    import pandas as pd

# Trigrams need three characters; shorter text is looked for at the start of the contract's id.
_TRIGRAM, _LONGEST = 3, 200


class Sort(StrEnum):
    """Rows that lack the sorted value come last, whichever way."""

    VALUE = "value"  # most money first, in the reporting currency
    SIGNED = "signed"  # newest signature first
    UPDATED = "updated"  # latest change first
    AGE = "age"  # oldest signature first


@dataclass(frozen=True, slots=True)
class ContractFilter:
    """Empty fields do not filter. `text` is searched in id, title, customer and project reference, any case."""

    text: str = ""
    external_id: str = ""  # the whole id in its CLM; those of two CLMs may be the same
    states: tuple[State, ...] = ()
    legal_entity: str = ""
    service_line: str = ""
    billing: str = ""
    lane: str = ""
    function: str = ""  # has an open exception with this business function
    tests: bool = False  # trial contracts too


@dataclass(frozen=True, slots=True)
class ContractRow:
    """One contract in a list. Times are UTC."""

    contract_id: int
    source: str
    external_id: str
    title: str
    customer_name: str
    legal_entity: str
    service_line: str
    geography: str
    billing: str
    lane: str
    state: State
    state_since: datetime
    signed_at: datetime | None
    first_active_at: datetime | None
    updated_at: datetime
    value: Money | None  # None: the currency is not known yet
    value_reporting: Money | None  # None: no exchange rate
    bill_on: date | None
    project_ref: str | None
    last_error: str | None
    functions: tuple[str, ...]  # those with an open exception
    suspension: str  # in words; empty: it is not suspended
    renewal: RenewalState
    renews_on: date | None
    notice_by: date | None
    age: timedelta | None  # since the signature: until active, or until now


ContractPage = Listed[ContractRow]

COLUMNS: Final = """
    contract_id, source, external_id, title, customer_name, legal_entity, service_line, geography, billing, lane,
    state, state_since, signed_at, first_active_at, updated_at, value, currency, value_reporting, bill_on, project_ref,
    last_error, suspension, renewal, renews_on, notice_by, ARRAY(SELECT DISTINCT k.function FROM core.case AS k
                      WHERE k.contract_id = contract.contract_id AND k.state = 'open') AS functions
"""
_ORDERS: Final = {
    Sort.VALUE: Order("value_reporting", descending=True, nullable=True, kind=Decimal, row_id="contract_id"),
    Sort.SIGNED: Order("signed_at", descending=True, nullable=True, kind=datetime, row_id="contract_id"),
    Sort.UPDATED: Order("updated_at", descending=True, nullable=False, kind=datetime, row_id="contract_id"),
    Sort.AGE: Order("signed_at", descending=False, nullable=True, kind=datetime, row_id="contract_id"),
}
# Word for word the expression of the index contract_search; another spelling would scan the table.
_SEARCHED = "(external_id || ' ' || title || ' ' || customer_name || ' ' || coalesce(project_ref, ''))"
_WITH_CASE = """EXISTS (SELECT 1 FROM core.case AS k
    WHERE k.contract_id = contract.contract_id AND k.state = 'open' AND k.function = :function)"""


def contract_listing(
    wanted: ContractFilter, sort: Sort, *, now: datetime, reporting: str, entities: Entities = None
) -> Listing[ContractRow]:
    """The contracts of these legal entities that meet the filter, to be read page by page."""
    return Listing(
        COLUMNS,
        "core.contract",
        _where(wanted, entities),
        _ORDERS[sort],
        lambda row: contract_row(row, now=now, reporting=reporting),
    )


def _where(wanted: ContractFilter, entities: Entities) -> Where:
    conditions: list[str] = [] if wanted.tests else ["NOT test"]
    values: dict[str, object] = {}
    if entities is not None:
        conditions.append(CONTRACT)
        values |= bound(entities)
    for name in ("external_id", "legal_entity", "service_line", "billing", "lane"):
        if value := getattr(wanted, name):
            conditions.append(f"{name} = :{name}")
            values[name] = value
    if wanted.states:
        conditions.append("state = ANY(:states)")
        values["states"] = [state.value for state in wanted.states]
    if wanted.function:
        conditions.append(_WITH_CASE)
        values["function"] = wanted.function
    if text := wanted.text.replace("\0", "").strip()[:_LONGEST]:
        long = len(text) >= _TRIGRAM
        conditions.append(f"{_SEARCHED} ILIKE :pattern" if long else "external_id LIKE :pattern")
        values["pattern"] = f"%{_literal(text)}%" if long else f"{_literal(text)}%"
    return Where(tuple(conditions), values)


def _literal(text: str) -> str:
    """Text that LIKE takes as it stands."""
    return text.replace("\\", r"\\").replace("%", r"\%").replace("_", r"\_")


def contract_row(row: Row, *, now: datetime, reporting: str) -> ContractRow:
    age = None if row.signed_at is None else max((row.first_active_at or now) - row.signed_at, timedelta(0))
    return ContractRow(
        contract_id=row.contract_id,
        source=row.source,
        external_id=row.external_id,
        title=row.title,
        customer_name=row.customer_name,
        legal_entity=row.legal_entity,
        service_line=row.service_line,
        geography=row.geography,
        billing=row.billing,
        lane=row.lane,
        state=State(row.state),
        state_since=row.state_since,
        signed_at=row.signed_at,
        first_active_at=row.first_active_at,
        updated_at=row.updated_at,
        value=Money(row.value, row.currency) if row.currency else None,
        value_reporting=None if row.value_reporting is None else Money(row.value_reporting, reporting),
        bill_on=row.bill_on,
        project_ref=row.project_ref,
        last_error=row.last_error,
        functions=tuple(row.functions),
        suspension=row.suspension,
        renewal=RenewalState(row.renewal or ""),
        renews_on=row.renews_on,
        notice_by=row.notice_by,
        age=age,
    )


def contracts_frame(page: ContractPage) -> "pd.DataFrame":
    """A page as a table: see `contracts_table`."""
    return contracts_table(page.rows)


def contracts_table(listed: Sequence[ContractRow]) -> "pd.DataFrame":
    """A row per contract in the order given, indexed by contract_id.

    Columns: contract, title, customer, entity, service_line, billing, lane, state, signed_at (UTC), age_h (hours),
    value (Decimal, in `currency`), currency, value_reporting (Decimal, reporting currency), bill_on, project,
    exceptions (functions, comma-separated), updated_at (UTC).
    """
    import pandas as pd

    rows = [
        {
            "contract_id": row.contract_id,
            "contract": row.external_id,
            "title": row.title,
            "customer": row.customer_name,
            "entity": row.legal_entity,
            "service_line": row.service_line,
            "billing": row.billing,
            "lane": row.lane,
            "state": row.state.value,
            "signed_at": row.signed_at,
            "age_h": None if row.age is None else row.age.total_seconds() / 3600,
            "value": row.value.amount if row.value else None,
            "currency": row.value.currency if row.value else "",
            "value_reporting": row.value_reporting.amount if row.value_reporting else None,
            "bill_on": row.bill_on,
            "project": row.project_ref or "",
            "exceptions": ", ".join(row.functions),
            "updated_at": row.updated_at,
        }
        for row in listed
    ]
    return pd.DataFrame(rows, columns=_FRAME).set_index("contract_id")


_FRAME = [
    "contract_id", "contract", "title", "customer", "entity", "service_line", "billing", "lane", "state", "signed_at",
    "age_h", "value", "currency", "value_reporting", "bill_on", "project", "exceptions", "updated_at",
]  # fmt: skip
