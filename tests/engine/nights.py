"""A firm that bills from sandbox-legacy: its estate, the ERP in this process, workers, and a clock of the test's.

Country, currency, tax regime and ERP are in the TOML below and nowhere else.
"""

from collections import Counter
from dataclasses import dataclass, field
from datetime import date, datetime
from datetime import time as hour
from zoneinfo import ZoneInfo

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncEngine

from app.sandbox.in_process import InProcess
from app.sandbox.legacy import admin, server
from sync_core.clock import VirtualClock
from sync_core.connectors.erp import sandbox_legacy
from sync_core.engine.lane_watch import LaneWatch
from sync_core.engine.worker import Pace, Worker
from sync_core.estate.estate import Estate, load
from sync_core.keys import Lane
from sync_core.lanes import lanes
from sync_core.lanes.batches import BatchWindow
from sync_core.lanes.lanes import LaneGate
from sync_core.ports import ErpConnector
from tests.sows import arrive, cloud_event, milestone_terms, signed, tm_terms

ZONE = ZoneInfo("Africa/Tunis")
ESTATE = """
[group]
name = "Test Partners"
reporting_currency = "USD"

[[clm]]
name = "clm"
source = "urn:test:clm"
kind = "sandbox"

[[erp]]
name = "old"
kind = "sandbox_legacy"
url = "http://old.test"
user = "tieline"
max_in_flight = 2
timeout_s = 5

[erp.options]
zone = "Africa/Tunis"
opens = "22:00"
closes = "04:00"
answers = "06:00"
settle_s = "2"
"entity.TN01" = "7700"
"currency.TND" = "78"
"tax.TN-TVA" = "TV19"
"terms.NET30" = "Z30"
"category.REV-MILESTONE" = "E10"
"category.REV-TM" = "E20"

[[entity]]
code = "TN01"
name = "Test Partners Tunis SARL"
country = "TN"
currency = "TND"
timezone = "Africa/Tunis"
erp = "old"
create_customers = true

[[revenue]]
recognition = "point_in_time"
account = "4000"
category = "REV-MILESTONE"
billing = "milestones"

[[revenue]]
recognition = "as_invoiced"
account = "4100"
category = "REV-TM"
billing = "time_and_materials"

[[exchange_rate]]
currency = "TND"
rate = "0.32"
valid_from = 2025-01-01
"""
MASTER: dict[str, object] = {
    "currencies": [{"code": "78", "iso": "TND"}],
    "legal_entities": [{"code": "7700", "name": "Test Partners Tunis SARL", "currency": "TND"}],
    "tax_codes": [{"legal_entity": "7700", "code": "TV19", "rate": "19"}],
    "payment_terms": [{"code": "Z30", "days": "30"}],
    "revenue_categories": [{"code": "E10", "account": "4000"}, {"code": "E20", "account": "4100"}],
}
PASSWORD = "tests-only-legacy"


def at(clock: str, day: int = 3) -> datetime:
    """A moment of March 2026 in Tunis."""
    return datetime.combine(date(2026, 3, day), hour.fromisoformat(clock), ZONE)


def terms(**changes: object) -> dict[str, object]:
    there = {"legal_entity": "TN01", "currency": "TND", "tax": {"tax_code": "TN-TVA"}}
    return milestone_terms(**{**there, "customer": customer(1), **changes})


def hourly(**changes: object) -> dict[str, object]:
    there = {"legal_entity": "TN01", "currency": "TND", "tax": {"tax_code": "TN-TVA"}}
    return tm_terms(**{**there, "customer": customer(1), **changes})


def customer(number: int) -> dict[str, object]:
    return {"code": f"TN-{number:03d}", "name": f"Société {number}", "tax_id": f"TN{number:07d}", "country": "TN"}


def window() -> BatchWindow:
    return BatchWindow(hour(22), hour(4), hour(6), "Africa/Tunis")


@dataclass
class Nights:
    """One database, one ERP, one clock."""

    engine: AsyncEngine
    clock: VirtualClock = field(default_factory=lambda: VirtualClock(at("14:00")))
    estate: Estate = field(default_factory=lambda: load(ESTATE))
    workers: int = 0

    def __post_init__(self) -> None:
        self.erp = server.build(self.clock, window=window(), password=PASSWORD)
        admin.put_master(self.erp.store, MASTER)

    def connectors(self, gates: dict[str, LaneGate]) -> dict[str, ErpConnector]:
        """A worker's own."""
        gates["old"] = LaneGate(Lane("old"))
        connector = sandbox_legacy.connect(
            self.estate.erps["old"], secret=PASSWORD, gate=gates["old"], clock=self.clock, transport=self.transport()
        )
        return {"old": connector}

    def transport(self) -> InProcess:
        return InProcess(self.erp)

    async def worker(self, worker_id: int | None = None) -> Worker:
        self.workers += 1
        number = worker_id or self.workers
        gates: dict[str, LaneGate] = {}
        connectors = self.connectors(gates)
        async with self.engine.begin() as conn:
            declared = [(erp, connectors[erp.name].capabilities.settle_s) for erp in self.estate.erp]
            await lanes.declare(conn, declared)
        watch = LaneWatch(self.engine, connectors, gates, self.clock, number)
        return Worker(self.engine, connectors, watch, self.estate, self.clock, number, Pace())

    async def sign(self, name: str, agreed: dict[str, object] | None = None, *, revision: int = 1) -> None:
        event = cloud_event(
            f"{name}.{revision}", "signed.v1", signed(name, agreed or terms(), revision=revision), at=self.clock.now()
        )
        async with self.engine.begin() as conn:
            await arrive(conn, event, now=self.clock.now(), lane="old")

    async def amend(self, name: str, number: int, changes: dict[str, object]) -> None:
        header = {"number": number, "executed_at": self.clock.now().isoformat()}
        data = {"contract_id": name, "revision": number + 1, "amendment": header, "changes": changes}
        await self.tell(name, "amended.v1", data)

    async def tell(self, name: str, kind: str, data: dict[str, object]) -> None:
        event = cloud_event(f"{name}.{kind}.{data['revision']}", kind, data, at=self.clock.now())
        async with self.engine.begin() as conn:
            await arrive(conn, event, now=self.clock.now(), lane="old")

    async def active(self, name: str, agreed: dict[str, object] | None = None) -> Worker:
        """Signed, and provisioned in the night of the third: the worker that did it."""
        worker = await self.worker()
        await self.sign(name, agreed)
        await self.overnight(worker)
        assert await self.states() == {name: "active"}
        return worker

    async def overnight(self, worker: Worker, day: int = 3) -> None:
        """From the evening of that day until the answer in the morning."""
        for moment in (at("22:00", day), at("06:00", day + 1)):
            self.go_to(moment)
            await worker.drain()

    def go_to(self, moment: datetime) -> None:
        self.clock.advance_to(moment)

    async def rows(self, sql: str, **values: object) -> list[tuple[object, ...]]:
        async with self.engine.connect() as conn:
            return [tuple(row) for row in await conn.execute(sa.text(sql), values)]

    async def states(self) -> dict[str, str]:
        return {str(n): str(s) for n, s in await self.rows("SELECT external_id, state FROM core.contract")}

    async def waits(self) -> list[tuple[object, ...]]:
        """Until when, in words, and the attempts that it cost."""
        sql = "SELECT due_at, last_error, last_error_class, attempt FROM core.contract ORDER BY external_id"
        return await self.rows(sql)

    def batches(self) -> list[dict[str, object]]:
        return [dict(doc) for doc in self.erp.store.all("batch")]

    def held(self) -> Counter[tuple[str, str]]:
        """How many documents stand under each key."""
        return Counter((str(d["kind"]), str(d["external_id"])) for d in admin.objects(self.erp.store))
