"""Periodic work: declared on every host, run once over all of them, caught up once after downtime.

A job's times are multiples of its period since the epoch, so that all hosts mean the same run. Whoever inserts
the row of core.job_run does it; a session lock keeps a run that outlasts its period from meeting the next.
At the start the present period's run is asked for at once: that is the catching up.

People can pause a job and ask for a run now (sync_core/commands/schedules.py): a paused one begins no run by its
timetable, and a run that was asked for is begun by the first scheduler that sees it, wherever it was asked.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import orjson
import sqlalchemy as sa
from apscheduler.schedulers.asyncio import AsyncIOScheduler
from apscheduler.triggers.interval import IntervalTrigger
from sqlalchemy.ext.asyncio import AsyncEngine

from sync_core.clock import Clock
from sync_core.errors import TielineError
from sync_core.locks import Lock
from sync_core.schedules import due, lock_key

__all__ = ["Job", "Scheduler", "due", "forget"]

log = logging.getLogger(__name__)

ASKED_EVERY_S = 1.0
_DECLARE_EVERY = timedelta(minutes=10)
_AFTER_TROUBLE_S = 15.0
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

_BEGIN = sa.text("""
    INSERT INTO core.job_run (job, scheduled_for, started_at)
    SELECT CAST(:job AS text), CAST(:scheduled_for AS timestamptz), CAST(:now AS timestamptz)
    WHERE NOT EXISTS (SELECT FROM core.schedule WHERE job = :job AND paused_at IS NOT NULL)
    ON CONFLICT (job, scheduled_for) DO NOTHING RETURNING job
""")
_BEGIN_ASKED = sa.text("""
    INSERT INTO core.job_run (job, scheduled_for, started_at) VALUES (:job, :scheduled_for, :now)
    ON CONFLICT (job, scheduled_for) DO NOTHING RETURNING job
""")
# In the order of names, so that two schedulers that start together do not wait in a circle.
_DECLARE = sa.text("""
    INSERT INTO core.schedule AS s (job, every_s, declared_at)
    SELECT d.job, d.every_s, CAST(:now AS timestamptz)
    FROM jsonb_to_recordset(CAST(:jobs AS jsonb)) AS d(job text, every_s integer) ORDER BY d.job
    ON CONFLICT (job) DO UPDATE SET every_s = excluded.every_s, declared_at = excluded.declared_at
""")
# Whoever takes the mark runs it.
_ASKED = sa.text("""
    UPDATE core.schedule AS s SET wanted_at = NULL
    FROM (SELECT job, wanted_at FROM core.schedule
          WHERE wanted_at IS NOT NULL AND job = ANY(:jobs) FOR UPDATE SKIP LOCKED) AS w
    WHERE s.job = w.job RETURNING s.job, w.wanted_at
""")
_END = sa.text("""
    UPDATE core.job_run SET finished_at = :now, outcome = :outcome, detail = :detail
    WHERE job = :job AND scheduled_for = :scheduled_for
""")
_LOCK = sa.text("SELECT pg_try_advisory_lock(:class, :key)")
_UNLOCK = sa.text("SELECT pg_advisory_unlock(:class, :key)")
_FORGET = sa.text("DELETE FROM core.job_run WHERE started_at < :before")


@dataclass(frozen=True, slots=True)
class Job:
    """`work` says in a few words what it did; they are kept with the run."""

    name: str
    every: timedelta
    work: Callable[[], Awaitable[str]]


class Scheduler:
    """`engine` as the application; `direct` passes no pooler, because a session lock must stay on its connection."""

    def __init__(self, engine: AsyncEngine, direct: AsyncEngine, clock: Clock, jobs: Sequence[Job]) -> None:
        self._engine, self._direct, self._clock, self._jobs = engine, direct, clock, jobs
        self._named = {job.name: job for job in jobs}

    async def run(self) -> None:
        """Until cancelled, and then until what runs has ended. A job that fails has failed once; its next run comes."""
        scheduler = AsyncIOScheduler(timezone=UTC)
        async with asyncio.TaskGroup() as running:

            async def begin(job: Job) -> None:
                # Not in the library's own task, which it cancels at the end and leaves to itself.
                running.create_task(self._fire(job))

            for job in self._jobs:
                every = IntervalTrigger(seconds=int(job.every.total_seconds()), start_date=_EPOCH, timezone=UTC)
                scheduler.add_job(begin, every, args=[job], id=job.name, coalesce=True, misfire_grace_time=None)
            await self._declare()
            for job in self._jobs:
                await begin(job)  # the catching up
            scheduler.start()
            try:
                await self._listen(running)
            finally:
                scheduler.shutdown(wait=False)

    async def run_once(self, job: Job) -> bool:
        """The run of the present period, unless someone has begun it or the job is paused; whether we did it.

        Raises for a lost database.
        """
        return await self._run(job, due(job.every, self._clock.now()), _BEGIN)

    async def _run(self, job: Job, scheduled_for: datetime, begin: sa.TextClause) -> bool:
        run = {"job": job.name, "scheduled_for": scheduled_for}
        async with self._engine.begin() as conn:
            if (await conn.execute(begin, {**run, "now": self._clock.now()})).first() is None:
                return False
        async with self._alone(job.name) as alone:
            outcome, detail = await self._outcome(job) if alone else ("skipped", "the run before still goes on")
        async with self._engine.begin() as conn:
            await conn.execute(_END, {**run, "now": self._clock.now(), "outcome": outcome, "detail": detail[:500]})
        return alone

    async def _declare(self) -> None:
        told = [{"job": job.name, "every_s": int(job.every.total_seconds())} for job in self._jobs]
        async with self._engine.begin() as conn:
            await conn.execute(_DECLARE, {"jobs": orjson.dumps(told).decode(), "now": self._clock.now()})

    async def _listen(self, running: asyncio.TaskGroup) -> None:
        """Look for what people ask for, until cancelled. Trouble with the database ends with the session, not here."""
        declared_at = self._clock.now()
        while True:
            await asyncio.sleep(ASKED_EVERY_S)
            try:
                if self._clock.now() >= declared_at + _DECLARE_EVERY:
                    await self._declare()
                    declared_at = self._clock.now()
                async with self._engine.begin() as conn:
                    rows = (await conn.execute(_ASKED, {"jobs": list(self._named)})).all()
            except (sa.exc.SQLAlchemyError, OSError) as wrong:
                log.warning("runs that were asked for could not be looked for: %s", wrong)
                await asyncio.sleep(_AFTER_TROUBLE_S)
                continue
            for row in rows:
                running.create_task(self._fire(self._named[row.job], row.wanted_at))

    async def _fire(self, job: Job, asked_at: datetime | None = None) -> None:
        try:
            if asked_at is None:
                await self.run_once(job)
            else:
                await self._run(job, asked_at, _BEGIN_ASKED)
        except (sa.exc.SQLAlchemyError, OSError) as wrong:
            log.warning("job %s could not be recorded: %s", job.name, wrong)

    async def _outcome(self, job: Job) -> tuple[str, str]:
        try:
            return "ok", await job.work()
        except TielineError as wrong:
            log.warning("job %s failed: %s", job.name, wrong)
            return "failed", wrong.message
        except Exception as wrong:
            # The boundary of one job: a fault in it must not end the worker, and its words are kept with the run.
            log.exception("job %s failed by a fault of ours", job.name)
            return "failed", f"{type(wrong).__name__}: {wrong}"

    @asynccontextmanager
    async def _alone(self, name: str) -> AsyncIterator[bool]:
        """Whether no other run of this job goes on anywhere, while the context is open."""
        names = {"class": Lock.JOB.value, "key": lock_key(name)}
        async with self._direct.connect() as conn:
            mine = bool(await conn.scalar(_LOCK, names))
            await conn.commit()
            try:
                yield mine
            finally:
                if mine:
                    await conn.execute(_UNLOCK, names)
                    await conn.commit()


async def forget(engine: AsyncEngine, *, before: datetime) -> int:
    """Delete the history of runs older than a moment; the number deleted."""
    async with engine.begin() as conn:
        return (await conn.execute(_FORGET, {"before": before})).rowcount
