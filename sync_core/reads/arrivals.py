"""What has come in: whether anything ever did, and how many events are stored each day."""

from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

import sqlalchemy as sa

from sync_core.reads.scope import OF_CONTRACT, Entities, bound

if TYPE_CHECKING:
    import pandas as pd

# Day by day, because a count along the index costs a tenth of what it costs to say of each event which day it is of.
INTAKE = sa.text("""
    SELECT d.day, (SELECT count(*) FROM core.event
                   WHERE recorded_at >= d.begins AND recorded_at < d.ends AND recorded_at <= :now) AS events
    FROM unnest(CAST(:days AS date[]), CAST(:begins AS timestamptz[]), CAST(:ends AS timestamptz[]))
        AS d(day, begins, ends)
""")
# Apart, because only a limited view pays for finding each event's contract.
INTAKE_WITHIN = sa.text(f"""
    SELECT CAST(e.recorded_at AT TIME ZONE :zone AS date) AS day, count(*) AS events
    FROM core.event AS e JOIN core.contract AS c USING (source, external_id)
    WHERE e.recorded_at >= :since AND e.recorded_at <= :now AND {OF_CONTRACT} GROUP BY 1
""")
# The newest event by its sequence: recorded times rise with it but for transactions that overlap.
NEWEST = sa.text("""
    SELECT greatest((SELECT recorded_at FROM core.event ORDER BY seq DESC LIMIT 1),
                    (SELECT updated_at FROM core.contract ORDER BY updated_at DESC, contract_id DESC LIMIT 1))
""")


def newest(conn: sa.Connection) -> datetime | None:
    """The last event or change of any legal entity; None in an empty database."""
    found: datetime | None = conn.scalar(NEWEST)
    return found


def intake(conn: sa.Connection, *, now: datetime, zone: str, days: int, entities: Entities) -> "pd.DataFrame":
    """Events stored per local day, oldest first, no day absent. Columns: day (UTC midnight of its date), events."""
    import pandas as pd

    today = now.astimezone(ZoneInfo(zone)).date()
    listed = [today - timedelta(days=back) for back in range(days - 1, -1, -1)]
    begins = [_midnight(day, zone) for day in (*listed, today + timedelta(days=1))]
    if entities is None:
        rows = conn.execute(INTAKE, {"days": listed, "begins": begins[:-1], "ends": begins[1:], "now": now})
    else:
        rows = conn.execute(INTAKE_WITHIN, {"zone": zone, "since": begins[0], "now": now} | bound(entities))
    found = {row.day: row.events for row in rows}
    shown = pd.DatetimeIndex([datetime(day.year, day.month, day.day, tzinfo=UTC) for day in listed])
    return pd.DataFrame({"day": shown, "events": [found.get(day, 0) for day in listed]})


def _midnight(day: date, zone: str) -> datetime:
    """When the day begins there; of a midnight that the clocks leap over, the moment of the leap."""
    return datetime(day.year, day.month, day.day, tzinfo=ZoneInfo(zone)).astimezone(UTC)
