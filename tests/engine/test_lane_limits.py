"""Lane limits hold over all workers: calls in flight, and calls a second."""

import asyncio
import time

import pytest
import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy.ext.asyncio import AsyncEngine

from sync_core import lanes
from sync_core.clock import SystemClock
from sync_core.engine.worker import Pace
from sync_core.lanes import fair_share
from tests.databases import DatabaseUrls
from tests.engine.support import Bench, start, until
from tests.sows import cloud_event, signed


@pytest.fixture
def bench(async_database: AsyncEngine) -> Bench:
    return Bench(async_database, clock=SystemClock())


async def test_three_workers_together_never_pass_the_erps_limit(bench: Bench, database_urls: DatabaseUrls) -> None:
    bench.erp.latency_s = 0.005
    await bench.arrive(*(cloud_event(f"e{n}", "signed.v1", signed(f"C-{n}")) for n in range(60)))
    pace = Pace(idle_s=0.05, sweep_s=0.2)
    workers = [await start(bench, database_urls.app_libpq, pace=pace) for _ in range(3)]

    async def done() -> bool:
        return await bench.count("active") == 60

    await until(done)
    for living in workers:
        await living.finish()
    assert 0 < bench.erp.most_in_flight <= 8


async def test_requests_per_second_are_shared_by_all_workers(bench: Bench) -> None:
    one, other = await bench.worker(), await bench.worker()
    begun, sent = time.monotonic(), 0
    async with bench.engine.begin() as conn:
        await conn.execute(sa.text("UPDATE core.lane SET requests_per_s = 20, tokens = 0, tokens_at = now()"))

    async def send(worker_gate: lanes.LaneGate) -> None:
        nonlocal sent
        async with worker_gate.slot():
            sent += 1

    calls = [asyncio.create_task(send(w.lanes.gates["cloud"])) for w in (one, other) for _ in range(30)]
    pending = set(calls)
    while pending:
        for worker in (one, other):
            await worker.lanes.share_slots()
        _, pending = await asyncio.wait(pending, timeout=0.05)
        assert sent <= 20 * (time.monotonic() - begun) + 1, "more than the lane earned so far"
        assert time.monotonic() < begun + 20
    assert sent == 60


@given(st.integers(1, 64), st.integers(0, 100), st.lists(st.integers(1, 100), max_size=6))
def test_fair_shares_add_up_and_starve_nobody(most: int, mine: int, others: list[int]) -> None:
    wishes = [mine, *others]
    shares = [fair_share(most, wish, wishes[:n] + wishes[n + 1 :]) for n, wish in enumerate(wishes)]
    if sum(wishes) + len(wishes) <= most:
        assert all(share >= wish for share, wish in zip(shares, wishes, strict=True))
    assert all(share >= 1 for share, wish in zip(shares, wishes, strict=True) if wish)
    assert all(share <= max(wish + 1, 1) for share, wish in zip(shares, wishes, strict=True))
