"""A firm with a CLM, an ERP and master data, each an HTTP server of its own, and a worker on one virtual clock."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any, cast

import httpx
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncEngine

from app.sandbox.clm import server as clm_server
from app.sandbox.cloud import server as cloud_server
from app.sandbox.cloud.billing import Habits
from app.sandbox.cloud.serve import serving
from app.sandbox.mdm import server as mdm_server
from collectors import financial_status
from sync_core.clock import VirtualClock
from sync_core.connectors import discovery
from sync_core.engine.lane_watch import LaneWatch
from sync_core.engine.worker import Pace, Worker
from sync_core.estate.estate import Estate, load
from sync_core.intake.polling import poll
from sync_core.keys import Lane
from sync_core.lanes import lanes
from sync_core.lanes.lanes import LaneGate
from sync_core.master import polling as master
from sync_core.master.records import MdmConnector
from sync_core.ports import ClmConnector, ErpConnector
from sync_core.writeback.told import DEBOUNCE
from sync_core.writeback.writeback import write_back
from tests.sows import ESTATE_TOML, SIGNED_AT, SOURCE, milestone_terms

TOKEN, SECRET, ADMIN = "letmein", "tests-only-erp", "tests-only-admin"
MDM = """
[[mdm]]
name = "master"
kind = "sandbox"
"""
BOOKS: dict[str, Any] = {
    "legal_entities": [{"code": "US01", "name": "Test Partners LLC", "currency": "USD"}],
    "tax_codes": [{"legal_entity": "US01", "code": code, "rate": "8.25"} for code in ("US-CA-STD", "US-NY-STD")],
    "payment_terms": [{"code": code, "days": "30"} for code in ("NET14", "NET30", "NET60")],
    "revenue_categories": [{"code": "REV-MILESTONE", "account": "4000"}, {"code": "REV-TM", "account": "4100"}],
    "labour_categories": [
        {"code": code, "name": name, "revenue_category": "REV-TM"}
        for code, name in (("SR", "Senior consultant"), ("JR", "Consultant"))
    ],
    "customers": [
        {"code": "CUST-1", "name": "Harbour Mutual", "country": "US", "tax_registration": "US-99-1"},
        {"code": "CUST-2", "name": "Harbour Holdings", "country": "US", "tax_registration": "US-99-2"},
    ],
}  # fmt: skip


@dataclass
class House:
    """Everything that a cell of the matrix touches."""

    engine: AsyncEngine
    estate: Estate
    clock: VirtualClock
    clm: httpx.AsyncClient
    erp: httpx.AsyncClient
    mdm: httpx.AsyncClient
    clm_connector: ClmConnector
    erp_connector: ErpConnector
    mdm_connector: MdmConnector
    worker: Worker

    async def settle(self) -> None:
        """All that the scheduler and the workers do, until nobody has anything to do."""
        for _ in range(3):
            await master.poll(self.engine, self.mdm_connector, clock=self.clock)
            await poll(self.engine, self.clm_connector, estate=self.estate, clock=self.clock)
            await self.worker.drain()
            await financial_status.collect(self.engine, self.erp_connector, clock=self.clock)
            self.clock.advance(DEBOUNCE + timedelta(seconds=1))
            await write_back(self.engine, {SOURCE: self.clm_connector}, clock=self.clock)

    async def look(self) -> None:
        """The contract is due without an event, as by the watch for drift, and all settles."""
        async with self.engine.begin() as conn:
            await conn.execute(sa.text("UPDATE core.contract SET due_at = :now"), {"now": self.clock.now()})
        await self.settle()

    async def later(self, days: int) -> None:
        self.clock.advance(timedelta(days=days))
        await self.settle()

    # ---- the CLM ---------------------------------------------------------------------------------------------

    async def sign(self, terms: dict[str, object] | None = None, *, contract: str = "C-1") -> None:
        await self.draft(terms or milestone_terms(), contract=contract)
        await self.change("signature", {}, contract=contract)

    async def draft(self, terms: dict[str, object], *, contract: str) -> None:
        await self._sent(self.clm, "POST", "/api/contracts", {"contract_id": contract, "terms": terms})

    async def change(self, what: str, body: dict[str, object], *, contract: str = "C-1") -> None:
        await self._sent(self.clm, "POST", f"/api/contracts/{contract}/{what}", body)
        await self.settle()

    async def amend(self, **changes: object) -> None:
        await self.change("amendments", {"changes": changes})

    async def told(self, contract: str = "C-1") -> dict[str, Any]:
        """What the CLM was told of it."""
        view = await self._sent(self.clm, "GET", f"/api/contracts/{contract}")
        return dict(view["integration"] or {})

    async def events(self) -> int:
        return int((await self._sent(self.clm, "GET", "/healthz"))["events"])

    # ---- the ERP ---------------------------------------------------------------------------------------------

    async def holds(self, kind: str = "project", part: str = "") -> dict[str, Any]:
        """The only one of its kind whose key ends with `part`."""
        (found,) = [one for one in await self.all_of(kind) if str(one["external_id"]).endswith(part)]
        return found

    async def all_of(self, kind: str = "project") -> list[dict[str, Any]]:
        return list((await self._sent(self.erp, "GET", f"/_sandbox/objects?kind={kind}"))["items"])

    async def edit(self, kind: str = "project", part: str = "", **fields: str) -> None:
        """Somebody changes a record by hand."""
        held = await self.holds(kind, part)
        await self._sent(self.erp, "PATCH", "/_sandbox/objects", {"kind": kind, "id": held["id"], "fields": fields})

    async def writes(self) -> int:
        return len((await self._sent(self.erp, "GET", "/_sandbox/log"))["writes"])

    # ---- master data -----------------------------------------------------------------------------------------

    async def customer(self, mdm_id: str, **fields: object) -> None:
        await self._sent(self.mdm, "PUT", f"/api/customers/{mdm_id}", fields)

    async def entity(self, mdm_id: str, **fields: object) -> None:
        await self._sent(self.mdm, "PUT", f"/api/legal-entities/{mdm_id}", fields)

    async def merge(self, mdm_id: str, into: str) -> None:
        await self._sent(self.mdm, "POST", f"/api/customers/{mdm_id}/merge", {"into": into})

    # ---- what Tieline says -----------------------------------------------------------------------------------

    async def state(self, contract: str = "C-1") -> str:
        return str(await self._scalar("SELECT state FROM core.contract WHERE external_id = :id", id=contract))

    async def causes(self) -> set[str]:
        async with self.engine.connect() as conn:
            rows = await conn.execute(sa.text("SELECT cause FROM core.case WHERE state = 'open'"))
            return {str(row.cause) for row in rows}

    async def case(self) -> int:
        return int(await self._scalar("SELECT case_id FROM core.case WHERE state = 'open'"))

    async def _scalar(self, sql: str, **values: object) -> Any:
        async with self.engine.connect() as conn:
            return await conn.scalar(sa.text(sql), values)

    @staticmethod
    async def _sent(client: httpx.AsyncClient, method: str, path: str, body: object = None) -> dict[str, Any]:
        answer = await client.request(method, path, json=body)
        assert answer.is_success, answer.text
        return dict(answer.json())


@asynccontextmanager
async def house(engine: AsyncEngine, more: str = "") -> AsyncIterator[House]:
    """`more`: of the estate, besides that of tests/sows.py and master data."""
    clock = VirtualClock(SIGNED_AT)
    clm = clm_server.build(clock, seed=1, token=TOKEN, source=SOURCE)
    mdm = mdm_server.build(clock, token=TOKEN)
    habits = Habits(dispute_share=1.0, pays_after_days=(20, 20))
    erp = cloud_server.build(clock, client_secret=SECRET, admin_token=ADMIN, habits=habits)
    known = load(ESTATE_TOML + MDM + more)
    async with AsyncExitStack() as stack:
        # A bare ASGI application is all that it serves, whichever it is.
        urls = [await stack.enter_async_context(serving(cast("cloud_server.SandboxCloud", one))) for one in
                (clm, erp, mdm)]  # fmt: skip
        clients = [
            await stack.enter_async_context(httpx.AsyncClient(base_url=url, headers=headers, timeout=10))
            for url, headers in zip(urls, (_bearer(), {"x-sandbox-token": ADMIN}, _bearer()), strict=True)
        ]
        (await clients[1].post("/_sandbox/master", json=BOOKS)).raise_for_status()
        gate = LaneGate(Lane("cloud"))
        erp_connector = discovery.erp("sandbox_cloud")(
            replace(known.erp[0], url=urls[1], user="tieline"), secret=SECRET, gate=gate, clock=clock
        )
        clm_connector = discovery.clm("sandbox")(replace(known.clm[0], url=urls[0]), secrets=[TOKEN], clock=clock)
        mdm_connector = discovery.mdm("sandbox")(replace(known.mdm[0], url=urls[2]), secrets=[TOKEN], clock=clock)
        for connector in (erp_connector, clm_connector, mdm_connector):
            stack.push_async_callback(connector.aclose)
        async with engine.begin() as conn:
            await lanes.declare(conn, [(known.erp[0], erp_connector.capabilities.settle_s)])
        watch = LaneWatch(engine, {"cloud": erp_connector}, {"cloud": gate}, clock, 1)
        worker = Worker(engine, {"cloud": erp_connector}, watch, known, clock, 1, Pace())
        yield House(
            engine,
            known,
            clock,
            clients[0],
            clients[1],
            clients[2],
            clm_connector,
            erp_connector,
            mdm_connector,
            worker,
        )
        erp.close()


def _bearer() -> dict[str, str]:
    return {"authorization": f"Bearer {TOKEN}"}
