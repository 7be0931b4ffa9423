"""What is to be renewed: by when somebody has to act, what comes by itself, what was declined, and the money in it."""

from dataclasses import dataclass
from datetime import date, timedelta
from typing import Final

import sqlalchemy as sa

from sync_core.journal.progress import State
from sync_core.life.life_row import RenewalState
from sync_core.money import Money
from sync_core.reads.amounts import MoneyTotal, Part, add_up
from sync_core.reads.paging import Listed, Listing, Order, Row, Where
from sync_core.reads.scope import CONTRACT, Entities, bound

SHOWN: Final = tuple(state for state in RenewalState if state is not RenewalState.NONE)
MOST_DAYS: Final = 3_650


@dataclass(frozen=True, slots=True)
class RenewalFilter:
    """Due within so many days of today; what is due already and has not come to pass is always in it."""

    days: int = 90
    legal_entity: str = ""
    states: tuple[RenewalState, ...] = ()
    tests: bool = False  # trial contracts too


@dataclass(frozen=True, slots=True)
class RenewalRow:
    """`due_on`: the notice date, else the renewal; of a declined one, the last day. `passed`: that day has. `alerted`:
    smallest days ahead.
    """

    contract_id: int
    source: str
    external_id: str
    title: str
    customer_name: str
    legal_entity: str
    renewal: RenewalState
    due_on: date
    passed: bool
    notice_by: date | None
    renews_on: date | None
    state: State
    value: Money | None
    value_reporting: Money | None  # None: no exchange rate
    alerted: int | None


RenewalPage = Listed[RenewalRow]

_COLUMNS: Final = """
    contract_id, source, external_id, title, customer_name, legal_entity, renewal, renewal_due, notice_by, renews_on,
    state, value, currency, value_reporting, renewal_due < :today AS passed, turn,
    (SELECT min(a.days_ahead) FROM core.renewal_alert AS a
     WHERE a.contract_id = contract.contract_id AND a.notice_by = contract.notice_by) AS alerted
"""
# What is ahead first, the nearest of it; then what has passed, of which nothing can be done in time any more.
_BEHIND: Final = 36_525  # days: no renewal is so far ahead
_SOURCE: Final = f"""(
    SELECT *, renewal_due + CASE WHEN renewal_due < :today THEN {_BEHIND} ELSE 0 END AS turn FROM core.contract
) AS contract"""
_ORDER: Final = Order("turn", descending=False, nullable=False, kind=date, row_id="contract_id")
# Over: a renewal that was to be agreed, whose day has passed without one.
_NEAR: Final = """renewal_due IS NOT NULL AND state NOT IN ('draft', 'ended') AND renewal_due <= :until
    AND (renewal = 'initiated' OR greatest(renewal_due, renews_on) >= :today)"""


def renewal_listing(
    wanted: RenewalFilter, *, today: date, reporting: str, entities: Entities = None
) -> Listing[RenewalRow]:
    """Those of these legal entities to be read page by page: the nearest first, what has passed last."""
    where = _where(wanted, today, entities)
    return Listing(_COLUMNS, _SOURCE, where, _ORDER, lambda row: _row(row, reporting))


def renewal_totals(
    conn: sa.Connection, wanted: RenewalFilter, *, today: date, reporting: str, entities: Entities = None
) -> dict[RenewalState, MoneyTotal]:
    """How many and how much money by what becomes of them, in the order of the states; what there is none of is left
    out.
    """
    where = _where(wanted, today, entities)
    rows = conn.execute(
        sa.text(f"""
            SELECT renewal, CASE WHEN value_reporting IS NULL THEN currency END AS unconverted, count(*) AS contracts,
                   sum(value_reporting) AS reporting, sum(value) AS amount
            FROM core.contract WHERE {where.sql()} GROUP BY 1, 2
        """),
        where.values,
    ).all()
    parts: dict[RenewalState, list[Part]] = {}
    for row in rows:
        part = Part(row.contracts, row.reporting, row.unconverted, row.amount)
        parts.setdefault(RenewalState(row.renewal), []).append(part)
    return {state: add_up(parts[state], reporting) for state in SHOWN if state in parts}


def _where(wanted: RenewalFilter, today: date, entities: Entities) -> Where:
    conditions = [_NEAR, CONTRACT]
    until = today + timedelta(days=min(max(wanted.days, 0), MOST_DAYS))
    values: dict[str, object] = {"today": today, "until": until, **bound(entities)}
    if not wanted.tests:
        conditions.append("NOT test")
    if wanted.legal_entity:
        conditions.append("legal_entity = :legal_entity")
        values["legal_entity"] = wanted.legal_entity
    if wanted.states:
        conditions.append("renewal = ANY(:renewals)")
        values["renewals"] = [state.value for state in wanted.states]
    return Where(tuple(conditions), values)


def _row(row: Row, reporting: str) -> RenewalRow:
    return RenewalRow(
        contract_id=row.contract_id,
        source=row.source,
        external_id=row.external_id,
        title=row.title,
        customer_name=row.customer_name,
        legal_entity=row.legal_entity,
        renewal=RenewalState(row.renewal),
        due_on=row.renewal_due,
        passed=row.passed,
        notice_by=row.notice_by,
        renews_on=row.renews_on,
        state=State(row.state),
        value=Money(row.value, row.currency) if row.currency else None,
        value_reporting=None if row.value_reporting is None else Money(row.value_reporting, reporting),
        alerted=row.alerted,
    )
