"""What the objectives count, window by window: good and bad calls, read-backs, contracts and amendments.

An event belongs to the moment at which it was decided: a contract that was provisioned in time, to that moment; one
that was late, to the moment at which its time was up. What is not decided yet does not count, nor what ended before it
was; what was decided stays so, whatever becomes of the contract: no cancellation mends a budget.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, Final, Protocol

import sqlalchemy as sa

from metrics.burn import NO_EVENTS, PERIOD, WINDOWS, Counted, Events
from sync_core.estate.estate import Estate

MINUTES_UP_TO: Final = timedelta(hours=6)
_FAR: Final = timedelta(days=21)  # in which two working days surely end, whatever the holidays
_LONG_AGO: Final = timedelta(days=180)
WORKING_DAYS: Final = 2


@dataclass(frozen=True, slots=True)
class Looked:
    """Where and when the objectives are counted."""

    conn: sa.Connection
    now: datetime
    estate: Estate


@dataclass(frozen=True, slots=True)
class Stuck:
    """One open contract whose time is up, and that is large or old enough to be told by itself."""

    contract_id: int
    contract: str
    legal_entity: str
    amount: Decimal | None  # in the reporting currency; None: no rate
    late_s: int  # working seconds past its limit


class Reader(Protocol):
    """What one objective counts."""

    def __call__(self, looked: Looked) -> Counted:
        """Up to now, by window."""
        ...

    def by_day(self, looked: Looked) -> Mapping[int, Events]:
        """Of the period, by how many whole days ago; days without events are absent."""
        ...


# Whole minutes for short windows, whole hours for long ones.
_CALLS: Final = """
    SELECT w.span_s, CAST(coalesce(sum(t.n), 0) AS bigint) AS total,
           CAST(coalesce(sum(t.n) FILTER (WHERE {bad}), 0) AS bigint) AS bad
    FROM unnest(CAST(:spans AS integer[])) AS w(span_s)
    LEFT JOIN telemetry.{table} AS t
         ON t.at >= date_trunc(:step, CAST(:now AS timestamptz) - make_interval(secs => w.span_s)) AND t.at <= :now
            AND {where}
    GROUP BY w.span_s
"""
_AGO: Final = "least(floor(extract(epoch FROM CAST(:now AS timestamptz) - {at}) / 86400), :last)"
_CALLS_BY_DAY: Final = f"""
    SELECT CAST({_AGO.format(at="t.at")} AS integer) AS ago, CAST(sum(t.n) AS bigint) AS total,
           CAST(coalesce(sum(t.n) FILTER (WHERE {{bad}}), 0) AS bigint) AS bad
    FROM telemetry.{{family}}_hour AS t
    WHERE t.at >= date_trunc('hour', CAST(:since AS timestamptz)) AND t.at <= :now AND {{where}} GROUP BY 1
"""


def of_calls(where: str, bad: str) -> Reader:
    """Calls of telemetry.call_*, aliased t."""
    return _OfSteps("call", where, bad)


def of_counts(where: str, bad: str) -> Reader:
    return _OfSteps("count", where, bad)


@dataclass(frozen=True, slots=True)
class _OfSteps:
    """What is kept by the minute and by the hour."""

    family: str
    where: str
    bad: str

    def __call__(self, looked: Looked) -> Counted:
        found: dict[timedelta, Events] = {}
        for step, windows in (("minute", [w for w in WINDOWS if w <= MINUTES_UP_TO]),
                              ("hour", [w for w in WINDOWS if w > MINUTES_UP_TO])):  # fmt: skip
            text = _CALLS.format(table=f"{self.family}_{step}", where=self.where, bad=self.bad)
            found |= _windows(looked.conn, sa.text(text), windows, now=looked.now, step=step)
        return found

    def by_day(self, looked: Looked) -> Mapping[int, Events]:
        text = _CALLS_BY_DAY.format(family=self.family, where=self.where, bad=self.bad)
        return _days(looked, sa.text(text))


def _days(looked: Looked, text: sa.TextClause, **values: object) -> dict[int, Events]:
    period = {"now": looked.now, "since": looked.now - PERIOD, "last": PERIOD.days - 1}
    return {row.ago: Events(row.total, row.bad) for row in looked.conn.execute(text, {**period, **values})}


def _windows(conn: sa.Connection, text: sa.TextClause, windows: list[timedelta], **values: object) -> Counted:
    spans = [int(window.total_seconds()) for window in windows]
    rows = conn.execute(text, {"spans": spans, **values})
    found = {timedelta(seconds=row.span_s): Events(row.total, row.bad) for row in rows}
    return {window: found.get(window, NO_EVENTS) for window in windows}


_DECIDED: Final = """
    WITH decided AS MATERIALIZED ({decided})  -- once, not for each window
    SELECT w.span_s, count(d.at) AS total, count(d.at) FILTER (WHERE d.bad) AS bad
    FROM unnest(CAST(:spans AS integer[])) AS w(span_s)
    LEFT JOIN decided AS d ON d.at > CAST(:now AS timestamptz) - make_interval(secs => w.span_s) AND d.at <= :now
    GROUP BY w.span_s
"""
_DECIDED_BY_DAY: Final = f"""
    SELECT CAST({_AGO.format(at="d.at")} AS integer) AS ago, count(*) AS total, count(*) FILTER (WHERE d.bad) AS bad
    FROM ({{decided}} OFFSET 0) AS d  -- once, not wherever it is used
    WHERE d.at > :since AND d.at <= :now GROUP BY 1
"""


@dataclass(frozen=True, slots=True)
class _OfDecided:
    """What the facts say; `decided` gives `at` and `bad` of each event, `values` what it needs besides :now."""

    decided: str
    values: Callable[[Looked], dict[str, object]]

    def __call__(self, looked: Looked) -> Counted:
        text = sa.text(_DECIDED.format(decided=self.decided))
        return _windows(looked.conn, text, list(WINDOWS), now=looked.now, **self.values(looked))

    def by_day(self, looked: Looked) -> Mapping[int, Events]:
        return _days(looked, sa.text(_DECIDED_BY_DAY.format(decided=self.decided)), **self.values(looked))


# The limit of each entity's calendar, and how much of it has passed; of a cancelled contract until it ended.
_TIMED: Final = """
    WITH limits AS MATERIALIZED (  -- worked out once a calendar, not once a contract
        SELECT calendar, day_s * CAST(:days AS integer) AS limit_s, metrics.worked(calendar, :now) AS worked
        FROM metrics.calendar
    )
    SELECT f.contract_id, f.legal_entity, f.outcome, f.active_at, coalesce(own.limit_s, rest.limit_s) AS limit_s,
           f.signed_work_s + coalesce(own.limit_s, rest.limit_s) AS until_s,
           coalesce(f.cycle_work_s, coalesce(own.worked, rest.worked) - f.signed_work_s)
               - coalesce(own.limit_s, rest.limit_s) AS late_s
    FROM metrics.contract_fact AS f
    LEFT JOIN limits AS own ON own.calendar = f.legal_entity
    JOIN limits AS rest ON rest.calendar = ''
    WHERE f.known_to IS NULL AND NOT f.test AND f.outcome IN ('open', 'provisioned', 'cancelled') AND {since}
"""
_PROVISIONED: Final = f"""
    SELECT CASE WHEN late_s > 0 THEN metrics.worked_until(legal_entity, until_s) ELSE active_at END AS at,
           late_s > 0 AS bad
    FROM ({_TIMED.format(since="f.period >= CAST(:signed_from AS date)")}) AS t
    WHERE late_s > 0 OR outcome = 'provisioned'
"""
_STUCK: Final = sa.text(f"""
    SELECT t.contract_id, c.external_id, t.legal_entity, c.value_reporting AS amount, t.late_s
    FROM ({_TIMED.format(since="f.outcome = 'open'")}) AS t JOIN core.contract AS c USING (contract_id)
    WHERE t.late_s > 0 AND (c.value_reporting IS NULL OR c.value_reporting >= :high OR t.late_s >= t.limit_s)
    ORDER BY c.value_reporting DESC NULLS FIRST, t.contract_id LIMIT 100
""")


# Missed at the begin of its bill day. One that was executed after that could not be in time and is not counted, nor one
# whose contract ended before that day.
_AMENDED: Final = """
    SELECT CASE WHEN done_at < deadline THEN done_at ELSE deadline END AS at, done_at IS NULL OR done_at >= deadline
               AS bad
    FROM (SELECT done_at, executed_at, ended_at, outcome,
                 coalesce(CAST(bill_on AS timestamp) AT TIME ZONE :zone, 'infinity') AS deadline
          FROM metrics.amendment_fact
          WHERE known_to IS NULL AND NOT test AND outcome IN ('open', 'synced', 'early', 'superseded')
            AND period >= CAST(:executed_from AS date)) AS a
    WHERE deadline > executed_at AND (done_at < deadline OR deadline <= :now)
      AND (outcome <> 'superseded' OR deadline <= ended_at)
"""


def _signed(looked: Looked) -> dict[str, object]:
    return {"signed_from": (looked.now - PERIOD - _FAR).date(), "days": WORKING_DAYS}


def _executed(looked: Looked) -> dict[str, object]:
    return {"executed_from": (looked.now - PERIOD - _LONG_AGO).date(), "zone": looked.estate.group.timezone}


provisioned: Final[Reader] = _OfDecided(_PROVISIONED, _signed)  # contracts within two working days of their signature
amended: Final[Reader] = _OfDecided(_AMENDED, _executed)  # before the day they are billed next; of the last half year


def stuck(looked: Looked) -> list[Stuck]:
    """Open contracts past their limit that are of much money (or of unknown money), or past it by as much again."""
    values = {"now": looked.now, "days": WORKING_DAYS, "high": looked.estate.group.high_exposure}
    rows: list[Any] = list(looked.conn.execute(_STUCK, values))
    return [Stuck(*row) for row in rows]
