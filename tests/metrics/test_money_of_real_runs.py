"""What workers really leave behind: exceptions and money of one contract, run by run, and as they were known then."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

import pytest
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncEngine

from metrics.asking import Ask, By, Window
from metrics.kpi import Answer, Result
from metrics.measures import Measures
from sync_core.clock import VirtualClock
from sync_core.engine.worker import Worker
from sync_core.errors import ErpRejected
from tests.engine.support import Bench
from tests.metrics.support import caught_up
from tests.sows import SIGNED_AT, cloud_event, signed

WINDOW = Window.weeks(SIGNED_AT, "Europe/London", 2)
SLUGS = ("exception-resolution", "exception-ageing", "stuck-money", "reconciliation")


@dataclass
class Watched:
    bench: Bench
    engine: sa.Engine
    worker: Worker

    async def run(self) -> dict[str, Result]:
        self.bench.virtual.advance(timedelta(hours=1))
        await self.worker.drain()
        caught_up(self.engine, self.bench.clock, self.bench.estate)
        return self.ask(Ask(WINDOW))

    def ask(self, ask: Ask, *, now: datetime | None = None) -> dict[str, Result]:
        clock = self.bench.clock if now is None else VirtualClock(now)
        measures = Measures(self.engine, clock=clock, estate=self.bench.estate)
        return measures.several(dict.fromkeys(SLUGS, By.LABEL), ask)

    async def amend(self, number: int, **changes: object) -> None:
        header = {"number": number, "executed_at": (SIGNED_AT + timedelta(hours=number)).isoformat()}
        told = {"contract_id": "C-1", "revision": number + 1, "amendment": header, "changes": changes}
        await self.bench.arrive(cloud_event(f"a{number}", "amended.v1", told, at=self.bench.clock.now()))


@pytest.fixture
async def watched(async_database: AsyncEngine, database: sa.Engine) -> Watched:
    bench = Bench(async_database)
    return Watched(bench, database, await bench.worker())


def _said(result: Result, *keys: str) -> list[object]:
    return [result.answer.value, *(result.answer.figure(key).value for key in keys)]


def _phase(key: str, amount: str) -> dict[str, str]:
    return {"key": key, "name": key, "amount": amount, "due_on": "2026-09-30", "line": "1"}


def _worth(value: str) -> dict[str, object]:
    return {"value": value, "lines": [{"key": "1", "description": "Rollout", "amount": value}]}


async def test_from_the_first_exception_to_the_last_read_back(watched: Watched) -> None:
    erp = watched.bench.erp
    erp.tax_codes.clear()
    await watched.bench.arrive(cloud_event("e1", "signed.v1", signed("C-1")))
    blocked = await watched.run()
    assert _said(blocked["stuck-money"], "cause_blocker") == [Decimal(25_000), Decimal(25_000)]
    assert _said(blocked["exception-ageing"], "working_0_1", "exposure") == [1, 1, Decimal(25_000)]
    assert _said(blocked["reconciliation"], "not_provisioned") == [Decimal(0), Decimal(25_000)]

    erp.tax_codes.add("US-CA-STD")
    active = await watched.run()
    assert _said(active["stuck-money"]) == [None]
    assert (active["exception-ageing"].answer.value, active["exception-resolution"].answer.n_open) == (None, 0)
    assert active["exception-resolution"].answer.figure("resolved").value == 1
    assert _said(active["reconciliation"], "in_erp", "remaining") == [Decimal(0), Decimal(25_000), Decimal(25_000)]

    # A milestone goes, another comes: the crosswalk keeps the row of the one that was closed.
    await watched.amend(1, remove_milestones=["golive"], milestones=[_phase("rollout", "15000.00")])
    assert _said((await watched.run())["stuck-money"]) == [None]

    erp.before = lambda operation, _ctx: ErpRejected("cloud", "no") if operation.startswith("update") else None
    more = [_phase("rollout", "17000.00")]
    await watched.amend(2, **_worth("27000.00"), milestones=more)
    refused = await watched.run()
    assert _said(refused["stuck-money"], "net", "cause_value") == [Decimal(2_000), Decimal(2_000), Decimal(2_000)]
    assert list(refused["exception-ageing"].parts) == ["finance_operations"]
    assert _said(refused["reconciliation"], "on_its_way") == [Decimal(0), Decimal(2_000)]
    near = SIGNED_AT.replace(month=9, day=20)  # the bill run, without anything having happened since
    at_the_run = watched.ask(Ask(WINDOW, as_of=near), now=near)["stuck-money"]
    assert _said(at_the_run, "misses_bill_run") == [Decimal(2_000), Decimal(2_000)]

    erp.before = lambda _operation, _ctx: None
    done = await watched.run()
    assert _said(done["stuck-money"]) == [None]
    assert _said(done["reconciliation"], "signed", "remaining") == [Decimal(0), Decimal(27_000), Decimal(27_000)]

    for then in (blocked, active, refused, done):
        _is_still_known(watched, then)


def _is_still_known(watched: Watched, then: dict[str, Result]) -> None:
    moment = then["stuck-money"].as_of
    again = watched.ask(Ask(WINDOW, as_of=moment))
    assert {slug: _plain(result) for slug, result in again.items()} == {s: _plain(r) for s, r in then.items()}


def _plain(result: Result) -> tuple[Answer, dict[str, Answer]]:
    return result.answer, dict(result.parts)
