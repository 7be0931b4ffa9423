"""Workers for engine tests: real PostgreSQL, a memory ERP, a clock of the test's choice."""

import asyncio
import contextlib
import gc
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncEngine

from sync_core.clock import Clock, VirtualClock
from sync_core.engine.lane_watch import LaneWatch
from sync_core.engine.replaying import Replayer
from sync_core.engine.session import Session, open_session
from sync_core.engine.worker import Pace, Worker
from sync_core.estate.estate import Estate
from sync_core.keys import Lane
from sync_core.lanes import lanes
from sync_core.lanes.lanes import LaneGate
from tests.memory_erp import MemoryConnector, MemoryErp
from tests.sows import SIGNED_AT, arrive, estate


@dataclass
class Bench:
    """One database, one ERP, one clock, and as many workers as a test makes."""

    engine: AsyncEngine
    erp: MemoryErp = field(default_factory=MemoryErp)
    clock: Clock = field(default_factory=lambda: VirtualClock(SIGNED_AT))
    settle_s: float = 0.05
    workers: int = 0
    estate: Estate = field(default_factory=estate)

    @property
    def virtual(self) -> VirtualClock:
        assert isinstance(self.clock, VirtualClock)
        return self.clock

    async def worker(self, *, pace: Pace | None = None, worker_id: int | None = None) -> Worker:
        self.workers += 1
        number = worker_id or self.workers
        known = self.estate
        gates = {"cloud": LaneGate(Lane("cloud"))}
        connectors = {"cloud": MemoryConnector(self.erp, gates["cloud"], settle_s=self.settle_s)}
        async with self.engine.begin() as conn:
            await lanes.declare(conn, [(known.erp[0], connectors["cloud"].settle_s)])
        watch = LaneWatch(self.engine, connectors, gates, self.clock, number)
        return Worker(self.engine, connectors, watch, known, self.clock, number, pace or Pace())

    async def arrive(self, *events: dict[str, object]) -> None:
        async with self.engine.begin() as conn:
            await arrive(conn, *events, now=self.clock.now())

    async def rows(self, sql: str, **values: object) -> list[tuple[Any, ...]]:
        async with self.engine.connect() as conn:
            return [tuple(row) for row in await conn.execute(sa.text(sql), values)]

    async def states(self) -> dict[str, str]:
        return {
            str(r[0]): str(r[1]) for r in await self.rows("SELECT external_id, state FROM core.contract ORDER BY 1")
        }

    async def count(self, state: str) -> int:
        return int(str((await self.rows("SELECT count(*) FROM core.contract WHERE state = :s", s=state))[0][0]))


@dataclass
class Living:
    """A worker with its session, running as in production; `kill` is what kill -9 does to it."""

    worker: Worker
    session: Session
    task: asyncio.Task[None]
    replaying: asyncio.Task[None]
    stop: asyncio.Event
    close: Callable[[], Awaitable[None]]

    async def kill(self) -> None:
        """Its tasks vanish and its connection breaks; nothing is given back, nothing more is written."""
        running = [r.task for r in self.worker.running.values() if r.task]
        for task in (self.task, self.replaying, *running):
            task.cancel()
        await asyncio.gather(self.task, self.replaying, *running, return_exceptions=True)
        self.session.connection.pgconn.finish()
        del running
        gc.collect()  # connections broke with it: now, while the test says that they may

    async def finish(self) -> None:
        self.stop.set()
        self.worker.wake.set()
        await self.task
        self.replaying.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self.replaying
        await self.close()


async def start(bench: Bench, database_url: str, *, pace: Pace) -> Living:
    context = open_session(database_url, name="test", version="0", now=bench.clock.now())
    session = await context.__aenter__()
    worker = await bench.worker(pace=pace, worker_id=session.worker_id)
    stop = asyncio.Event()

    async def close() -> None:
        await context.__aexit__(None, None, None)

    replaying = asyncio.create_task(Replayer(worker).run())
    return Living(worker, session, asyncio.create_task(worker.run(stop)), replaying, stop, close)


async def until(condition: Callable[[], Awaitable[bool]], *, within_s: float = 20.0) -> None:
    """Wait for a condition; fail when it does not come true in time."""
    deadline = time.monotonic() + within_s
    while not await condition():
        if time.monotonic() > deadline:
            raise AssertionError(f"did not come true within {within_s} s")
        await asyncio.sleep(0.02)
