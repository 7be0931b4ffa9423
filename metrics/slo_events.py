"""What the objectives count, window by window: good and bad calls, read-backs, contracts and amendments.

An event belongs to the moment at which it was decided: a contract that was provisioned in time, to that moment; one
that was late, to the moment at which its time was up. What is not decided yet does not count.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, Final

import sqlalchemy as sa

from metrics.burn import NO_EVENTS, WINDOWS, Counted, Events
from sync_core.estate import Estate

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


Reader = Callable[[Looked], Counted]

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


def of_calls(where: str, bad: str) -> Reader:
    """Calls of telemetry.call_*, aliased t."""
    return _by_step("call", where, bad)


def of_counts(where: str, bad: str) -> Reader:
    return _by_step("count", where, bad)


def _by_step(family: str, where: str, bad: str) -> Reader:
    def read(looked: Looked) -> Counted:
        found: dict[timedelta, Events] = {}
        for step, windows in (("minute", [w for w in WINDOWS if w <= MINUTES_UP_TO]),
                              ("hour", [w for w in WINDOWS if w > MINUTES_UP_TO])):  # fmt: skip
            text = _CALLS.format(table=f"{family}_{step}", where=where, bad=bad)
            found |= _windows(looked.conn, sa.text(text), windows, now=looked.now, step=step)
        return found

    return read


def _windows(conn: sa.Connection, text: sa.TextClause, windows: list[timedelta], **values: object) -> Counted:
    spans = [int(window.total_seconds()) for window in windows]
    rows = conn.execute(text, {"spans": spans, **values})
    found = {timedelta(seconds=row.span_s): Events(row.total, row.bad) for row in rows}
    return {window: found.get(window, NO_EVENTS) for window in windows}


_DECIDED: Final = """
    SELECT w.span_s, count(d.at) AS total, count(d.at) FILTER (WHERE d.bad) AS bad
    FROM unnest(CAST(:spans AS integer[])) AS w(span_s)
    LEFT JOIN ({decided}) AS d ON d.at > CAST(:now AS timestamptz) - make_interval(secs => w.span_s) AND d.at <= :now
    GROUP BY w.span_s
"""
# The limit of each entity's calendar, and how much of it has passed: of signed contracts that are not cancelled.
_TIMED: Final = """
    SELECT f.contract_id, f.legal_entity, f.outcome, f.active_at, limits.limit_s,
           f.signed_work_s + limits.limit_s AS until_s,
           coalesce(f.signed_work_s + f.cycle_work_s, now_of.worked) - f.signed_work_s - limits.limit_s AS late_s
    FROM metrics.contract_fact AS f
    CROSS JOIN LATERAL (
        SELECT day_s * CAST(:days AS integer) AS limit_s FROM metrics.calendar
        WHERE calendar IN (f.legal_entity, '') ORDER BY calendar DESC LIMIT 1) AS limits
    JOIN (SELECT k.calendar, metrics.worked(k.calendar, :now) AS worked FROM metrics.calendar AS k) AS now_of
         ON now_of.calendar = coalesce((SELECT k.calendar FROM metrics.calendar AS k
                                        WHERE k.calendar = f.legal_entity), '')
    WHERE f.known_to IS NULL AND NOT f.test AND f.outcome IN ('open', 'provisioned') AND {since}
"""
_PROVISIONED: Final = sa.text(
    _DECIDED.format(
        decided=f"""
        SELECT CASE WHEN late_s > 0 THEN metrics.worked_until(legal_entity, until_s) ELSE active_at END AS at,
               late_s > 0 AS bad
        FROM ({_TIMED.format(since="f.period >= CAST(:since AS date)")}) AS t
        WHERE late_s > 0 OR outcome = 'provisioned'
        """
    )
)
_STUCK: Final = sa.text(f"""
    SELECT t.contract_id, c.external_id, t.legal_entity, c.value_reporting AS amount, t.late_s
    FROM ({_TIMED.format(since="f.outcome = 'open'")}) AS t JOIN core.contract AS c USING (contract_id)
    WHERE t.late_s > 0 AND (c.value_reporting IS NULL OR c.value_reporting >= :high OR t.late_s >= t.limit_s)
    ORDER BY c.value_reporting DESC NULLS FIRST, t.contract_id LIMIT 100
""")


# Missed at the begin of its bill day. One that was executed after that could not be in time and is not counted.
_AMENDED: Final = sa.text(
    _DECIDED.format(
        decided="""
        SELECT CASE WHEN done_at < deadline THEN done_at ELSE deadline END AS at, done_at IS NULL OR done_at >= deadline
                   AS bad
        FROM (SELECT done_at, executed_at,
                     coalesce(CAST(bill_on AS timestamp) AT TIME ZONE :zone, 'infinity') AS deadline
              FROM metrics.amendment_fact
              WHERE known_to IS NULL AND NOT test AND outcome IN ('open', 'synced', 'early')
                AND period >= CAST(:since AS date)) AS a
        WHERE deadline > executed_at AND (done_at < deadline OR deadline <= :now)
        """
    )
)


def provisioned(looked: Looked) -> Counted:
    """Contracts within two working days of their signature."""
    since = (looked.now - WINDOWS[-1] - _FAR).date()
    return _windows(looked.conn, _PROVISIONED, list(WINDOWS), now=looked.now, since=since, days=WORKING_DAYS)


def amended(looked: Looked) -> Counted:
    """Amendments before the day on which they are billed next; of the last half year and the window."""
    since = (looked.now - WINDOWS[-1] - _LONG_AGO).date()
    zone = looked.estate.group.timezone
    return _windows(looked.conn, _AMENDED, list(WINDOWS), now=looked.now, since=since, zone=zone)


def stuck(looked: Looked) -> list[Stuck]:
    """Open contracts past their limit that are of much money (or of unknown money), or past it by as much again."""
    values = {"now": looked.now, "days": WORKING_DAYS, "high": looked.estate.group.high_exposure}
    rows: list[Any] = list(looked.conn.execute(_STUCK, values))
    return [Stuck(*row) for row in rows]


def windows_of(found: Mapping[timedelta, Events]) -> dict[str, dict[str, int]]:
    """As they are kept with a verdict: by the window's seconds."""
    return {
        str(int(window.total_seconds())): {"total": one.total, "bad": one.bad} for window, one in sorted(found.items())
    }
