"""Periodic work: declared on every host, run once over all of them, caught up once after downtime.

A job's times are multiples of its period since the epoch, so that all hosts mean the same run. Whoever inserts
the row of core.job_run does it; a session lock keeps a run that outlasts its period from meeting the next.
At the start the present period's run is asked for at once: that is the catching up.
"""

import asyncio
import logging
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import sqlalchemy as sa
from apscheduler.schedulers.asyncio import AsyncIOScheduler
from apscheduler.triggers.interval import IntervalTrigger
from sqlalchemy.ext.asyncio import AsyncEngine

from sync_core.clock import Clock
from sync_core.errors import TielineError

log = logging.getLogger(__name__)

LOCK_CLASS = 7716
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

_BEGIN = sa.text("""
    INSERT INTO core.job_run (job, scheduled_for, started_at) VALUES (:job, :scheduled_for, :now)
    ON CONFLICT (job, scheduled_for) DO NOTHING RETURNING job
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
                await begin(job)  # the catching up
            scheduler.start()
            try:
                await asyncio.Event().wait()
            finally:
                scheduler.shutdown(wait=False)

    async def run_once(self, job: Job) -> bool:
        """The run of the present period, unless someone has begun it; whether we did it. Raises for a lost database."""
        scheduled_for = due(job.every, self._clock.now())
        run = {"job": job.name, "scheduled_for": scheduled_for}
        async with self._engine.begin() as conn:
            if (await conn.execute(_BEGIN, {**run, "now": self._clock.now()})).first() is None:
                return False
        async with self._alone(job.name) as alone:
            outcome, detail = await self._outcome(job) if alone else ("skipped", "the run before still goes on")
        async with self._engine.begin() as conn:
            await conn.execute(_END, {**run, "now": self._clock.now(), "outcome": outcome, "detail": detail[:500]})
        return alone

    async def _fire(self, job: Job) -> None:
        try:
            await self.run_once(job)
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
        names = {"class": LOCK_CLASS, "key": zlib.crc32(name.encode()) - 2**31}
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


def due(every: timedelta, now: datetime) -> datetime:
    """The latest time at which a job of this period was to run."""
    return _EPOCH + (now - _EPOCH) // every * every
