"""A sandbox-cloud with its connector, on a virtual clock, over HTTP or in this process."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import httpx

from app.sandbox.cloud.billing import Habits
from app.sandbox.cloud.serve import serving
from app.sandbox.cloud.server import SandboxCloud, build
from sync_core.clock import VirtualClock
from sync_core.connectors import discovery
from sync_core.desired import Kind
from sync_core.estate.estate import Erp
from sync_core.keys import BusinessKey, ErpRef
from sync_core.ports import ErpConnector, FinancialFact
from tests.contracts.cases import SANDBOX_SETUP, SECRET, Lane, context, furnish
from tests.contracts.samples import Sample, milestones

START = datetime(2030, 12, 15, 9, tzinfo=UTC)
ADMIN = {"x-sandbox-token": "admin-token"}
Made = dict[tuple[Kind, BusinessKey], ErpRef]


@dataclass(slots=True)
class Cloud:
    app: SandboxCloud
    clock: VirtualClock
    erp: ErpConnector
    raw: httpx.AsyncClient  # with the admin token


@asynccontextmanager
async def cloud(
    *,
    state: Path | None = None,
    timeout_s: float = 5,
    over_http: bool = False,
    habits: Habits | None = None,
    seed: int = 0,
) -> AsyncIterator[Cloud]:
    clock = VirtualClock(START)
    app = build(clock, seed=seed, client_secret=SECRET, admin_token="admin-token", state=state, habits=habits)
    furnish(app)
    try:
        if over_http:
            async with serving(app) as url, _client(app, clock, url, None, timeout_s) as opened:
                yield opened
        else:
            async with _client(app, clock, "http://cloud", httpx.ASGITransport(app), timeout_s) as opened:
                yield opened
    finally:
        app.close()


@asynccontextmanager
async def _client(
    app: SandboxCloud, clock: VirtualClock, url: str, transport: httpx.AsyncBaseTransport | None, timeout_s: float
) -> AsyncIterator[Cloud]:
    settings = Erp(name="cloud", kind="sandbox-cloud", url=url, user="tieline", timeout_s=timeout_s)
    erp = discovery.erp(settings.kind)(settings, secret=SECRET, gate=Lane(), clock=clock, transport=transport)
    async with httpx.AsyncClient(base_url=url, transport=transport, headers=ADMIN) as raw:
        yield Cloud(app, clock, erp, raw)
    await erp.aclose()


async def provision(erp: ErpConnector, sample: Sample, *, activate: bool = True) -> Made:
    made: Made = {}
    for kind in Kind:
        refs = await erp.create(sample.of(kind), made, context())
        made |= {(kind, key): ref for key, ref in refs.items()}
    if activate:
        await erp.activate(sample.project, made[Kind.PROJECT, sample.project.key], context())
    return made


def fixed_fee(number: str = "C-1") -> Sample:
    return milestones(SANDBOX_SETUP, number, f"CUST-{number}")


async def facts(erp: ErpConnector) -> list[FinancialFact]:
    found: list[FinancialFact] = []
    cursor, more = None, True
    while more:
        page = await erp.financial_status(cursor, context())
        found += page.facts
        cursor, more = page.cursor, page.more
    return found


def token_form() -> dict[str, str]:
    return {"grant_type": "client_credentials", "client_id": "tieline", "client_secret": SECRET}
