"""Signed to active: how long it takes, with the contracts that are still on their way counted.

Start is the last signature, end the first moment at which the ERP confirmed everything; calendar hours. A signature
that waits in quarantine is open since its receipt. Contracts cancelled before they became active are no longer on
their way: they are left out and counted, and so are those that were active before they were signed.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta

import numpy as np
import pandas as pd
import sqlalchemy as sa

from sync_core.reads.scope import CONTRACT, OF_CONTRACT, Entities, bound
from sync_core.survival import SAMPLE_FLOOR, Curve, Floats, Quantile, kaplan_meier, naive_quantile, quantile

POOLED_WEEKS = 4  # where a week alone has too few cases for a percentile

# One row per ISO week (its Monday in the zone) with the seconds of each case: a row per contract would cost five times
# as much on the way here. contract_by_signed carries every column that is read.
CYCLE = sa.text(f"""
    SELECT CAST(date_trunc('week', signed_at, :zone) AT TIME ZONE :zone AS date) AS week,
           array_agg(CAST(date_part('epoch', first_active_at - signed_at) AS int8))
               FILTER (WHERE first_active_at >= signed_at) AS ended,
           array_agg(CAST(date_part('epoch', :now - signed_at) AS int8))
               FILTER (WHERE first_active_at IS NULL AND state <> 'ended') AS still_open,
           count(*) FILTER (WHERE first_active_at IS NULL AND state = 'ended') AS cancelled,
           count(*) FILTER (WHERE first_active_at < signed_at) AS before_signature
    FROM core.contract
    WHERE signed_at >= :since AND signed_at <= :now AND NOT test AND {CONTRACT}
    GROUP BY 1 ORDER BY 1
""")
# A signature that could not be read has no contract yet, or one without a signature.
QUARANTINED = sa.text(f"""
    SELECT CAST(date_trunc('week', q.recorded_at, :zone) AT TIME ZONE :zone AS date) AS week,
           array_agg(CAST(date_part('epoch', :now - q.recorded_at) AS int8)) AS still_open
    FROM core.quarantine AS q LEFT JOIN core.contract AS c USING (source, external_id)
    WHERE q.released_at IS NULL AND q.dismissed_at IS NULL AND q.signature AND q.recorded_at <= :now
      AND c.signed_at IS NULL
      AND {OF_CONTRACT}
    GROUP BY 1
""")


@dataclass(frozen=True, slots=True)
class CycleTime:
    """Of the contracts signed in the window. Percentiles are None below 20 cases."""

    n: int  # ended and open
    n_open: int
    n_cancelled: int
    n_before_signature: int
    naive_median: timedelta | None  # of the finished ones alone
    p50: timedelta | None
    p90: timedelta | None
    p50_limits: tuple[timedelta | None, timedelta | None]  # 95 %
    p90_limits: tuple[timedelta | None, timedelta | None]
    longest: timedelta | None  # a percentile that was never reached is at least this


@dataclass(frozen=True, slots=True)
class Cycle:
    total: CycleTime
    weekly: pd.DataFrame  # week (UTC, the ISO week's Monday), p50 and p90 (hours, NaN where too few), pooled, n, n_open
    span: int  # weeks that each percentile is of: the week and those before it; `pooled` is how many cases that makes
    quarantined: int  # signatures not yet understood, whenever they came
    active: int  # signed in the window and active at least once


@dataclass(frozen=True, slots=True)
class _Cases:
    """Hours of the cases of one week, or of all."""

    ended: Floats
    still_open: Floats

    @property
    def count(self) -> int:
        return len(self.ended) + len(self.still_open)


def cycle(conn: sa.Connection, *, since: datetime, now: datetime, zone: str, entities: Entities) -> Cycle:
    """Contracts signed in [since, now]; weeks are cut in `zone`."""
    both = {"now": now, "zone": zone, **bound(entities)}
    rows = conn.execute(CYCLE, {**both, "since": since}).all()
    unread = {row.week: row.still_open for row in conn.execute(QUARANTINED, both)}
    quarantined = sum(map(len, unread.values()))
    weeks = {row.week: _Cases(_hours(row.ended), _hours(row.still_open, unread.pop(row.week, ()))) for row in rows}
    weeks |= {week: _Cases(_hours(()), _hours(hours)) for week, hours in unread.items()}
    ended = np.concatenate([np.zeros(0), *(week.ended for week in weeks.values())])
    curve = kaplan_meier(ended, np.concatenate([np.zeros(0), *(week.still_open for week in weeks.values())]))
    before = sum(row.before_signature for row in rows)
    total = cycle_time(
        curve, naive_quantile(ended, 0.5), cancelled=sum(row.cancelled for row in rows), before_signature=before
    )
    span = _span(weeks)
    return Cycle(total, _weekly(weeks, span), span, quarantined, curve.ended + before)


def cycle_time(curve: Curve, naive: float | None, *, cancelled: int = 0, before_signature: int = 0) -> CycleTime:
    """`curve` and `naive` are in hours."""
    enough = curve.cases >= SAMPLE_FLOOR
    p50, p90 = (quantile(curve, p) if enough else Quantile(None, None, None) for p in (0.5, 0.9))
    return CycleTime(
        n=curve.cases,
        n_open=curve.open,
        n_cancelled=cancelled,
        n_before_signature=before_signature,
        naive_median=_duration(naive) if enough else None,
        p50=_duration(p50.value),
        p90=_duration(p90.value),
        p50_limits=(_duration(p50.low), _duration(p50.high)),
        p90_limits=(_duration(p90.low), _duration(p90.high)),
        longest=_duration(curve.longest),
    )


def _span(weeks: Mapping[date, _Cases]) -> int:
    """1 where most weeks have enough cases of their own; else 4, for all of them alike, so that points compare."""
    enough = sum(week.count >= SAMPLE_FLOOR for week in weeks.values())
    return 1 if 2 * enough > len(weeks) or not weeks else POOLED_WEEKS


def _pool(weeks: Mapping[date, _Cases], week: date, span: int) -> Curve:
    """Of the week and the span - 1 before it, as far as they are in the window."""
    wanted = [week - timedelta(days=7 * back) for back in range(span)]
    cases = [weeks[one] for one in wanted if one in weeks]
    return kaplan_meier(
        np.concatenate([case.ended for case in cases]), np.concatenate([case.still_open for case in cases])
    )


def _weekly(weeks: Mapping[date, _Cases], span: int) -> pd.DataFrame:
    ordered = sorted(weeks)
    curves = [_pool(weeks, week, span) for week in ordered]
    return pd.DataFrame(
        {
            "week": pd.DatetimeIndex(ordered, tz="UTC", dtype="datetime64[us, UTC]"),
            "p50": np.array([_percentile(curve, 0.5) for curve in curves]),
            "p90": np.array([_percentile(curve, 0.9) for curve in curves]),
            "pooled": np.array([curve.cases for curve in curves], dtype=np.int64),
            "n": np.array([weeks[week].count for week in ordered], dtype=np.int64),
            "n_open": np.array([len(weeks[week].still_open) for week in ordered], dtype=np.int64),
        }
    )


def _percentile(curve: Curve, p: float) -> float:
    value = quantile(curve, p).value if curve.cases >= SAMPLE_FLOOR else None
    return np.nan if value is None else value


def _hours(*seconds: Sequence[int] | None) -> Floats:
    return np.concatenate([np.zeros(0), *(np.asarray(part, dtype=np.float64) / 3600 for part in seconds if part)])


def _duration(hours: float | None) -> timedelta | None:
    return None if hours is None else timedelta(hours=hours)
