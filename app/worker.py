"""The worker process: reconciler, scheduler and write-back, on one session with the database.

When the database goes away, everything that runs is cancelled and begins anew as another worker: a contract in hand
is then looked up before anything is sent again. Whatever ends by other means is a fault and ends the process.
"""

import asyncio
import contextlib
import hashlib
import logging
import os
import socket
from dataclasses import replace
from importlib.metadata import version

import psycopg
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncEngine

from app.cli.refusals import Exit, Refusal
from app.jobs import delivering
from app.jobs.declared import jobs_of
from app.jobs.scheduler import Scheduler
from app.settings import InvalidSettings
from app.wiring import Wiring
from sync_core.engine.lane_watch import LaneWatch
from sync_core.engine.replaying import Replayer
from sync_core.engine.session import Session, open_session
from sync_core.engine.worker import Pace, Worker
from sync_core.estate.estate import ErpMode, Estate
from sync_core.keys import Lane
from sync_core.lanes import lanes
from sync_core.lanes.lanes import LaneGate
from sync_core.moving import observed_sql
from sync_core.policy import activations, in_force
from sync_core.ports import ClmConnector, ErpConnector
from sync_core.telemetry import releases
from sync_core.writeback.writeback import write_back

log = logging.getLogger(__name__)

DATABASE_LOST = (
    psycopg.OperationalError,
    sa.exc.OperationalError,
    sa.exc.InterfaceError,
    sa.exc.InternalError,  # the server ended a transaction in which we stood still
    sa.exc.TimeoutError,
    OSError,
)
_FIRST_WAIT_S, _LONGEST_WAIT_S = 0.5, 15.0
_BEAT_S, _GATHER_S, _SLOW_WRITE_BACK_S = 15.0, 0.1, 5.0

_BEAT = sa.text("UPDATE core.worker SET beat_at = :now WHERE worker_id = :worker_id")
_TABLES = sa.text("SELECT to_regclass('core.event') IS NOT NULL")
_ESTATE = sa.text("""
    INSERT INTO core.estate_version (digest, body, activated_at) VALUES (:digest, :body, :now)
    ON CONFLICT (digest) DO NOTHING
""")


class SharedWake(asyncio.Event):
    """The worker's wake-up, which it clears itself; `too` is set along with it and cleared by somebody else."""

    def __init__(self) -> None:
        super().__init__()
        self.too = asyncio.Event()

    def set(self) -> None:
        super().set()
        self.too.set()


def pace_of(estate: Estate, lease_s: float | None) -> Pace:
    """A call that was sent ends before its lease does, so the longest time-out of an ERP decides.

    Half a lease is left for sending, and renewals come at each quarter of it. Raises InvalidSettings for a lease that
    is too short for that.
    """
    usual = Pace()
    call_s = max((erp.timeout_s for erp in estate.erp), default=usual.call_timeout_s)
    if lease_s is not None and lease_s < 2 * call_s:
        words = f"must be at least {2 * call_s:g}, twice the longest timeout_s of the estate's ERPs; raise it"
        raise InvalidSettings(f"TIELINE_WORKER_LEASE_S: {words}")
    return replace(usual, lease_s=lease_s or max(usual.lease_s, 2 * call_s), call_timeout_s=call_s)


class WorkerProcess:
    """One worker; `run` until `stop` is set."""

    def __init__(self, wiring: Wiring, *, policy_id: int = in_force.NOBODYS) -> None:
        """`policy_id`: of the policy in force that the estate is under; see app/ruled.py."""
        self._wiring, self._clock, self._estate = wiring, wiring.clock, wiring.estate
        self._policy_id = policy_id
        self._gates = {erp.name: LaneGate(Lane(erp.name)) for erp in self._estate.erp}
        self._pace = pace_of(self._estate, wiring.settings.worker_lease_s)

    async def run(self, stop: asyncio.Event) -> None:
        """Raises InvalidEstate for an estate that cannot be connected to, Refusal for a database without tables."""
        connectors, clms = self._wiring.erps(self._gates), self._wiring.clms()
        engine = self._wiring.async_engine(pool_size=16, patient=True, stalls_s=self._pace.lease_s)
        wait_s = _FIRST_WAIT_S
        try:
            while not stop.is_set():
                served = await self._until_lost(engine, connectors, clms, stop)
                wait_s = _FIRST_WAIT_S if served else min(wait_s * 2, _LONGEST_WAIT_S)
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(wait_s):
                        await stop.wait()
        finally:
            for connector in connectors.values():
                await connector.aclose()
            for clm in clms.values():
                await clm.aclose()
            await engine.dispose()

    async def _until_lost(
        self,
        engine: AsyncEngine,
        connectors: dict[str, ErpConnector],
        clms: dict[str, ClmConnector],
        stop: asyncio.Event,
    ) -> bool:
        """One session; whether it came to work before it ended."""
        served = False
        name = f"{socket.gethostname()}:{os.getpid()}"
        try:
            await self._prepare(engine, connectors)
            now = self._clock.now()
            async with open_session(
                self._wiring.urls.direct, name=name, version=version("tieline"), now=now
            ) as session:
                served = True
                log.info("worker %d begins", session.worker_id)
                await self._serve(session, engine, connectors, clms, stop)
        except* DATABASE_LOST as lost:
            log.warning("the database is lost, trying again: %s", " ".join(str(_first(lost)).split()))
            await engine.dispose()
        return served

    async def _prepare(self, engine: AsyncEngine, connectors: dict[str, ErpConnector]) -> None:
        body = self._wiring.estate_text
        digest = hashlib.sha256(body.encode()).hexdigest()
        now, policy, text = self._clock.now(), self._estate.rules_version, self._wiring.policy_text
        async with engine.begin() as conn:
            if not await conn.scalar(_TABLES):
                raise Refusal("The database has no tables of Tieline's: run `tieline migrate`.", Exit.DATABASE_REFUSED)
            found = await conn.run_sync(in_force.latest)
            if found is not None and found.policy_id != self._policy_id:
                raise Refusal("Another policy is in force: this worker begins again under it.", Exit.BEGIN_AGAIN)
            await lanes.declare(conn, [(erp, connectors[erp.name].capabilities.settle_s) for erp in self._estate.erp])
            writing = [erp.name for erp in self._estate.erp if erp.mode is ErpMode.WRITE]
            await observed_sql.resume(conn, writing, now=now)
            await releases.seen(conn, {releases.TIELINE: version("tieline")}, now=now)
        # Each apart: what waits for the policy's lock, or for the audit, must hold nothing that other workers wait for.
        async with engine.begin() as conn:
            await conn.execute(_ESTATE, {"digest": digest, "body": body, "now": now})
            await activations.note(conn, policy, text or "", estate=digest, now=now)
        async with engine.begin() as conn:
            await activations.wake(conn, policy, now=now)

    async def _serve(
        self,
        session: Session,
        engine: AsyncEngine,
        connectors: dict[str, ErpConnector],
        clms: dict[str, ClmConnector],
        stop: asyncio.Event,
    ) -> None:
        wake = SharedWake()
        watch = LaneWatch(engine, connectors, self._gates, self._clock, session.worker_id)
        worker = Worker(engine, connectors, watch, self._estate, self._clock, session.worker_id, self._pace, wake=wake)
        direct = self._wiring.direct_engine()
        scheduler = Scheduler(engine, direct, self._clock, jobs_of(self._wiring, engine, connectors, clms, wake))
        stopping = asyncio.create_task(_wake_at(stop, wake))
        try:
            async with asyncio.TaskGroup() as group:
                tasks = [
                    group.create_task(_listen(session, wake)),
                    group.create_task(self._beat(engine, session.worker_id)),
                    group.create_task(self._write_back(engine, clms, wake.too)),
                    group.create_task(scheduler.run()),
                    group.create_task(Replayer(worker).run()),
                    group.create_task(delivering.run(self._wiring, engine, DATABASE_LOST)),
                ]
                await worker.run(stop)
                for task in tasks:
                    task.cancel()
            await write_back(engine, clms, clock=self._clock)
            await watch.give_back()
        finally:
            stopping.cancel()
            await _cancel_running(worker)
            await direct.dispose()

    async def _beat(self, engine: AsyncEngine, worker_id: int) -> None:
        while True:
            async with engine.begin() as conn:
                await conn.execute(_BEAT, {"now": self._clock.now(), "worker_id": worker_id})
            await asyncio.sleep(_BEAT_S)

    async def _write_back(self, engine: AsyncEngine, clms: dict[str, ClmConnector], woken: asyncio.Event) -> None:
        """Soon after outcomes were committed; a little later rather than at once, so that many go in one call."""
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_SLOW_WRITE_BACK_S):
                    await woken.wait()
            await asyncio.sleep(_GATHER_S)
            woken.clear()
            await write_back(engine, clms, clock=self._clock)


def _first(wrong: BaseException) -> BaseException:
    """The first error of a group, however deep."""
    return _first(wrong.exceptions[0]) if isinstance(wrong, BaseExceptionGroup) else wrong


async def _listen(session: Session, wake: asyncio.Event) -> None:
    await session.listen(wake)
    raise psycopg.OperationalError("the connection that listens has ended")


async def _wake_at(stop: asyncio.Event, wake: asyncio.Event) -> None:
    """A worker that naps must see at once that it is to stop."""
    await stop.wait()
    wake.set()


async def _cancel_running(worker: Worker) -> None:
    """What still runs belongs to a session that is gone: nothing of it may be sent or stored any more."""
    tasks = [running.task for running in worker.running.values() if running.task]
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
