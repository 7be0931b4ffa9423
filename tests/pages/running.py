"""Test only: what the platform page shows of a firm that has run for a while."""

from datetime import datetime, timedelta
from typing import Final

import sqlalchemy as sa

from collectors import standing
from metrics import slo
from sync_core.clock import VirtualClock
from sync_core.locks import Lock
from sync_core.telemetry.latencies import Kind, Latencies, Series
from tests import rows
from tests.collectors.test_journal import add_run, counted
from tests.metrics.support import caught_up
from tests.rows import NOW

HOSTILE: Final = "<b>*x*</b> $1 [a](b)"
_DECLARE = sa.text("""
    INSERT INTO core.schedule (job, every_s, declared_at, paused_at, paused_by, pause_reason)
    VALUES (:job, :every_s, :now, :paused_at, :paused_by, :why)
""")
_RAN = sa.text("""
    INSERT INTO core.job_run (job, scheduled_for, started_at, finished_at, outcome, detail)
    VALUES (:job, :at, :at, :until, :outcome, :detail) ON CONFLICT (job, scheduled_for) DO UPDATE
    SET started_at = :at, finished_at = :until, outcome = :outcome, detail = :detail
""")
_CHANGED = sa.text("""
    INSERT INTO core.lane_history (lane, breaker, reason, occurred_at) VALUES (:lane, :breaker, :why, :at)
""")
_JOBS: Final = (("measures", 15, None), ("poll:crm", 60, None), ("audit-verify", 86_400, "moving house"))
_WORKER = sa.text("""
    INSERT INTO core.worker (name, version, started_at, beat_at) VALUES ('host-1', '1.2.3', :since, :now)
    RETURNING worker_id
""")


def ran(engine: sa.Engine, *, now: datetime = NOW) -> None:
    """`engine`: over a database with contracts. All of it is of the last hour, but for calls of five days ago."""
    clock = VirtualClock(now)
    for at, slow in ((now - timedelta(minutes=5), 0.02), (now - timedelta(days=5), 0.04)):
        latencies = Latencies()
        for _ in range(40):
            latencies.observe(Series(Kind.WEB, "tieline", "GET /v1/contracts", False, "ok"), slow)
            latencies.observe(Series(Kind.CLM, "crm", "poll", False, "ok"), 0.3)
        latencies.observe(Series(Kind.WEB, "tieline", "GET /v1/contracts", False, "failed"), 400)
        latencies.store(engine, now=at)
    lately = now - timedelta(minutes=5)
    with engine.begin() as conn:
        for number in range(30):
            add_run(conn, 9_000 + number, at=lately, calls=[("project.create", 40.0 * number, "ok", True)])
        add_run(conn, 9_100, at=lately, outcome="retry", error_class="transient")
        add_run(conn, 9_101, at=lately, outcome="failed", error_class="permanent")
        add_run(conn, 9_102, at=lately, outcome="retry", error_class="ambiguous", lane="legacy")
        at = now - timedelta(minutes=20)
        conn.execute(_CHANGED, {"lane": "cloud", "breaker": "open", "why": HOSTILE, "at": at - timedelta(minutes=15)})
        conn.execute(_CHANGED, {"lane": "cloud", "breaker": "closed", "why": None, "at": at})
    counted(engine, clock)
    standing.sample(engine, clock=clock, estate=rows.estate())
    caught_up(engine, clock, rows.estate())
    slo.evaluate(engine, clock=clock, estate=rows.estate())


def scheduled(engine: sa.Engine, *, now: datetime = NOW) -> None:
    """Three jobs: one went well, one failed, one is paused."""
    with engine.begin() as conn:
        for job, every_s, why in _JOBS:
            paused = None if why is None else now - timedelta(hours=2)
            conn.execute(_DECLARE, {"job": job, "every_s": every_s, "now": now, "paused_at": paused,
                                    "paused_by": why and "admin@example.com", "why": why})  # fmt: skip
        for job, outcome, detail in (("measures", "ok", "3 contracts measured again"), ("poll:crm", "failed", HOSTILE)):
            at = now - timedelta(seconds=20)
            conn.execute(_RAN, {"job": job, "at": at, "until": at + timedelta(seconds=1.5), "outcome": outcome,
                                "detail": detail})  # fmt: skip


def at_work(conn: sa.Connection) -> None:
    """A worker lives as long as this connection."""
    worker_id = conn.execute(_WORKER, {"since": NOW - timedelta(days=1), "now": NOW}).scalar_one()
    conn.commit()
    conn.execute(sa.text(f"SELECT pg_advisory_lock({Lock.WORKER}, :id)"), {"id": worker_id})
