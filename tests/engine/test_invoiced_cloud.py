"""Over HTTP: what sandbox-cloud invoiced stays byte for byte, whatever is amended; finance settles the rest there."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import orjson
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncEngine

from app.sandbox.cloud import masterdata
from app.sandbox.cloud.serve import serving
from app.sandbox.cloud.server import build
from sync_core.clock import VirtualClock
from sync_core.connectors import discovery
from sync_core.engine.lane_watch import LaneWatch
from sync_core.engine.worker import Pace, Worker
from sync_core.estate.estate import Erp
from sync_core.keys import Lane
from sync_core.lanes import lanes
from sync_core.lanes.lanes import LaneGate
from sync_core.ports import ErpConnector
from tests.engine.governed import Desk
from tests.sows import amended, cloud_event, signed

START = datetime(2026, 5, 20, 9, tzinfo=UTC)
TOKEN = {"x-sandbox-token": "admin-token"}
MASTER: dict[str, object] = {
    "legal_entities": [{"code": "US01", "name": "Test Partners LLC", "currency": "USD"}],
    "tax_codes": [{"legal_entity": "US01", "code": "US-CA-STD", "rate": "8.25"}],
    "payment_terms": [{"code": "NET30", "days": "30"}],
    "revenue_categories": [{"code": "REV-MILESTONE", "account": "4000"}, {"code": "REV-TM", "account": "4100"}],
}


@dataclass
class CloudDesk(Desk):
    """Its ERP is sandbox-cloud."""

    connector: ErpConnector | None = None
    gate: LaneGate | None = None
    raw: httpx.AsyncClient | None = None

    async def worker(self, *, pace: Pace | None = None, worker_id: int | None = None) -> Worker:
        assert self.connector is not None
        assert self.gate is not None
        self.workers += 1
        number = worker_id or self.workers
        async with self.engine.begin() as conn:
            await lanes.declare(conn, [(self.estate.erp[0], 0.0)])
        connectors, gates = {"cloud": self.connector}, {"cloud": self.gate}
        watch = LaneWatch(self.engine, connectors, gates, self.clock, number)
        return Worker(self.engine, connectors, watch, self.estate, self.clock, number, pace or Pace())

    async def milestones(self) -> dict[str, dict[str, Any]]:
        """As the ERP holds them, by their own key."""
        assert self.raw is not None
        answer = await self.raw.get("/_sandbox/objects", params={"kind": "milestone"})
        return {doc["external_id"].partition("#M:")[2]: doc for doc in answer.raise_for_status().json()["items"]}

    async def ask(self, what: str, body: dict[str, object]) -> None:
        assert self.raw is not None
        (await self.raw.post(f"/_sandbox/{what}", json=body)).raise_for_status()


@asynccontextmanager
async def cloud_desk(engine: AsyncEngine, sync: sa.Engine) -> AsyncIterator[CloudDesk]:
    clock = VirtualClock(START)
    app = build(clock, client_secret="s", admin_token="admin-token")
    masterdata.put(app.store, MASTER)
    app.store.commit()
    try:
        async with serving(app) as url, httpx.AsyncClient(base_url=url, headers=TOKEN) as raw:
            settings = Erp(name="cloud", kind="sandbox-cloud", url=url, user="tieline")
            gate = LaneGate(Lane("cloud"))
            erp = discovery.erp(settings.kind)(settings, secret="s", gate=gate, clock=clock)
            try:
                yield CloudDesk(engine, clock=clock, sync=sync, connector=erp, gate=gate, raw=raw)
            finally:
                await erp.aclose()
    finally:
        app.close()


async def test_an_invoiced_milestone_is_byte_identical_after_amendments_and_settled_by_finance(
    async_database: AsyncEngine, database: sa.Engine
) -> None:
    async with cloud_desk(async_database, database) as desk:
        await desk.arrive(cloud_event("e1", "signed.v1", signed("C-1")))
        await desk.run()
        assert await desk.states() == {"C-1": "active"}
        await desk.run(after=timedelta(days=20))
        await desk.ask("advance", {"through": "2026-06-05"})
        before = (await desk.milestones())["design"]
        assert before["billed"] is True
        lower = [
            {"key": "design", "name": "Design", "amount": "8000.00", "due_on": "2026-08-29", "line": "1"},
            {"key": "golive", "name": "Go-live", "amount": "16000.00", "due_on": "2026-10-30", "line": "1"},
        ]
        lines = [{"key": "1", "description": "Rollout", "amount": "24000.00"}]
        changes: dict[str, Any] = {"value": "24000.00", "lines": lines, "milestones": lower}
        await desk.arrive(cloud_event("a1", "amended.v1", amended("C-1", **changes)))
        await desk.run(after=timedelta(hours=1))
        after = await desk.milestones()
        assert orjson.dumps(after["design"]) == orjson.dumps(before)
        assert (after["golive"]["amount"], after["golive"]["bill_date"]) == ("16000.00", "2026-10-30")
        assert await desk.states() == {"C-1": "active"}
        assert await desk.rows("SELECT cause, state, exposure FROM core.case") == [("billed_differs", "open", 2000)]
        await desk.ask("settle", {"milestone": before["id"], "amount": "-2000.00"})
        await desk.run(after=timedelta(hours=2))
        assert await desk.rows("SELECT state, closed_how FROM core.case") == [("resolved", "read_back")]
        settled = (await desk.milestones())["design"]
        assert {name: settled[name] for name in before} == before
        assert settled["invoiced_amount"] == "8000.00"
        story = desk.reads.amendments(1)
        assert story is not None
        assert story.books is not None
        assert [story.books.invoiced, story.books.to_invoice, story.books.difference] == [8000, 16000, 0]
