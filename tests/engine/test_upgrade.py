"""An ERP that is upgraded while contracts are provisioned: its lane pauses before a write, nothing is half done."""

import asyncio
from collections import Counter
from dataclasses import dataclass, field
from datetime import timedelta

import httpx
import pytest
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncEngine

from app.sandbox.cloud import masterdata
from app.sandbox.cloud.server import SandboxCloud, build
from collectors import financial_status, needs
from sync_core.connectors import discovery
from sync_core.engine.lane_watch import LaneWatch
from sync_core.engine.worker import Pace, Worker
from sync_core.errors import ErpAnswerIncomplete, InvalidEstate
from sync_core.estate.estate import Erp
from sync_core.keys import Lane
from sync_core.lanes import lanes
from sync_core.lanes.lanes import LaneGate
from sync_core.ports import ErpConnector
from tests.contracts.cases import SECRET, context
from tests.engine.support import Bench, until
from tests.sows import cloud_event, signed

ADMIN = {"x-sandbox-token": "admin-token"}
CONTRACTS = 30
RENAMED = {"project": {"purchase_order": "po_reference"}, "milestone": {"bill_date": "invoice_on"}}
MAPPED = {"field.project.purchase_order": "po_reference", "field.milestone.bill_date": "invoice_on"}
MASTER = {
    "legal_entities": [{"code": "US01", "name": "Test Partners LLC", "currency": "USD"}],
    "tax_codes": [{"legal_entity": "US01", "code": "US-CA-STD", "rate": "8.25"}],
    "payment_terms": [{"code": "NET30", "days": "30"}],
    "revenue_categories": [{"code": "REV-MILESTONE", "account": "4000"}],
}


@dataclass
class Upgraded(Bench):
    """A bench whose ERP is sandbox-cloud, with the connector that a firm has."""

    options: dict[str, str] = field(default_factory=dict)
    connectors: dict[str, ErpConnector] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.cloud: SandboxCloud = build(self.virtual, client_secret=SECRET, admin_token="admin-token")
        masterdata.put(self.cloud.store, MASTER)
        self.cloud.store.commit()

    async def worker(self, *, pace: Pace | None = None, worker_id: int | None = None) -> Worker:
        self.workers += 1
        number, gates = worker_id or self.workers, {"cloud": LaneGate(Lane("cloud"))}
        self.connectors = {"cloud": self.connector(gates["cloud"])}
        async with self.engine.begin() as conn:
            await lanes.declare(conn, [(self.estate.erp[0], 0.0)])
        watch = LaneWatch(self.engine, self.connectors, gates, self.clock, number)
        return Worker(self.engine, self.connectors, watch, self.estate, self.clock, number, pace or Pace())

    def connector(self, gate: LaneGate) -> ErpConnector:
        settings = Erp("cloud", "sandbox_cloud", "http://cloud", user="tieline", options=self.options)
        transport = httpx.ASGITransport(self.cloud)
        return discovery.erp(settings.kind)(settings, secret=SECRET, gate=gate, clock=self.clock, transport=transport)

    async def upgrade(self, release: str, renames: object) -> None:
        await self.ask("upgrade", {"release": release, "renames": renames})

    async def ask(self, what: str, body: object) -> None:
        async with httpx.AsyncClient(
            base_url="http://cloud", transport=httpx.ASGITransport(self.cloud), headers=ADMIN
        ) as raw:
            answer = await raw.post(f"/_sandbox/{what}", json=body)
            assert answer.status_code == 200, answer.text

    def active(self) -> list[str]:
        return [str(one["external_id"]) for one in self.cloud.store.all("project") if one["status"] == "active"]

    async def lane(self) -> tuple[str, str]:
        [row] = await self.rows("SELECT breaker, coalesce(reason, '') FROM core.lane")
        return str(row[0]), str(row[1])

    async def under_load(self) -> Worker:
        """Half of the contracts are provisioned when the ERP's new release comes."""
        await self.arrive(*(cloud_event(f"e{n}", "signed.v1", signed(f"C-{n:03d}")) for n in range(CONTRACTS)))
        worker = await self.worker(pace=Pace(in_flight=6))
        draining = asyncio.create_task(worker.drain())

        async def half() -> bool:
            return len(self.active()) >= CONTRACTS // 2

        await until(half)
        await self.upgrade("2026.4.0", RENAMED)
        await draining
        return worker

    async def whole(self) -> None:
        """Every contract is billable, and every object stands once in the ERP."""
        assert await self.states() == {f"C-{n:03d}": "active" for n in range(CONTRACTS)}
        assert len(self.active()) == CONTRACTS
        for kind, each in (("project", 1), ("milestone", 2), ("contract_line", 1)):
            held = Counter(str(one["external_id"]) for one in self.cloud.store.all(kind))
            assert (len(held), set(held.values())) == (CONTRACTS * each, {1}), kind
        assert await self.rows("SELECT 1 FROM core.case") == []


@pytest.fixture
def bench(async_database: AsyncEngine) -> Upgraded:
    return Upgraded(async_database)


async def stopped(bench: Upgraded) -> int:
    """The lane says why, no write was refused, and what is billable is whole. How many are not done."""
    breaker, reason = await bench.lane()
    assert breaker == "paused"
    assert "its answers lack the fields milestone.bill_date, project.purchase_order" in reason
    refused = [one for one in bench.cloud.ledger.requests if one.status is None or one.status >= 400]
    assert refused == []
    for key in bench.active():
        [project] = bench.cloud.store.by_key("project", key)
        assert len(bench.cloud.store.parts("milestone", str(project["id"]))) == 2
    waiting = await bench.count("waiting")
    assert 0 < waiting <= CONTRACTS // 2
    assert await bench.rows("SELECT 1 FROM core.case") == []
    return waiting


async def test_the_lane_pauses_before_a_write_and_goes_on_after_the_way_back(bench: Upgraded) -> None:
    worker = await bench.under_load()
    waiting, sent = await stopped(bench), len(bench.cloud.ledger.requests)
    bench.virtual.advance(timedelta(minutes=2))
    await worker.drain()
    assert await stopped(bench) == waiting
    assert len(bench.cloud.ledger.requests) == sent, "a paused lane sends nothing but its probe"
    await bench.upgrade("2026.4.1", {})
    bench.virtual.advance(timedelta(minutes=2))
    await worker.drain()
    assert await bench.lane() == ("closed", "")
    await bench.whole()


async def test_the_lane_goes_on_once_the_estate_file_says_the_new_names(bench: Upgraded) -> None:
    before = await bench.under_load()
    await stopped(bench)
    await before.lanes.give_back()  # it is stopped, as an operator does who changes the estate file
    bench.options = MAPPED
    bench.virtual.advance(timedelta(minutes=2))
    worker = await bench.worker()
    await worker.drain()
    assert await bench.lane() == ("closed", "")
    await bench.whole()
    # The same contracts are read back under the new names: nothing is written a second time.
    written = len(bench.cloud.ledger.requests)
    async with bench.engine.begin() as conn:
        await conn.execute(sa.text("UPDATE core.contract SET due_at = :now"), {"now": bench.clock.now()})
    await worker.drain()
    assert len(bench.cloud.ledger.requests) == written


async def test_a_worker_that_begins_after_the_upgrade_writes_nothing(bench: Upgraded) -> None:
    await bench.upgrade("2026.4.0", RENAMED)
    await bench.arrive(cloud_event("e", "signed.v1", signed("C-1")))
    worker = await bench.worker()
    await worker.drain()
    assert list(bench.cloud.ledger.requests) == []
    assert (await bench.lane())[0] == "paused"
    assert await bench.states() == {"C-1": "waiting"}


async def test_the_job_pauses_an_idle_lane_and_notes_what_it_found(bench: Upgraded) -> None:
    await (await bench.worker()).lanes.share_slots(spare=8)
    assert await needs.collect(bench.engine, bench.connectors, clock=bench.clock) == ()
    [[lane, api, problem]] = await bench.rows("SELECT lane, api, problem FROM core.connector_check")
    assert (lane, api, problem) == ("cloud", "v1", None)
    await bench.upgrade("2026.4.0", {"customer": {"name": "full_name"}})
    assert await needs.collect(bench.engine, bench.connectors, clock=bench.clock) == ("cloud",)
    breaker, reason = await bench.lane()
    assert (breaker, "lack the field customer.name" in reason) == ("paused", True)
    history = await bench.rows("SELECT breaker FROM core.lane_history")
    assert await needs.collect(bench.engine, bench.connectors, clock=bench.clock) == ("cloud",)
    assert await bench.rows("SELECT breaker FROM core.lane_history") == history, "told once"


async def test_another_version_of_the_interface_is_told_by_its_name(bench: Upgraded) -> None:
    await (await bench.worker()).lanes.share_slots(spare=8)
    connector = bench.connectors["cloud"]
    bench.cloud.api.names.api = "v2"
    with pytest.raises(ErpAnswerIncomplete, match=r"lack version v1 of its interface \(it offers v2\)"):
        await connector.check(context())  # type: ignore[attr-defined]


async def test_an_older_release_without_a_ledger_of_revenue_runs_and_its_revenue_is_not_reported(
    bench: Upgraded,
) -> None:
    bench.cloud.api.names.ledger = False
    await bench.arrive(cloud_event("e", "signed.v1", signed("C-1")))
    worker = await bench.worker()
    await worker.drain()
    assert await bench.states() == {"C-1": "active"}
    await bench.ask("advance", {"through": "2026-06-01"})
    assert await financial_status.collect(bench.engine, bench.connectors["cloud"], clock=bench.clock) > 0
    assert await reported(bench) == [(["dispute", "invoice", "payment"], {"invoice"})]
    assert await needs.collect(bench.engine, bench.connectors, clock=bench.clock) == ()
    assert await bench.lane() == ("closed", "")
    [[problem, without]] = await bench.rows("SELECT problem, does_without FROM core.connector_check")
    assert (problem, "revenue is not reported" in without) == (None, True)
    bench.cloud.api.names.ledger = True
    await bench.upgrade("2026.4.1", {})
    await financial_status.collect(bench.engine, bench.connectors["cloud"], clock=bench.clock)
    assert await reported(bench) == [(["dispute", "invoice", "payment", "revenue"], {"invoice", "revenue"})]


async def reported(bench: Upgraded) -> list[tuple[object, set[object]]]:
    kinds = {kind for (kind,) in await bench.rows("SELECT DISTINCT kind FROM core.financial_fact")}
    return [(reports, kinds) for (reports,) in await bench.rows("SELECT reports FROM core.financial_source")]


@pytest.mark.parametrize("option", ["field.project", "field.none.name", "field.project.nothing", "field.customer.code"])
def test_an_option_that_names_no_field_is_refused(bench: Upgraded, option: str) -> None:
    bench.options = {option: "x"}
    with pytest.raises(InvalidEstate, match="names no field"):
        bench.connector(LaneGate(Lane("cloud")))
