"""What is stuck on its way to an ERP, by the money that waits and by the bill run that will be missed."""

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from typing import Final

import orjson

from sync_core.estate import bill_runs
from sync_core.estate.estate import Estate
from sync_core.journal.progress import State
from sync_core.money import Money
from sync_core.reads.paging import Listed, Listing, Order, Row, Where, Worked
from sync_core.reads.scope import OF_CONTRACT, Entities, bound
from sync_core.replay.selection import StuckFilter, stuck_where


class StuckSort(StrEnum):
    """Rows that lack the sorted value come last."""

    MONEY = "money"  # most exposure first
    BILL_RUN = "bill_run"  # the one that is to bill the contract, soonest first
    AGE = "age"  # longest in their state first


@dataclass(frozen=True, slots=True)
class StuckRow:
    """One contract that does not get on. Times are UTC."""

    contract_id: int
    source: str
    external_id: str
    title: str
    customer_code: str
    customer_name: str
    legal_entity: str
    lane: str
    state: State
    state_since: datetime
    age: timedelta  # in this state
    exposure: Money | None  # money that waits; None: the contract's currency is not known
    exposure_reporting: Money | None  # None: no exchange rate
    causes: tuple[str, ...]  # of its open exceptions
    functions: tuple[str, ...]
    error: str | None
    error_class: str | None
    bill_on: date | None
    bill_run_at: datetime | None  # that is to bill it; None: unknown entity, or not within HORIZON days
    to_bill_run: timedelta | None
    replay_id: int | None  # the confirmed replay that is about to do it


StuckPage = Listed[StuckRow]

HORIZON: Final = 400  # days ahead for which the bill run of a contract is worked out

COLUMNS: Final = """c.contract_id, c.source, c.external_id, c.title, c.customer_code, c.customer_name, c.legal_entity,
    c.lane, c.state, c.state_since, c.currency, c.bill_on, c.last_error, c.last_error_class, w.money, w.amount,
    w.causes, w.functions, b.bill_run_at,
    (SELECT i.replay_id FROM core.replay_item AS i
     WHERE i.contract_id = c.contract_id AND i.confirmed AND i.finished_at IS NULL) AS replay_id"""
# What waits, of the open exceptions `o` of contract `c`. Without one, all of the value waits for a first activation,
# and nothing that is known for a later one.
_WAITS: Final = """CROSS JOIN LATERAL (
        SELECT coalesce(o.reporting, CASE WHEN c.first_active_at IS NULL THEN c.value_reporting END) AS money,
               coalesce(o.exposure, CASE WHEN c.first_active_at IS NULL THEN c.value ELSE 0 END) AS amount,
               coalesce(o.causes, '{}') AS causes, coalesce(o.functions, '{}') AS functions
    ) AS w"""
_OPEN: Final = """SELECT k.contract_id, max(k.exposure_reporting) AS reporting, max(k.exposure) AS exposure,
               array_agg(k.cause ORDER BY k.cause) AS causes, array_agg(DISTINCT k.function) AS functions
        FROM core.case AS k WHERE k.state = 'open'"""
# A day for each legal entity: equality alone is joined fast, a range of days for each run would not be.
_RUN: Final = """
    LEFT JOIN unnest(CAST(:run_entities AS text[]), CAST(:run_days AS date[]), CAST(:runs AS timestamptz[]))
      AS b(entity, day, bill_run_at)
      ON b.entity = c.legal_entity AND b.day = greatest(c.bill_on,
          CAST(CAST(:run_todays AS jsonb) ->> c.legal_entity AS date))"""
# To rank by money is to know it of every contract: exceptions are added up once for all (0.17 s instead of 0.4 s over
# 100,000). The other orders look at the exceptions of the contracts on the page alone.
_OF_ALL: Final = f"LEFT JOIN ({_OPEN} GROUP BY k.contract_id) AS o ON o.contract_id = c.contract_id {_WAITS}"
_OF_EACH: Final = f"""
    LEFT JOIN LATERAL ({_OPEN} AND k.contract_id = c.contract_id GROUP BY k.contract_id) AS o ON true {_WAITS}"""
_NEEDS: Final = """c.contract_id, c.legal_entity, c.state, c.state_since, c.bill_on, c.first_active_at, c.value,
    c.value_reporting"""
# What has money that waits: never active, or with an open exception.
_MAY_WAIT: Final = """c.contract_id IN (
    SELECT n.contract_id FROM core.contract AS n WHERE n.first_active_at IS NULL AND {of_state}
    UNION ALL SELECT k.contract_id FROM core.case AS k WHERE k.state = 'open')"""
_ORDERS: Final = {
    StuckSort.MONEY: Order("w.money", descending=True, nullable=True, kind=Decimal, row_id="c.contract_id"),
    StuckSort.BILL_RUN: Order("b.bill_run_at", descending=False, nullable=True, kind=datetime, row_id="c.contract_id"),
    StuckSort.AGE: Order("c.state_since", descending=False, nullable=False, kind=datetime, row_id="c.contract_id"),
}


def stuck_listing(
    wanted: StuckFilter, sort: StuckSort, *, now: datetime, estate: Estate, entities: Entities
) -> Listing[StuckRow]:
    """What meets the filter (see sync_core/replay/selection.py: the same that a replay is selected by)."""
    conditions, values = stuck_where(wanted)
    where = Where((*conditions, OF_CONTRACT), {**values, **bound(entities), **_runs(estate, now)})
    reporting = estate.group.reporting_currency
    return Listing(
        COLUMNS,
        f"core.contract AS c {_RUN} {_OF_EACH}",
        where,
        _ORDERS[sort],
        lambda row: _row(row, now=now, reporting=reporting),
        worked=_worked(wanted, sort),
    )


def _worked(wanted: StuckFilter, sort: StuckSort) -> Worked:
    if sort is StuckSort.MONEY:
        of_state = "n.state = :state" if len(wanted.states) == 1 else "n.state = ANY(:states)"
        valued = _MAY_WAIT.format(of_state=of_state if wanted.states else "true")
        return Worked("core.contract AS c", _NEEDS, _OF_ALL, _OF_EACH, valued)
    joins = _RUN if sort is StuckSort.BILL_RUN else ""
    return Worked("core.contract AS c", _NEEDS, joins, joins, "true")


def _runs(estate: Estate, now: datetime) -> dict[str, object]:
    """What _RUNS binds: which run bills which day of which legal entity; what is past is billed as of today."""
    found = [
        (entity.code, day, at) for entity in estate.entity for day, at in bill_runs.by_day(entity, now, days=HORIZON)
    ]
    todays: dict[str, str] = {}
    for code, day, _ in found:
        todays.setdefault(code, day.isoformat())
    return {
        "run_entities": [code for code, _, _ in found],
        "run_days": [day for _, day, _ in found],
        "runs": [at for _, _, at in found],
        "run_todays": orjson.dumps(todays).decode(),
    }


def _row(row: Row, *, now: datetime, reporting: str) -> StuckRow:
    return StuckRow(
        contract_id=row.contract_id,
        source=row.source,
        external_id=row.external_id,
        title=row.title,
        customer_code=row.customer_code,
        customer_name=row.customer_name,
        legal_entity=row.legal_entity,
        lane=row.lane,
        state=State(row.state),
        state_since=row.state_since,
        age=max(now - row.state_since, timedelta(0)),
        exposure=Money(row.amount, row.currency) if row.currency else None,
        exposure_reporting=None if row.money is None else Money(row.money, reporting),
        causes=tuple(row.causes),
        functions=tuple(row.functions),
        error=row.last_error,
        error_class=row.last_error_class,
        bill_on=row.bill_on,
        bill_run_at=row.bill_run_at,
        to_bill_run=None if row.bill_run_at is None else row.bill_run_at - now,
        replay_id=row.replay_id,
    )
