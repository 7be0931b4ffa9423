"""When an ERP could not be reached or had been paused: what charts over time are annotated with."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

import sqlalchemy as sa

LEAST: Final = timedelta(hours=1)  # shorter ones leave no mark on a chart of weeks
MOST: Final = 12

# One that began before `since` is not there: a lane's changes are read from then on.
_OUTAGES: Final = sa.text("""
    SELECT lane, reason, began_at, ended_at FROM (
        SELECT lane, breaker, coalesce(reason, '') AS reason, occurred_at AS began_at,
               lead(occurred_at) OVER (PARTITION BY lane ORDER BY occurred_at, recorded_xid) AS ended_at
        FROM core.lane_history WHERE occurred_at >= :since AND occurred_at <= :now
    ) AS change
    WHERE breaker <> 'closed' AND coalesce(ended_at, :now) - began_at >= :least
    ORDER BY coalesce(ended_at, :now) - began_at DESC, began_at LIMIT :most
""")


@dataclass(frozen=True, slots=True)
class Outage:
    lane: str
    reason: str
    began_at: datetime
    ended_at: datetime | None  # None: it goes on


def outages(conn: sa.Connection, *, since: datetime, now: datetime) -> tuple[Outage, ...]:
    """The longest ones that began in [since, now], in order of time."""
    rows = conn.execute(_OUTAGES, {"since": since, "now": now, "least": LEAST, "most": MOST})
    return tuple(sorted((Outage(*row) for row in rows), key=lambda one: one.began_at))
