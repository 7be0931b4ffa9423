"""Scheduled jobs: how often each runs, how it went last, when it runs next, and what people said about it."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

import sqlalchemy as sa

from sync_core.locks import Lock, held
from sync_core.schedules import due, lock_oid

# Which jobs run, by their locks; the keys of names are worked out by the reader.
_LOCKS: Final = sa.text(held(Lock.JOB))

# One that the workers have not declared for a day, while they declared others, is of another release or estate.
_SCHEDULES: Final = sa.text("""
    SELECT s.job, s.every_s, s.paused_at, s.paused_by, s.pause_reason, s.wanted_at, s.wanted_by, s.version,
           r.started_at, r.finished_at, r.outcome, r.detail, k.finished_at AS last_ok_at
    FROM core.schedule AS s
    LEFT JOIN LATERAL (
        SELECT started_at, finished_at, outcome, detail FROM core.job_run AS r
        WHERE r.job = s.job ORDER BY r.started_at DESC LIMIT 1) AS r ON true
    LEFT JOIN LATERAL (
        SELECT finished_at FROM core.job_run AS r
        WHERE r.job = s.job AND r.outcome = 'ok' ORDER BY r.started_at DESC LIMIT 1) AS k ON true
    WHERE s.declared_at > (SELECT max(declared_at) FROM core.schedule) - interval '1 day'
    ORDER BY s.job
""")
_HISTORY: Final = sa.text("""
    SELECT scheduled_for, started_at, finished_at, outcome, detail FROM core.job_run
    WHERE job = :job ORDER BY started_at DESC LIMIT :most
""")


@dataclass(frozen=True, slots=True)
class Schedule:
    """One job. Times in UTC; `next_at` None: it is paused."""

    job: str
    every: timedelta
    running: bool
    started_at: datetime | None  # of its last run; None: it never ran
    finished_at: datetime | None  # None beside a start: it runs, or its host died
    outcome: str | None  # ok, failed, skipped
    detail: str | None
    last_ok_at: datetime | None
    next_at: datetime | None
    paused_at: datetime | None
    paused_by: str | None
    pause_reason: str | None
    wanted_at: datetime | None  # somebody asked for a run; a worker takes it up in a moment
    wanted_by: str | None
    version: int

    @property
    def late(self) -> bool:
        """Paused jobs are never late. One that succeeded neither in this period nor the two before it is."""
        return self.next_at is not None and (
            self.last_ok_at is None or self.next_at - self.last_ok_at > 4 * max(self.every, timedelta(minutes=1))
        )


@dataclass(frozen=True, slots=True)
class JobRun:
    scheduled_for: datetime
    started_at: datetime
    finished_at: datetime | None
    outcome: str | None
    detail: str | None


def schedules(conn: sa.Connection, *, now: datetime) -> tuple[Schedule, ...]:
    """By name."""
    held = set(conn.scalars(_LOCKS))
    found = []
    for row in conn.execute(_SCHEDULES):
        every = timedelta(seconds=row.every_s)
        found.append(
            Schedule(
                row.job, every, lock_oid(row.job) in held, row.started_at, row.finished_at, row.outcome, row.detail,
                row.last_ok_at, None if row.paused_at else due(every, now) + every, row.paused_at, row.paused_by,
                row.pause_reason, row.wanted_at, row.wanted_by, row.version,
            )
        )  # fmt: skip
    return tuple(found)


def history(conn: sa.Connection, job: str, *, most: int = 50) -> tuple[JobRun, ...]:
    """Of one job, newest first."""
    return tuple(JobRun(*row) for row in conn.execute(_HISTORY, {"job": job, "most": most}))
