"""The connectors that must pass the conformance suite, each with an ERP of its own to talk to.

To add one: write an async context manager that yields a `Case` and put it into CASES. It gets pytest's request, so
that a server that is dear to start can come from a session fixture (`request.getfixturevalue`).
"""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from datetime import time as hour
from functools import partial

import httpx
import pytest

from app.sandbox.cloud import masterdata
from app.sandbox.cloud.faults import Effect, Fault
from app.sandbox.cloud.serve import serving
from app.sandbox.cloud.server import SandboxCloud, build
from app.sandbox.legacy import admin as legacy_admin
from app.sandbox.legacy import server as legacy
from sync_core.clock import Clock, SystemClock, VirtualClock
from sync_core.connectors import discovery
from sync_core.desired import Kind
from sync_core.estate.estate import Erp
from sync_core.keys import ErpRef
from sync_core.lanes.batches import BatchWindow
from sync_core.ports import CallContext, ErpConnector
from tests.contracts.samples import Setup
from tests.tryton_bookkeeper import Bookkeeper, ForgetfulTransport, tryton_erp
from tests.tryton_server import RunningTryton


class Lane:
    """A Gate for tests: so many at once, and it remembers how many there were."""

    def __init__(self, slots: int = 8) -> None:
        self._slots = asyncio.Semaphore(slots)
        self.held = self.most = 0

    @asynccontextmanager
    async def slot(self) -> AsyncIterator[None]:
        async with self._slots:
            self.held += 1
            self.most = max(self.most, self.held)
            try:
                yield
            finally:
                self.held -= 1


def context(lasts_s: float = 60) -> CallContext:
    return CallContext("test-correlation", time.monotonic() + lasts_s)


@dataclass(frozen=True, slots=True)
class Case:
    """One connector and what the suite must be able to do to its ERP."""

    connector: ErpConnector
    setup: Setup
    lane: Lane
    count: Callable[[Kind, str], Awaitable[int]]  # records under a key, counted in the ERP itself
    # The next create of this kind is done, but its answer never comes. None: this ERP cannot be made to.
    lose_answer_of_create: Callable[[Kind], None] | None = None
    # The ERP invoices an active project's milestone. None: the ERP has no quick way to.
    bill_milestone: Callable[[ErpRef], Awaitable[None]] | None = None


Opener = Callable[[pytest.FixtureRequest], AbstractAsyncContextManager[Case]]

SANDBOX_SETUP = Setup("US01", "USD", "NET30", "US-TX", "SRV", "4000")
SECRET = "sandbox-secret"


def furnish(app: SandboxCloud) -> None:
    """The master data of SANDBOX_SETUP, and a second legal entity."""
    masterdata.put(
        app.store,
        {
            "legal_entities": [
                {"code": "US01", "name": "Example Inc", "currency": "USD"},
                {"code": "PY01", "name": "Ejemplo SA", "currency": "PYG"},
            ],
            "tax_codes": [{"legal_entity": "US01", "code": "US-TX", "rate": "8.25"}],
            "payment_terms": [{"code": "NET30", "days": "30"}],
            "revenue_categories": [{"code": "SRV", "account": "4000"}],
        },
    )
    app.store.commit()


@asynccontextmanager
async def _sandbox_cloud(
    _request: pytest.FixtureRequest, *, upsert: bool, over_http: bool = True
) -> AsyncIterator[Case]:
    clock: Clock = SystemClock() if over_http else VirtualClock(datetime(2030, 11, 2, tzinfo=UTC))
    app = build(clock, client_secret=SECRET, unique_keys=upsert)
    furnish(app)
    if over_http:
        async with serving(app) as url, _cloud_case(app, clock, url, None, upsert) as case:
            yield case
    else:
        transport = httpx.ASGITransport(app)
        async with _cloud_case(app, clock, "http://sandbox", transport, upsert) as case:
            yield case
    app.close()


@asynccontextmanager
async def _cloud_case(
    app: SandboxCloud, clock: Clock, url: str, transport: httpx.AsyncBaseTransport | None, upsert: bool
) -> AsyncIterator[Case]:
    options = {"upsert": str(upsert).lower()}
    erp = Erp(name="cloud", kind="sandbox-cloud", url=url, user="tieline", timeout_s=10, options=options)
    lane = Lane()
    connector = discovery.erp(erp.kind)(erp, secret=SECRET, gate=lane, clock=clock, transport=transport)

    async def count(kind: Kind, key: str) -> int:
        return sum(doc.get("status") != "closed" for doc in app.store.by_key(kind, key))

    def lose(kind: Kind) -> None:
        verb = "upsert" if upsert else "create"
        app.faults.add(Fault(Effect.RESET, f"{kind}.{verb}", count=1, after_commit=True))

    async def bill(ref: ErpRef) -> None:
        milestone = app.store.get("milestone", ref)
        assert milestone is not None
        app.billing.advance(date.fromisoformat(str(milestone["bill_date"])) + timedelta(days=1))

    try:
        yield Case(connector, SANDBOX_SETUP, lane, count, lose, bill)
    finally:
        await connector.aclose()


LEGACY_OPTIONS = {
    "zone": "Europe/Vienna", "opens": "22:00", "closes": "04:00", "answers": "06:00", "settle_s": "2",
    "entity.US01": "0101", "entity.PY01": "0102", "currency.USD": "01", "currency.PYG": "77", "tax.US-TX": "T8",
    "terms.NET30": "Z30", "category.SRV": "E10",
}  # fmt: skip


@asynccontextmanager
async def _sandbox_legacy(_request: pytest.FixtureRequest) -> AsyncIterator[Case]:
    """Its test system: the window is always open, and a night follows each batch."""
    window = BatchWindow(hour(22), hour(4), hour(6), "Europe/Vienna")
    app = legacy.build(SystemClock(), window=window, password=SECRET, at_once=True)
    legacy_admin.put_master(
        app.store,
        {
            "currencies": [{"code": "01", "iso": "USD"}, {"code": "77", "iso": "PYG"}],
            "legal_entities": [
                {"code": "0101", "name": "Example Inc", "currency": "USD"},
                {"code": "0102", "name": "Ejemplo SA", "currency": "PYG"},
            ],
            "tax_codes": [{"legal_entity": "0101", "code": "T8", "rate": "8.25"}],
            "payment_terms": [{"code": "Z30", "days": "30"}],
            "revenue_categories": [{"code": "E10", "account": "4000"}],
        },
    )
    lane = Lane()

    async def count(kind: Kind, key: str) -> int:
        return sum(doc["kind"] == kind and doc["external_id"] == key for doc in legacy_admin.objects(app.store))

    def lose(_kind: Kind) -> None:
        app.faults.add(Fault(Effect.RESET, "batch.send", count=1, after_commit=True))

    async def bill(ref: ErpRef) -> None:
        milestone = app.store.get("milestone", ref)
        assert milestone is not None
        app.nights.billing.advance(date.fromisoformat(str(milestone["bill_date"])) + timedelta(days=1))
        app.nights.publish(datetime.now(UTC))

    async with serving(app) as url:
        erp = Erp("legacy", "sandbox-legacy", url, user="tieline", timeout_s=10, options=LEGACY_OPTIONS)
        connector = discovery.erp(erp.kind)(erp, secret=SECRET, gate=lane, clock=SystemClock())
        try:
            yield Case(connector, SANDBOX_SETUP, lane, count, lose, bill)
        finally:
            await connector.aclose()
    app.close()


TRYTON_SETUP = Setup("LE-US-01", "USD", "NET30", "US-CA-STD", "MILESTONE-POINT-IN-TIME", "4.1.2")


@asynccontextmanager
async def _tryton(request: pytest.FixtureRequest) -> AsyncIterator[Case]:
    running: RunningTryton = request.getfixturevalue("tryton")
    erp = tryton_erp(running.endpoint, customers_without_tax_rule="category-tax")
    lane, transport = Lane(), ForgetfulTransport()
    secret = running.endpoint.password
    connector = discovery.erp(erp.kind)(erp, secret=secret, gate=lane, clock=SystemClock(), transport=transport)
    with Bookkeeper(running.endpoint) as books:

        async def count(kind: Kind, key: str) -> int:
            return await asyncio.to_thread(books.count, kind, key)

        async def bill(ref: ErpRef) -> None:
            await asyncio.to_thread(books.bill_milestone, int(ref))

        try:
            yield Case(connector, TRYTON_SETUP, lane, count, transport.lose_answer_of_create, bill)
        finally:
            await connector.aclose()


CASES: Mapping[str, Opener] = {
    "sandbox_cloud": partial(_sandbox_cloud, upsert=True),
    "sandbox_cloud_without_upsert": partial(_sandbox_cloud, upsert=False),
    "sandbox_cloud_in_one_process": partial(_sandbox_cloud, upsert=True, over_http=False),
    "sandbox_legacy": _sandbox_legacy,
    "tryton": _tryton,
}
