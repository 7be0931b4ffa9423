"""The scheduled jobs of a worker: what runs how often, and in which words it reports."""

import asyncio
from collections.abc import Mapping
from datetime import timedelta
from functools import partial
from importlib.metadata import version

from sqlalchemy.ext.asyncio import AsyncEngine

from app.demo.clock import DemoClock
from app.jobs import audit_chain, delivering, identity, master, scheduler, snapshots, telemetry
from app.jobs import watch as watch_jobs
from app.jobs.scheduler import Job
from app.wiring import Wiring
from collectors import financial_status, needs, releases
from metrics.refresh import refresh
from sync_core.intake.intake import release
from sync_core.intake.polling import poll
from sync_core.ports import ClmConnector, ErpConnector
from sync_core.schemas.watch import watch

FINANCIAL_STATUS_EVERY = timedelta(minutes=1)
RELEASE_EVERY = timedelta(minutes=5)
RELEASES_EVERY = timedelta(minutes=5)
CONNECTORS_EVERY = timedelta(minutes=1)
SCHEMAS_EVERY = timedelta(minutes=1)
MEASURES_EVERY = timedelta(seconds=15)
HOUSEKEEPING_EVERY = timedelta(days=1)
_KEEP_RUNS = timedelta(days=30)


def jobs_of(
    wiring: Wiring,
    engine: AsyncEngine,
    erps: Mapping[str, ErpConnector],
    clms: Mapping[str, ClmConnector],
    wake: asyncio.Event,
) -> list[Job]:
    """`wake` is set when a job made contracts due."""
    work = _Work(wiring, engine, wake)
    jobs = [
        Job("release-quarantine", RELEASE_EVERY, work.release),
        Job("housekeeping", HOUSEKEEPING_EVERY, work.housekeeping),
        Job("identity", identity.EVERY, partial(identity.tidy, engine, wiring.clock)),
        Job("audit-verify", HOUSEKEEPING_EVERY, partial(audit_chain.daily, wiring)),
        Job("measures", MEASURES_EVERY, work.measures),
        Job("releases", RELEASES_EVERY, partial(work.releases, erps, clms)),
        Job("connectors", CONNECTORS_EVERY, partial(work.connectors, erps)),
        Job("schemas", SCHEMAS_EVERY, work.schemas),
        *delivering.jobs(wiring, engine),
        *telemetry.jobs(wiring),
        *snapshots.jobs(wiring),
        *master.jobs(wiring, engine, wake),
        *watch_jobs.jobs(wiring, engine, erps, clms, wake),
    ]
    for source, clm in clms.items():
        every = timedelta(seconds=wiring.estate.clms[source].poll_every_s)
        jobs.append(Job(f"poll:{clm.name}", every, partial(work.poll, clm)))
    for lane, erp in erps.items():
        name = f"financial-status:{lane}"
        jobs.append(Job(name, FINANCIAL_STATUS_EVERY, partial(work.financial_status, erp)))
    return jobs


class _Work:
    """Each method is one job."""

    def __init__(self, wiring: Wiring, engine: AsyncEngine, wake: asyncio.Event) -> None:
        self._wiring, self._engine, self._wake = wiring, engine, wake
        self._clock, self._estate = wiring.clock, wiring.estate
        self._sync = wiring.engine(pool_size=1)  # connects when it is first used

    async def poll(self, clm: ClmConnector) -> str:
        new = await poll(self._engine, clm, estate=self._estate, clock=self._clock)
        if new:
            self._wake.set()
        return f"{new} new events"

    async def financial_status(self, erp: ErpConnector) -> str:
        new = await financial_status.collect(self._engine, erp, clock=self._clock)
        return f"{new} new facts"

    async def measures(self) -> str:
        demo = DemoClock(self._sync) if self._wiring.settings.estate is None else None
        if demo is not None and await asyncio.to_thread(lambda: demo.notice() is not None):
            return "the past that is being made measures itself"
        done = await asyncio.to_thread(refresh, self._sync, clock=self._clock, estate=self._estate)
        return f"{done.contracts} contract{'' if done.contracts == 1 else 's'} measured again"

    async def releases(self, erps: Mapping[str, ErpConnector], clms: Mapping[str, ClmConnector]) -> str:
        new = await releases.collect(self._engine, erps, clms, clock=self._clock, tieline=version("tieline"))
        return f"new releases: {', '.join(new) or 'none'}"

    async def connectors(self, erps: Mapping[str, ErpConnector]) -> str:
        lacking = await needs.collect(self._engine, erps, clock=self._clock)
        return f"paused for what their answers lack: {', '.join(lacking) or 'none'}"

    async def schemas(self) -> str:
        seen = await watch(self._engine, clock=self._clock)
        return f"{seen.events} events counted, {seen.new_fields} fields nobody knew"

    async def release(self) -> str:
        released, after = 0, 0
        while True:
            async with self._engine.begin() as conn:
                some = await release(conn, estate=self._estate, now=self._clock.now(), after=after)
            released += len(some.receipts)
            if some.last is None:
                break
            after = some.last
        if released:
            self._wake.set()
        return f"{released} events released"

    async def housekeeping(self) -> str:
        now = self._clock.now()
        runs = await scheduler.forget(self._engine, before=now - _KEEP_RUNS)
        async with self._engine.begin() as conn:
            gone = await conn.run_sync(lambda sync: identity.forget_sign_ins(sync, now=now))
        return f"{gone} old sign-ins and {runs} old runs forgotten"
