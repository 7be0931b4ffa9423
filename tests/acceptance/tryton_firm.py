"""A firm whose contracts are billed from a real Tryton: its estate, and workers of its own on one database."""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import httpx
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncEngine

from app.sandbox.tryton_server import TrytonEndpoint
from sync_core.clock import VirtualClock
from sync_core.connectors import discovery
from sync_core.engine.lane_watch import LaneWatch
from sync_core.engine.worker import Worker
from sync_core.estate.estate import load
from sync_core.keys import Lane
from sync_core.lanes import lanes
from sync_core.lanes.lanes import LaneGate
from sync_core.ports import ErpConnector
from tests.sows import arrive
from tests.tryton_bookkeeper import tryton_erp

LANE = "tryton"
NOW = datetime(2026, 6, 1, 9, tzinfo=UTC)
ESTATE = """
[group]
name = "Northwind Services"
reporting_currency = "USD"

[[clm]]
name = "clm"
source = "urn:test:clm"
kind = "sandbox"

[[erp]]
name = "tryton"
kind = "tryton"
max_in_flight = 4

[[entity]]
code = "LE-US-01"
name = "Northwind Services LLC"
country = "US"
currency = "USD"
timezone = "America/Los_Angeles"
erp = "tryton"
create_customers = true

[[revenue]]
recognition = "point_in_time"
account = "4.1.2"
category = "MILESTONE-POINT-IN-TIME"
billing = "milestones"

[[revenue]]
recognition = "over_time"
account = "4.2.2"
category = "TM-OVER-TIME"
billing = "time_and_materials"
"""


@dataclass
class Firm:
    """One database of Tieline, one Tryton, one clock. `settle` moves time on until nothing waits any more."""

    engine: AsyncEngine
    endpoint: TrytonEndpoint
    clock: VirtualClock = field(default_factory=lambda: VirtualClock(NOW))
    connectors: list[ErpConnector] = field(default_factory=list)

    async def worker(self, transport: httpx.AsyncBaseTransport | None = None) -> Worker:
        estate, gate = load(ESTATE), LaneGate(Lane(LANE))
        erp = tryton_erp(self.endpoint, customers_without_tax_rule="category-tax")
        made = discovery.erp(erp.kind)(
            erp, secret=self.endpoint.password, gate=gate, clock=self.clock, transport=transport
        )
        self.connectors.append(made)
        async with self.engine.begin() as conn:
            await lanes.declare(conn, [(erp, made.capabilities.settle_s)])
        number, connectors = len(self.connectors), {LANE: made}
        watch = LaneWatch(self.engine, connectors, {LANE: gate}, self.clock, number)
        return Worker(self.engine, connectors, watch, estate, self.clock, number)

    async def arrive(self, *events: dict[str, object]) -> None:
        async with self.engine.begin() as conn:
            await arrive(conn, *events, now=self.clock.now(), lane=LANE)

    async def states(self) -> dict[str, str]:
        async with self.engine.connect() as conn:
            found = await conn.execute(sa.text("SELECT external_id, state FROM core.contract ORDER BY 1"))
            return {str(external_id): str(state) for external_id, state in found}

    async def settle(self, *workers: Worker) -> None:
        for _ in range(20):
            for worker in workers:
                await worker.drain()
            if set((await self.states()).values()) <= {"active", "blocked", "ended"}:
                return
            self.clock.advance(timedelta(seconds=5))

    async def aclose(self) -> None:
        for connector in self.connectors:
            await connector.aclose()
