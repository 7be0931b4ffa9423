"""The statements that add to telemetry's counts. All of them run under one lock, so that no two wait in a circle.

A count is kept three times: by the minute (short windows), by the hour (long ones) and since ever (/metrics). Minutes
are kept for this month and the two before, hours for thirteen months; both are dropped by whole months.
"""

from datetime import datetime, timedelta
from typing import Final

import sqlalchemy as sa

from sync_core.locks import Lock

LOCK: Final = sa.text(f"SELECT pg_advisory_xact_lock({Lock.TELEMETRY}, 1)")
OPEN_MONTHS: Final = sa.text("SELECT telemetry.open_months(:first, :last)")
DROP_MONTHS: Final = sa.text("SELECT telemetry.drop_months(:of_table, :before)")

MINUTE_MONTHS: Final = 2  # before the present one
HOUR_MONTHS: Final = 13
BY_MINUTE: Final = ("call_minute", "count_minute", "sample")
BY_HOUR: Final = ("call_hour", "count_hour")


def month_before(now: datetime, months: int) -> datetime:
    """The first moment of the month that began so many months before the present one, UTC."""
    month = now.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    for _ in range(months):
        month = (month - timedelta(days=1)).replace(day=1)
    return month


def kept_from(now: datetime) -> dict[str, datetime]:
    """What the pouring statements bind: older minutes and hours would be dropped at once."""
    return {"minutes_from": month_before(now, MINUTE_MONTHS), "hours_from": month_before(now, HOUR_MONTHS)}


_KEY: Final = "kind, system, operation, writes, outcome, le"
# `poured` has at, the columns of _KEY, n, total_s, trace_id, trace_s, trace_at.
CALLS_POURED: Final = f"""
    call_minutes AS (
        INSERT INTO telemetry.call_minute AS t (at, {_KEY}, n, total_s)
        SELECT date_trunc('minute', at), {_KEY}, sum(n), sum(total_s) FROM poured WHERE at >= :minutes_from
        GROUP BY date_trunc('minute', at), {_KEY} ORDER BY 1, {_KEY}
        ON CONFLICT (at, {_KEY}) DO UPDATE SET n = t.n + excluded.n, total_s = t.total_s + excluded.total_s
    ), call_hours AS (
        INSERT INTO telemetry.call_hour AS t (at, {_KEY}, n, total_s)
        SELECT date_trunc('hour', at), {_KEY}, sum(n), sum(total_s) FROM poured WHERE at >= :hours_from
        GROUP BY date_trunc('hour', at), {_KEY} ORDER BY 1, {_KEY}
        ON CONFLICT (at, {_KEY}) DO UPDATE SET n = t.n + excluded.n, total_s = t.total_s + excluded.total_s
    ), newest AS (
        SELECT DISTINCT ON ({_KEY}) {_KEY}, trace_id, trace_s, trace_at FROM poured
        WHERE trace_id IS NOT NULL ORDER BY {_KEY}, trace_at DESC
    ), call_totals AS (
        INSERT INTO telemetry.call_total AS t ({_KEY}, n, total_s, trace_id, trace_s, trace_at)
        SELECT {_KEY}, sum(n), sum(total_s), max(e.trace_id), max(e.trace_s), max(e.trace_at)
        FROM poured LEFT JOIN newest AS e USING ({_KEY}) GROUP BY {_KEY} ORDER BY {_KEY}
        ON CONFLICT ({_KEY}) DO UPDATE
        SET n = t.n + excluded.n, total_s = t.total_s + excluded.total_s,
            trace_id = coalesce(excluded.trace_id, t.trace_id), trace_s = coalesce(excluded.trace_s, t.trace_s),
            trace_at = coalesce(excluded.trace_at, t.trace_at)
    )
"""
POUR_OBSERVED: Final = sa.text(f"""
    WITH poured AS MATERIALIZED (
        SELECT CAST(:now AS timestamptz) AS at, r.*, CAST(NULL AS text) AS trace_id,
               CAST(NULL AS double precision) AS trace_s, CAST(NULL AS timestamptz) AS trace_at
        FROM jsonb_to_recordset(CAST(:rows AS jsonb)) AS r(
            kind text, system text, operation text, writes boolean, outcome text, le double precision, n bigint,
            total_s double precision)
    ), {CALLS_POURED}
    SELECT count(*) FROM poured
""")
