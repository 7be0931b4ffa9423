"""The rest of a contract's life in sandbox-cloud, over HTTP: held, billed to the end, closed, and what stays billed."""

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta

import pytest
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncEngine

from app.sandbox.cloud import masterdata
from app.sandbox.cloud.serve import serving
from app.sandbox.cloud.server import SandboxCloud, build
from sync_core.connectors import discovery
from sync_core.engine.lane_watch import LaneWatch
from sync_core.engine.worker import Pace, Worker
from sync_core.estate.estate import Erp, Estate
from sync_core.keys import Lane
from sync_core.lanes import lanes
from sync_core.lanes.lanes import LaneGate
from sync_core.ports import ErpConnector
from tests.engine.governed import Desk
from tests.sows import cloud_event, estate, signed

SECRET = "sandbox-secret"
MASTER = {
    "legal_entities": [{"code": "US01", "name": "Test Partners LLC", "currency": "USD"}],
    "tax_codes": [{"legal_entity": "US01", "code": "US-CA-STD", "rate": "8.25"}],
    "payment_terms": [{"code": "NET30", "days": "30"}],
    "revenue_categories": [{"code": "REV-MILESTONE", "account": "4000"}, {"code": "REV-TM", "account": "4100"}],
}


@dataclass
class CloudDesk(Desk):
    """Its ERP is sandbox-cloud behind a port."""

    cloud: SandboxCloud | None = None
    url: str = ""
    estate: Estate = field(default_factory=estate)
    connectors: list[ErpConnector] = field(default_factory=list)

    async def worker(self, *, pace: Pace | None = None, worker_id: int | None = None) -> Worker:
        self.workers += 1
        gate = LaneGate(Lane("cloud"))
        erp = Erp(name="cloud", kind="sandbox-cloud", url=self.url, user="tieline", timeout_s=10)
        connector = discovery.erp(erp.kind)(erp, secret=SECRET, gate=gate, clock=self.clock)
        self.connectors.append(connector)
        async with self.engine.begin() as conn:
            await lanes.declare(conn, [(self.estate.erp[0], connector.capabilities.settle_s)])
        watch = LaneWatch(self.engine, {"cloud": connector}, {"cloud": gate}, self.clock, self.workers)
        return Worker(self.engine, {"cloud": connector}, watch, self.estate, self.clock, self.workers, pace or Pace())

    def held(self, kind: str) -> list[dict[str, object]]:
        assert self.cloud is not None
        return [dict(doc) for doc in self.cloud.store.all(kind)]

    def status(self) -> list[object]:
        return [doc["status"] for doc in self.held("project")]


@pytest.fixture
async def desk(async_database: AsyncEngine, database: sa.Engine) -> AsyncIterator[CloudDesk]:
    desk = CloudDesk(async_database, sync=database)
    desk.cloud = app = build(desk.clock, client_secret=SECRET, unique_keys=True)
    masterdata.put(app.store, MASTER)
    app.store.commit()
    async with serving(app) as url:
        desk.url = url
        yield desk
        for connector in desk.connectors:
            await connector.aclose()
    app.close()


async def said(desk: CloudDesk, kind: str, revision: int, **data: object) -> None:
    event = {"contract_id": "C-1", "revision": revision, **data}
    await desk.arrive(cloud_event(f"{kind}-{revision}", f"{kind}.v1", event))
    await desk.run(after=timedelta(minutes=1))


async def test_a_project_is_held_activated_billed_to_the_end_and_closed(desk: CloudDesk) -> None:
    assert desk.cloud is not None
    await desk.arrive(cloud_event("e1", "signed.v1", signed("C-1")))
    await desk.run()
    assert (await desk.states(), desk.status()) == ({"C-1": "active"}, ["active"])

    await said(desk, "suspended", 2, suspended_on="2026-03-02", reason="review")
    assert (await desk.states(), desk.status()) == ({"C-1": "suspended"}, ["setup"])
    await desk.run(after=datetime(2026, 6, 5, 16, tzinfo=UTC) - desk.clock.now())
    desk.cloud.billing.advance(date(2026, 6, 4))
    assert not any(doc["billed"] for doc in desk.held("milestone")), "nothing is billed meanwhile"

    await said(desk, "resumed", 3, resumed_on="2026-06-05")
    assert (await desk.states(), desk.status()) == ({"C-1": "active"}, ["active"])

    await said(desk, "terminated", 4, ended_on="2026-06-05")
    assert desk.status() == ["active"]
    assert [doc["name"] for doc in desk.held("milestone")] == ["Design"], "what was not due is gone"
    assert await desk.cases() == [("earned_not_billed", "finance_operations", "open")]

    desk.cloud.billing.advance(date(2026, 6, 5))
    await desk.run(after=timedelta(hours=25))
    assert (await desk.states(), desk.status()) == ({"C-1": "ended"}, ["closed"])
    assert [(doc["name"], doc["billed"]) for doc in desk.held("milestone")] == [("Design", True)]
    assert await desk.cases() == [("earned_not_billed", "finance_operations", "resolved")]
    [told] = await desk.rows("SELECT writeback_at IS NOT NULL FROM core.contract")
    assert told == (True,), "the CLM is told"


async def test_a_contract_cancelled_before_work_leaves_a_closed_project_without_parts(desk: CloudDesk) -> None:
    await desk.arrive(cloud_event("e1", "signed.v1", signed("C-1")))
    await desk.run()
    await said(desk, "cancelled", 2, ended_on="2026-03-02", reason="budget")
    assert (await desk.states(), desk.status()) == ({"C-1": "ended"}, ["closed"])
    assert not any(doc["billed"] for doc in desk.held("milestone"))
