"""What has come in: whether anything ever did, and how many events are stored each day."""

from datetime import datetime

import pandas as pd
import sqlalchemy as sa

from sync_core.reads.scope import OF_CONTRACT, Entities, bound

INTAKE = sa.text("""
    SELECT CAST(recorded_at AT TIME ZONE :zone AS date) AS day, count(*) AS events
    FROM core.event WHERE recorded_at >= :since AND recorded_at <= :now GROUP BY 1
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


def intake(conn: sa.Connection, *, now: datetime, zone: str, days: int, entities: Entities) -> pd.DataFrame:
    """Events stored per local day, oldest first, no day absent. Columns: day (UTC midnight of its date), events."""
    today = pd.Timestamp(now).tz_convert(zone).tz_localize(None).normalize()
    listed = pd.date_range(end=today, periods=days, freq="D")
    since = listed[0].tz_localize(zone).tz_convert("UTC").to_pydatetime()
    values = {"zone": zone, "since": since, "now": now}
    within = conn.execute(INTAKE_WITHIN, values | bound(entities)) if entities is not None else None
    found = {row.day: row.events for row in within or conn.execute(INTAKE, values)}
    return pd.DataFrame({"day": listed.tz_localize("UTC"), "events": [found.get(day.date(), 0) for day in listed]})
