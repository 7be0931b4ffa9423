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
        FROM core.lane_history WHERE occurred_at >= :since AND occurred_at <= :until
    ) AS change
    WHERE breaker <> 'closed' AND coalesce(ended_at, :until) - began_at >= :least
    ORDER BY coalesce(ended_at, :until) - began_at DESC, began_at LIMIT :most
""")


@dataclass(frozen=True, slots=True)
class Outage:
    lane: str
    reason: str
    began_at: datetime
    ended_at: datetime | None  # None: it goes on, or went on at the end of the time that was looked at


def outages(conn: sa.Connection, *, since: datetime, until: datetime) -> tuple[Outage, ...]:
    """The longest ones that began in [since, until], in order of time."""
    rows = conn.execute(_OUTAGES, {"since": since, "until": until, "least": LEAST, "most": MOST})
    return tuple(sorted((Outage(*row) for row in rows), key=lambda one: one.began_at))
