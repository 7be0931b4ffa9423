"""The journal in counts: every ERP call of every run by its duration, every attempt by how it ended.

New runs are found by the id of the transaction that recorded them, below the oldest one that still runs, so that none
that commits late is passed over. Counts and watermark are one transaction under one lock: a run is counted once,
however many collect and however often one is cut short. The cost is that of the new runs alone.

An attempt is one run. A message is one revision of one contract; it has failed for good when it was set aside, and is
counted so at the moment and in the lane of its first run, where it was counted as a message: of those of a window no
more can have failed than there were. Runs that carry an item of a replay were asked for by people: they are attempts,
and no message is counted for them again.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Final

import sqlalchemy as sa

from sync_core.clock import Clock
from sync_core.errors import READ_BACK_WORDS, ErrorClass
from sync_core.telemetry.latencies import BOUNDS, Kind
from sync_core.telemetry.sql import CALLS_POURED, LOCK, OPEN_MONTHS, kept_from

WATERMARK: Final = "telemetry:runs"
BATCH: Final = 5_000  # runs in a transaction

_WHERE = sa.text("""
    SELECT (SELECT value FROM core.watermark WHERE name = :name) AS since,
           CAST(pg_snapshot_xmin(pg_current_snapshot()) AS text) AS head
""")
# All runs of one transaction stay together: the last one of the batch is taken whole.
_BATCH = sa.text("""
    SELECT CAST(max(b.recorded_xid) AS text) AS last, least(min(b.started_at), min(f.started_at)) AS first_at,
           max(b.finished_at) AS last_at
    FROM (SELECT recorded_xid, contract_id, rev, outcome, started_at, finished_at FROM core.run
          WHERE recorded_xid >= CAST(:since AS xid8) AND recorded_xid < CAST(:head AS xid8)
          ORDER BY recorded_xid LIMIT :batch) AS b
    LEFT JOIN LATERAL (SELECT f.started_at FROM core.run AS f
                       WHERE b.outcome = 'failed' AND f.contract_id = b.contract_id AND f.rev = b.rev
                       ORDER BY f.started_at LIMIT 1) AS f ON true
""")
_MOVE = sa.text("""
    INSERT INTO core.watermark (name, value, updated_at) VALUES (:name, :value, :now)
    ON CONFLICT (name) DO UPDATE SET value = excluded.value, updated_at = excluded.updated_at
""")
_PREPARE = sa.text("SELECT set_config('jit', 'off', true)")

# Carried an item of a replay.
_REPLAYED = "SELECT FROM core.replay_item AS i WHERE i.contract_id = {0}.contract_id AND i.run_id = {0}.run_id"
# A run before it of the same revision: by the contract's own runs, of which there are few.
_BEFORE = """SELECT FROM core.run AS b WHERE b.contract_id = r.contract_id AND b.rev = r.rev
             AND (b.started_at, b.run_id) < (r.started_at, r.run_id)"""
_COUNT = sa.text(f"""
    WITH runs AS MATERIALIZED (
        SELECT r.run_id, r.contract_id, r.rev, r.lane, r.outcome, r.error_class, r.error, r.digest, r.trace_id,
               r.started_at, least(r.finished_at, :now) AS at, r.calls
        FROM core.run AS r
        WHERE r.recorded_xid >= CAST(:since AS xid8) AND r.recorded_xid <= CAST(:last AS xid8)
    ),
    called AS MATERIALIZED (
        SELECT least(CAST(c.value ->> 4 AS timestamptz), :now) AS at, '{Kind.ERP}' AS kind, r.lane AS system,
               c.value ->> 0 AS operation, CAST(c.value ->> 5 AS boolean) AS writes, c.value ->> 2 AS outcome,
               CAST(c.value ->> 1 AS double precision) / 1000 AS total_s, r.trace_id
        FROM runs AS r CROSS JOIN LATERAL jsonb_array_elements(r.calls) AS c(value)
    ),
    poured AS MATERIALIZED (
        SELECT at, kind, system, operation, writes, outcome, coalesce(
                   (SELECT min(b) FROM unnest(CAST(:bounds AS double precision[])) AS b WHERE b >= total_s),
                   'Infinity') AS le,
               CAST(1 AS bigint) AS n, total_s, trace_id, total_s AS trace_s,
               CASE WHEN trace_id IS NOT NULL THEN at END AS trace_at
        FROM called
    ), {CALLS_POURED},
    judged AS (
        SELECT r.*, CASE
                   WHEN r.outcome = 'converged' THEN 'ok'
                   WHEN r.outcome = 'skipped' THEN 'skipped'
                   WHEN r.outcome = 'blocked' AND r.error_class IS NULL THEN 'blocked'
                   WHEN r.error_class = '{ErrorClass.AMBIGUOUS}' THEN 'ambiguous'
                   WHEN r.error_class = '{ErrorClass.TRANSIENT}' OR r.outcome = 'lost' THEN 'transient'
                   ELSE 'permanent' END AS label
        FROM runs AS r
    ),
    happened AS MATERIALIZED (
        SELECT at, 'attempts' AS name, lane AS system, label FROM judged
        UNION ALL
        SELECT at, 'messages', lane, '' FROM judged AS r
        WHERE NOT EXISTS ({_BEFORE}) AND NOT EXISTS ({_REPLAYED.format("r")})
        UNION ALL
        SELECT least(f.finished_at, :now), 'messages_failed', f.lane, r.label FROM judged AS r
             CROSS JOIN LATERAL (
                 SELECT f.contract_id, f.run_id, f.lane, f.finished_at FROM core.run AS f
                 WHERE f.contract_id = r.contract_id AND f.rev = r.rev ORDER BY f.started_at, f.run_id LIMIT 1
             ) AS f
        WHERE r.outcome = 'failed' AND NOT EXISTS ({_BEFORE} AND b.outcome = 'failed')
          AND NOT EXISTS ({_REPLAYED.format("f")})
        UNION ALL
        SELECT at, 'read_backs', lane, CASE WHEN outcome = 'converged' THEN 'ok' ELSE 'mismatch' END FROM judged
        WHERE (outcome = 'converged' AND digest IS NOT NULL) OR position(:mismatch IN coalesce(error, '')) > 0
    ),
    count_minutes AS (
        INSERT INTO telemetry.count_minute AS t (at, name, system, label, n)
        SELECT date_trunc('minute', at), name, system, label, count(*) FROM happened WHERE at >= :minutes_from
        GROUP BY 1, 2, 3, 4 ORDER BY 1, 2, 3, 4
        ON CONFLICT (at, name, system, label) DO UPDATE SET n = t.n + excluded.n
    ),
    count_hours AS (
        INSERT INTO telemetry.count_hour AS t (at, name, system, label, n)
        SELECT date_trunc('hour', at), name, system, label, count(*) FROM happened WHERE at >= :hours_from
        GROUP BY 1, 2, 3, 4 ORDER BY 1, 2, 3, 4
        ON CONFLICT (at, name, system, label) DO UPDATE SET n = t.n + excluded.n
    ),
    count_totals AS (
        INSERT INTO telemetry.count_total AS t (name, system, label, n)
        SELECT name, system, label, count(*) FROM happened GROUP BY 1, 2, 3 ORDER BY 1, 2, 3
        ON CONFLICT (name, system, label) DO UPDATE SET n = t.n + excluded.n
    )
    SELECT (SELECT count(*) FROM runs) AS runs, (SELECT count(*) FROM poured) AS calls
""")


@dataclass(frozen=True, slots=True)
class Counted:
    runs: int
    calls: int


def collect(engine: sa.Engine, *, clock: Clock, batch: int = BATCH) -> Counted:
    """Count all runs that are committed. Commits per `batch` runs, or a little more."""
    runs = calls = 0
    while True:
        with engine.begin() as conn:
            conn.execute(LOCK)
            conn.execute(_PREPARE)
            done = _some(conn, now=clock.now(), batch=batch)
        if done is None:
            return Counted(runs, calls)
        runs, calls = runs + done.runs, calls + done.calls


def _some(conn: sa.Connection, *, now: datetime, batch: int) -> Counted | None:
    """None: there is nothing more."""
    place = conn.execute(_WHERE, {"name": WATERMARK}).one()
    # A database that was restored elsewhere counts its transactions anew; what is in it was counted there.
    since = min(int(place.since or 0), int(place.head))
    some = conn.execute(_BATCH, {"since": str(since), "head": place.head, "batch": batch}).one()
    if some.last is None:
        if place.since is None or int(place.since) != since:
            conn.execute(_MOVE, {"name": WATERMARK, "value": str(since), "now": now})
        return None
    kept = kept_from(now)
    conn.execute(OPEN_MONTHS, {"first": max(some.first_at, kept["hours_from"]), "last": max(some.last_at, now)})
    values = {
        "since": str(since), "last": some.last, "now": now, "bounds": list(BOUNDS[Kind.ERP]),
        "mismatch": READ_BACK_WORDS, **kept,
    }  # fmt: skip
    done = conn.execute(_COUNT, values).one()
    conn.execute(_MOVE, {"name": WATERMARK, "value": str(int(some.last) + 1), "now": now})
    return Counted(done.runs, done.calls)
