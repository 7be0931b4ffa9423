"""A job runs once for its time, over all hosts, whatever happens to one of them."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from app.jobs.scheduler import Job, Scheduler, due, forget
from sync_core.clock import SystemClock, VirtualClock
from sync_core.errors import ClmError
from tests.databases import DatabaseUrls
from tests.engine.support import until

NOON = datetime(2026, 11, 23, 12, 0, 20, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


@pytest.fixture
async def direct(database_urls: DatabaseUrls) -> AsyncIterator[AsyncEngine]:
    engine = create_async_engine(database_urls.app, poolclass=sa.NullPool)
    yield engine
    await engine.dispose()


class Counted:
    def __init__(self) -> None:
        self.runs = 0
        self.go_on = asyncio.Event()
        self.go_on.set()

    async def work(self) -> str:
        self.runs += 1
        await self.go_on.wait()
        return f"run {self.runs}"


async def runs(engine: AsyncEngine) -> list[tuple[object, ...]]:
    async with engine.connect() as conn:
        rows = await conn.execute(sa.text("SELECT scheduled_for, outcome, detail FROM core.job_run ORDER BY 1"))
        return [tuple(row) for row in rows]


def test_the_time_of_a_run_is_the_same_on_every_host() -> None:
    assert due(MINUTE, NOON) == NOON.replace(second=0)
    assert due(MINUTE, NOON + timedelta(seconds=39)) == NOON.replace(second=0)
    assert due(timedelta(days=1), NOON) == NOON.replace(hour=0, second=0)


async def test_two_hosts_run_a_job_once_for_its_time(async_database: AsyncEngine, direct: AsyncEngine) -> None:
    clock, counted = VirtualClock(NOON), Counted()
    job = Job("poll", MINUTE, counted.work)
    hosts = [Scheduler(async_database, direct, clock, [job]) for _ in range(2)]
    assert sorted(await asyncio.gather(*(host.run_once(job) for host in hosts))) == [False, True]
    clock.advance(MINUTE)
    assert sorted(await asyncio.gather(*(host.run_once(job) for host in hosts))) == [False, True]
    assert await runs(async_database) == [
        (NOON.replace(second=0), "ok", "run 1"),
        (NOON.replace(second=0) + MINUTE, "ok", "run 2"),
    ]


async def test_a_run_that_outlasts_its_period_does_not_meet_the_next(
    async_database: AsyncEngine, direct: AsyncEngine
) -> None:
    clock, counted = VirtualClock(NOON), Counted()
    job = Job("poll", MINUTE, counted.work)
    counted.go_on.clear()
    first = asyncio.create_task(Scheduler(async_database, direct, clock, [job]).run_once(job))

    async def begun() -> bool:
        return counted.runs == 1

    await until(begun)
    clock.advance(MINUTE)
    assert await Scheduler(async_database, direct, clock, [job]).run_once(job) is False
    counted.go_on.set()
    assert await first is True
    assert [outcome for _, outcome, _ in await runs(async_database)] == ["ok", "skipped"]


async def test_a_failure_is_kept_with_its_words_and_the_next_run_comes(
    async_database: AsyncEngine, direct: AsyncEngine
) -> None:
    clock = VirtualClock(NOON)

    async def fail() -> str:
        raise ClmError("urn:clm", "is down")

    job = Job("poll", MINUTE, fail)
    scheduler = Scheduler(async_database, direct, clock, [job])
    await scheduler.run_once(job)
    clock.advance(MINUTE)
    await scheduler.run_once(job)
    assert [(outcome, detail) for _, outcome, detail in await runs(async_database)] == [
        ("failed", "urn:clm: is down")
    ] * 2


async def test_after_downtime_a_job_catches_up_once_and_at_once(
    async_database: AsyncEngine, direct: AsyncEngine
) -> None:
    clock, counted = VirtualClock(NOON), Counted()
    weekly = Job("snapshot", timedelta(days=7), counted.work)
    before = Scheduler(async_database, direct, clock, [weekly])
    await before.run_once(weekly)
    clock.advance(timedelta(days=30))
    running = asyncio.create_task(Scheduler(async_database, direct, clock, [weekly]).run())

    async def caught_up() -> bool:
        return len([one for one in await runs(async_database) if one[1] == "ok"]) == 2

    await until(caught_up)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert counted.runs == 2
    assert await forget(async_database, before=NOON + MINUTE) == 1


async def test_when_a_scheduler_has_ended_no_job_of_it_runs_on(
    async_database: AsyncEngine, direct: AsyncEngine
) -> None:
    """Not even one that began in its time, long after the start: what it uses is closed next."""
    begun, ended = 0, 0

    async def work() -> str:
        nonlocal begun, ended
        begun += 1
        if begun == 1:
            return "caught up"
        try:
            await asyncio.Event().wait()
        finally:
            # Whatever a job needs a moment for, to leave things in order.
            async with async_database.connect() as conn:
                await conn.scalar(sa.text("SELECT 1"))
            ended += 1
        return "never"

    job = Job("poll", timedelta(seconds=1), work)
    running = asyncio.create_task(Scheduler(async_database, direct, SystemClock(), [job]).run())

    async def in_its_time() -> bool:
        return begun == 2

    await until(in_its_time)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert (begun, ended) == (2, 1)


async def _say(engine: AsyncEngine, change: str) -> None:
    async with engine.begin() as conn:
        await conn.execute(sa.text(f"UPDATE core.schedule SET {change}"), {"now": NOON})


async def _declared(engine: AsyncEngine, job: Job) -> None:
    async with engine.begin() as conn:
        await conn.execute(
            sa.text("INSERT INTO core.schedule (job, every_s, declared_at) VALUES (:job, :every_s, :now)"),
            {"job": job.name, "every_s": job.every.total_seconds(), "now": NOON},
        )


async def test_a_paused_job_does_not_run_by_its_timetable(async_database: AsyncEngine, direct: AsyncEngine) -> None:
    clock, counted = VirtualClock(NOON), Counted()
    job = Job("poll", MINUTE, counted.work)
    scheduler = Scheduler(async_database, direct, clock, [job])
    await _declared(async_database, job)
    await _say(async_database, "paused_at = :now")
    assert await scheduler.run_once(job) is False
    await _say(async_database, "paused_at = NULL")
    assert await scheduler.run_once(job) is True
    assert await runs(async_database) == [(NOON.replace(second=0), "ok", "run 1")]


async def test_a_run_that_is_asked_for_begins_within_seconds_on_one_host(
    async_database: AsyncEngine, direct: AsyncEngine
) -> None:
    """Two hosts, a job of once a year, paused; each host also has a job of its own, which the other does not know."""
    clock, counted, other = VirtualClock(NOON), Counted(), Counted()
    job, alien = Job("snapshot", timedelta(days=365), counted.work), Job("poll:x", timedelta(days=365), other.work)
    hosts = [Scheduler(async_database, direct, clock, jobs) for jobs in ([job], [job, alien])]
    running = [asyncio.create_task(host.run()) for host in hosts]

    async def caught_up() -> bool:
        return [outcome for _, outcome, _ in await runs(async_database)] == ["ok", "ok"]

    await until(caught_up)
    clock.advance(timedelta(hours=1))
    await _say(async_database, "paused_at = :now, wanted_at = CAST(:now AS timestamptz) + interval '1 hour'")

    async def asked() -> bool:
        return [outcome for _, outcome, _ in await runs(async_database)] == ["ok"] * 4

    await until(asked, within_s=10)
    for task in running:
        task.cancel()
    await asyncio.gather(*running, return_exceptions=True)
    assert (counted.runs, other.runs) == (2, 2)
    async with async_database.connect() as conn:
        left = (await conn.execute(sa.text("SELECT count(*) FROM core.schedule WHERE wanted_at IS NOT NULL"))).scalar()
    assert left == 0


async def test_a_scheduler_declares_its_jobs(async_database: AsyncEngine, direct: AsyncEngine) -> None:
    counted = Counted()
    jobs = [Job("b", MINUTE, counted.work), Job("a", timedelta(days=7), counted.work)]
    running = asyncio.create_task(Scheduler(async_database, direct, VirtualClock(NOON), jobs).run())

    async def declared() -> bool:
        async with async_database.connect() as conn:
            rows = (await conn.execute(sa.text("SELECT job, every_s FROM core.schedule ORDER BY job"))).all()
        return [tuple(row) for row in rows] == [("a", 604_800), ("b", 60)]

    await until(declared)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
