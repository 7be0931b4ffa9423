"""What stands each minute: backlog, lanes, CLMs, the database. One sample per name and system, kept by the month."""

from datetime import datetime
from typing import Final

import sqlalchemy as sa

from collectors import clms
from collectors.samples import INTO
from metrics.backlog import STANDING
from sync_core.clock import Clock
from sync_core.estate.estate import Estate
from sync_core.telemetry.sql import OPEN_MONTHS

COLLECTOR: Final = "standing"

# The first who comes in a minute samples it; the others find it done.
_TURN = sa.text("""
    INSERT INTO telemetry.sampled AS s (collector, at)
    VALUES (:collector, date_trunc('minute', CAST(:now AS timestamptz)))
    ON CONFLICT (collector) DO UPDATE SET at = excluded.at WHERE s.at < excluded.at RETURNING at
""")
_BACKLOG = sa.text(
    INTO.format(
        found=f"""
    SELECT 'backlog', lane, state, CAST(contracts AS double precision) FROM ({STANDING}) AS s
    UNION ALL SELECT 'backlog_oldest_s', lane, state, extract(epoch FROM :now - oldest_at) FROM ({STANDING}) AS s
    """
    )
)
# 0: closed, calls go through; 1: open, tried again soon; 2: paused until a person acts.
_LANES = sa.text(
    INTO.format(
        found="""
    SELECT 'breaker', lane, '', CASE breaker WHEN 'closed' THEN 0.0 WHEN 'open' THEN 1.0 ELSE 2.0 END FROM core.lane
    UNION ALL
    SELECT 'slots_used', lane, '', CAST(count(*) FILTER (WHERE worker_id IS NOT NULL AND lease_until > now()) AS float8)
    FROM core.lane_slot GROUP BY lane
    """
    )
)
# Seen with the application's rights: other databases of the server and sessions of others count where they are shown.
_DATABASE = sa.text(
    INTO.format(
        found="""
    SELECT s.name, '', '', s.value FROM (
        SELECT pg_database_size(current_database()) AS size,
               (SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()) AS connections,
               CAST(current_setting('max_connections') AS integer) AS most,
               (SELECT extract(epoch FROM max(clock_timestamp() - xact_start)) FROM pg_stat_activity
                WHERE datname = current_database() AND pid <> pg_backend_pid() AND backend_type = 'client backend')
                   AS oldest,
               (SELECT sum(n_dead_tup) FROM pg_stat_user_tables) AS dead,
               (SELECT sum(n_live_tup) FROM pg_stat_user_tables) AS live,
               (SELECT CAST(blks_hit AS float8) / nullif(blks_hit + blks_read, 0) FROM pg_stat_database
                WHERE datname = current_database()) AS hits,
               (SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()) AS deadlocks,
               (SELECT extract(epoch FROM max(replay_lag)) FROM pg_stat_replication) AS lag
    ) AS d CROSS JOIN LATERAL (VALUES
        ('db_size_bytes', CAST(d.size AS float8)), ('db_connections', CAST(d.connections AS float8)),
        ('db_connections_max', CAST(d.most AS float8)),
        ('db_oldest_transaction_s', CAST(coalesce(d.oldest, 0) AS float8)),
        ('db_dead_tuples', CAST(d.dead AS float8)), ('db_live_tuples', CAST(d.live AS float8)),
        ('db_cache_hit_ratio', d.hits), ('db_deadlocks', CAST(d.deadlocks AS float8)),
        ('db_replication_lag_s', CAST(d.lag AS float8))) AS s(name, value)
    """
    )
)


def sample(engine: sa.Engine, *, clock: Clock, estate: Estate) -> int:
    """Sample this minute unless somebody has; how many samples were made. Commits."""
    now = clock.now()
    with engine.begin() as conn:
        at: datetime | None = conn.scalar(_TURN, {"collector": COLLECTOR, "now": now})
        if at is None:
            return 0
        conn.execute(OPEN_MONTHS, {"first": at, "last": at})
        made = conn.execute(_BACKLOG, {"at": at, "now": now}).rowcount
        made += conn.execute(_LANES, {"at": at}).rowcount + clms.sample(conn, at=at, now=now, estate=estate)
        return made + conn.execute(_DATABASE, {"at": at}).rowcount
