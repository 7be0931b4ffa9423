"""Everything known of one contract: what was agreed, what was done about it, what the ERP holds, what hinders it."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from uuid import UUID

import sqlalchemy as sa

from sync_core.contract import Contract
from sync_core.desired import Scalar
from sync_core.life.agreements import DayAt
from sync_core.money import Money
from sync_core.reads.contracts import COLUMNS, ContractRow, contract_row
from sync_core.reads.exceptions import COLUMNS as CASE_COLUMNS
from sync_core.reads.exceptions import ExceptionRow, exception_row
from sync_core.reads.invoices import Invoice, invoices
from sync_core.reads.revenue import Revenue, revenue
from sync_core.reads.scope import CONTRACT, Entities, bound
from sync_core.reads.timeline import Moment, StoredEvent, flat, history
from sync_core.unreported import unreported

MAX_EVENTS, MAX_RUNS = 1_000, 50


@dataclass(frozen=True, slots=True)
class Operation:
    """One thing done in an ERP, or decided against. `before` and `after` hold the fields that differ."""

    step: int
    system: str
    action: str
    kind: str
    business_key: str
    ref: str | None
    status: str
    before: Mapping[str, Scalar] | None
    after: Mapping[str, Scalar] | None
    error_class: str | None
    error: str | None
    span_id: str | None
    started_at: datetime
    finished_at: datetime


@dataclass(frozen=True, slots=True)
class Run:
    """One reconciliation with its operations in order."""

    run_id: UUID
    rev: int
    lane: str
    worker_id: int | None
    outcome: str
    state: str
    correlation_id: str
    trace_id: str | None
    started_at: datetime
    finished_at: datetime
    error_class: str | None
    error: str | None
    operations: tuple[Operation, ...]


@dataclass(frozen=True, slots=True)
class CaseMoment:
    what: str  # opened, reopened, resolved
    function: str
    occurred_at: datetime


@dataclass(frozen=True, slots=True)
class CaseDetail:
    case: ExceptionRow
    history: tuple[CaseMoment, ...]


@dataclass(frozen=True, slots=True)
class ErpObject:
    """What an ERP was last read to hold for the contract; customer and labour categories are shared."""

    system: str
    kind: str
    business_key: str
    state: str
    ref: str | None
    fields: Mapping[str, Scalar] | None
    confirmed_at: datetime | None
    shared: bool


@dataclass(frozen=True, slots=True)
class Financial:
    """One status of an invoice, payment or dispute; a later status is a further row. Or a posting of revenue."""

    system: str
    kind: str
    ref: str
    invoice_ref: str | None
    money: Money
    status: str
    occurred_on: date
    recorded_at: datetime
    line: str | None = None  # of a posting: key of the contract line
    reverses: str | None = None  # of a posting: the one that it takes back


@dataclass(frozen=True, slots=True)
class Reached:
    step: str
    amendment: int | None
    occurred_at: datetime
    recorded_at: datetime


@dataclass(frozen=True, slots=True)
class ContractDetail:
    """Times are UTC. Runs newest first (50 at most), all else oldest first. `contract` None: no event can be read."""

    summary: ContractRow
    last_error_class: str | None
    correlation_id: str | None  # of the newest event
    contract: Contract | None
    terms: Mapping[str, str]  # the contract in words, field by field
    timeline: tuple[Moment, ...]
    more_events: bool  # older ones are not shown, and `contract` is not folded from them
    runs: tuple[Run, ...]
    cases: tuple[CaseDetail, ...]
    objects: tuple[ErpObject, ...]
    financials: tuple[Financial, ...]
    progress: tuple[Reached, ...]
    silent: tuple[str, ...] = ()  # ERPs that bill it and report no revenue
    unasked: tuple[str, ...] = ()  # those that nobody has asked yet whether they do

    @property
    def revenue(self) -> Revenue:
        """What was recognised, by contract line."""
        return revenue(self.financials, self.silent, self.unasked)

    @property
    def invoices(self) -> tuple[Invoice, ...]:
        """One each, with its latest status."""
        return invoices(self.financials)


_BY_ID = sa.text(f"""
    SELECT {COLUMNS}, last_error_class, customer_code FROM core.contract WHERE contract_id = :contract AND {CONTRACT}
""")
_BY_KEY = sa.text(f"""
    SELECT {COLUMNS}, last_error_class, customer_code FROM core.contract
    WHERE source = :source AND external_id = :external_id AND {CONTRACT}
""")
_EVENTS = sa.text("""
    SELECT seq, source, id, type, occurred_at, recorded_at, received_by, correlation_id, CAST(data AS text) AS data
    FROM core.event WHERE source = :source AND external_id = :external_id ORDER BY seq DESC LIMIT :rows
""")
_RUNS = sa.text("""
    SELECT run_id, rev, lane, worker_id, outcome, state, correlation_id, trace_id, started_at, finished_at,
           error_class, error
    FROM core.run WHERE contract_id = :contract ORDER BY started_at DESC LIMIT :rows
""")
_OPERATIONS = sa.text("""
    SELECT run_id, step, system, action, kind, business_key, ref, status, before, after, error_class, error, span_id,
           started_at, finished_at
    FROM core.operation WHERE run_id = ANY(:runs) ORDER BY run_id, step
""")
_CASES = sa.text(f"""
    SELECT {CASE_COLUMNS} FROM core.case AS k JOIN core.contract AS c USING (contract_id)
    WHERE contract_id = :contract ORDER BY k.opened_at, k.case_id
""")
_CASE_HISTORY = sa.text("""
    SELECT case_id, what, function, occurred_at FROM core.case_history WHERE case_id = ANY(:cases) ORDER BY occurred_at
""")
# The shared objects belong to no contract; the terms name them.
_OBJECTS = sa.text("""
    SELECT system, kind, business_key, state, ref, fields, confirmed_at, false AS shared
    FROM core.crosswalk WHERE contract_id = :contract
    UNION ALL
    SELECT system, kind, business_key, state, ref, fields, confirmed_at, true
    FROM core.crosswalk WHERE system = :lane AND kind = 'customer' AND business_key = :customer
    UNION ALL
    SELECT system, kind, business_key, state, ref, fields, confirmed_at, true
    FROM core.crosswalk WHERE system = :lane AND kind = 'labour_category' AND business_key = ANY(:categories)
    ORDER BY 2, 3
""")
_FINANCIALS = sa.text("""
    SELECT coalesce(of_system, system) AS system, kind, ref, invoice_ref, amount, currency, status, occurred_on,
           recorded_at, line_key, reverses_ref
    FROM core.financial_fact WHERE contract_id = :contract ORDER BY occurred_on, recorded_at, recorded_xid, ref
""")
_UNREPORTED = sa.text(unreported("= :contract"))
_PROGRESS = sa.text("""
    SELECT step, amendment, occurred_at, recorded_at FROM core.progress
    WHERE contract_id = :contract ORDER BY occurred_at, recorded_at
""")


def contract_by_id(
    conn: sa.Connection,
    contract_id: int,
    *,
    now: datetime,
    reporting: str,
    entities: Entities,
    cases_of: Entities,
    day_at: DayAt,
) -> ContractDetail | None:
    """None when there is no such contract of these legal entities; its exceptions if it is one of `cases_of`."""
    found = conn.execute(_BY_ID, {"contract": contract_id, **bound(entities)})
    return _detail(conn, found, now=now, reporting=reporting, cases_of=cases_of, day_at=day_at)


def contract_by_key(
    conn: sa.Connection,
    source: str,
    external_id: str,
    *,
    now: datetime,
    reporting: str,
    entities: Entities,
    cases_of: Entities,
    day_at: DayAt,
) -> ContractDetail | None:
    """None when there is no such contract of these legal entities; its exceptions if it is one of `cases_of`."""
    found = conn.execute(_BY_KEY, {"source": source, "external_id": external_id, **bound(entities)})
    return _detail(conn, found, now=now, reporting=reporting, cases_of=cases_of, day_at=day_at)


def _detail(
    conn: sa.Connection,
    found: sa.CursorResult[tuple[object, ...]],
    *,
    now: datetime,
    reporting: str,
    cases_of: Entities,
    day_at: DayAt,
) -> ContractDetail | None:
    row = found.one_or_none()
    if row is None:
        return None
    newest = conn.execute(_EVENTS, {"source": row.source, "external_id": row.external_id, "rows": MAX_EVENTS + 1}).all()
    told = history([StoredEvent(*event) for event in reversed(newest[:MAX_EVENTS])], day_at)
    terms = told.contract.terms if told.contract else None
    categories = sorted({rate.category for rate in terms.rates}) if terms else []
    mine = {"contract": row.contract_id}
    unknown = conn.execute(_UNREPORTED, mine).all()
    shared = {**mine, "lane": row.lane, "customer": row.customer_code, "categories": categories}
    return ContractDetail(
        summary=contract_row(row, now=now, reporting=reporting),
        last_error_class=row.last_error_class,
        correlation_id=newest[0].correlation_id if newest else None,
        contract=told.contract,
        terms=flat(told.contract) if told.contract else {},
        timeline=told.moments,
        more_events=len(newest) > MAX_EVENTS,
        runs=_runs(conn, row.contract_id),
        cases=_cases(conn, row.contract_id, reporting) if cases_of is None or row.legal_entity in cases_of else (),
        objects=tuple(ErpObject(*held) for held in conn.execute(_OBJECTS, shared)),
        financials=tuple(
            Financial(f.system, f.kind, f.ref, f.invoice_ref, Money(f.amount, f.currency), f.status, f.occurred_on,
                      f.recorded_at, f.line_key, f.reverses_ref)
            for f in conn.execute(_FINANCIALS, mine)
        ),
        progress=tuple(Reached(*reached) for reached in conn.execute(_PROGRESS, mine)),
        silent=tuple(one.system for one in unknown if one.asked),
        unasked=tuple(one.system for one in unknown if not one.asked),
    )  # fmt: skip


def _runs(conn: sa.Connection, contract_id: int) -> tuple[Run, ...]:
    rows = conn.execute(_RUNS, {"contract": contract_id, "rows": MAX_RUNS}).all()
    operations: dict[UUID, list[Operation]] = {row.run_id: [] for row in rows}
    if rows:
        for run_id, *rest in conn.execute(_OPERATIONS, {"runs": list(operations)}):
            operations[run_id].append(Operation(*rest))
    return tuple(Run(*(*row, tuple(operations[row.run_id]))) for row in rows)


def _cases(conn: sa.Connection, contract_id: int, reporting: str) -> tuple[CaseDetail, ...]:
    rows = conn.execute(_CASES, {"contract": contract_id}).all()
    moments: dict[int, list[CaseMoment]] = {row.case_id: [] for row in rows}
    if rows:
        for case_id, *rest in conn.execute(_CASE_HISTORY, {"cases": list(moments)}):
            moments[case_id].append(CaseMoment(*rest))
    return tuple(CaseDetail(exception_row(row, reporting=reporting), tuple(moments[row.case_id])) for row in rows)
