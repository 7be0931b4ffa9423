"""Workers for engine tests: real PostgreSQL, a memory ERP, a virtual clock."""

from dataclasses import dataclass, field

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncEngine

from sync_core import lanes
from sync_core.clock import VirtualClock
from sync_core.engine.lane_watch import LaneWatch
from sync_core.engine.worker import Pace, Worker
from sync_core.keys import Lane
from sync_core.lanes import LaneGate
from tests.memory_erp import MemoryConnector, MemoryErp
from tests.sows import SIGNED_AT, arrive, estate


@dataclass
class Bench:
    """One database, one ERP, one clock, and as many workers as a test makes."""

    engine: AsyncEngine
    erp: MemoryErp = field(default_factory=MemoryErp)
    clock: VirtualClock = field(default_factory=lambda: VirtualClock(SIGNED_AT))
    workers: int = 0

    async def worker(self, *, pace: Pace | None = None) -> Worker:
        self.workers += 1
        known = estate()
        gates = {"cloud": LaneGate(Lane("cloud"))}
        connectors = {"cloud": MemoryConnector(self.erp, gates["cloud"])}
        async with self.engine.begin() as conn:
            await lanes.declare(conn, [(known.erp[0], connectors["cloud"].settle_s)])
        watch = LaneWatch(self.engine, connectors, gates, self.clock, self.workers)
        return Worker(self.engine, connectors, watch, known, self.clock, self.workers, pace or Pace())

    async def arrive(self, *events: dict[str, object]) -> None:
        async with self.engine.begin() as conn:
            await arrive(conn, *events, now=self.clock.now())

    async def rows(self, sql: str, **values: object) -> list[sa.Row[tuple[object, ...]]]:
        async with self.engine.connect() as conn:
            return list(await conn.execute(sa.text(sql), values))

    async def states(self) -> dict[str, str]:
        return {str(r[0]): str(r[1]) for r in await self.rows("SELECT external_id, state FROM core.contract ORDER BY 1")}
