"""Lane limits hold over all workers: calls in flight, and calls a second."""

import asyncio
import time

import pytest
import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy.ext.asyncio import AsyncEngine

from sync_core.clock import SystemClock
from sync_core.engine.worker import Pace
from sync_core.lanes import lanes
from sync_core.lanes.lanes import LaneGate, fair_share, has_turn
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


async def hold(gate: LaneGate, calls: int, go_on: asyncio.Event) -> list[asyncio.Task[None]]:
    """So many calls want a slot one after the other; a call lasts until it may go on."""

    async def call() -> None:
        async with gate.slot():
            await go_on.wait()

    return [asyncio.create_task(call()) for _ in range(calls)]


async def test_a_worker_whose_slots_are_never_idle_shares_them_all_the_same(bench: Bench) -> None:
    """Slow calls: whenever slots are shared, all are in use and more calls wait."""
    one, other = await bench.worker(), await bench.worker()
    mine, theirs = one.lanes.gates["cloud"], other.lanes.gates["cloud"]
    await one.lanes.share_slots()
    ends: list[asyncio.Event] = []
    running: list[asyncio.Task[None]] = []
    for _ in range(80):
        ends.append(asyncio.Event())
        running += await hold(mine, 1, ends[-1])
    mine.contracts = theirs.contracts = 80
    await one.lanes.share_slots()
    await asyncio.sleep(0)
    assert (mine.size, mine.in_use) == (8, 8)
    for end in ends[:40]:
        await other.lanes.share_slots()
        await one.lanes.share_slots()
        if theirs.size == 4:
            break
        end.set()  # one call ends, and the next one takes its slot before slots are shared again
        await asyncio.sleep(0)
        await asyncio.sleep(0)
    assert (mine.size, theirs.size) == (4, 4)
    for task in running:
        task.cancel()
    await asyncio.gather(*running, return_exceptions=True)


async def test_idle_workers_leave_the_slots_to_the_one_that_works(bench: Bench) -> None:
    idle = [await bench.worker() for _ in range(8)]
    for worker in idle:
        await worker.lanes.share_slots()
    busy = await bench.worker()
    busy.lanes.gates["cloud"].contracts = 20
    for worker in (busy, *idle, busy):
        await worker.lanes.share_slots()
    assert busy.lanes.gates["cloud"].size == 8


async def test_more_busy_workers_than_slots_take_turns(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lanes, "TURN_S", 0.2)
    workers = [await bench.worker() for _ in range(3)]
    async with bench.engine.begin() as conn:
        await conn.execute(sa.text("UPDATE core.lane SET max_in_flight = 1"))
        await conn.execute(sa.text("DELETE FROM core.lane_slot WHERE slot > 1"))
    gates = [worker.lanes.gates["cloud"] for worker in workers]
    calls: list[int] = []

    async def call(n: int) -> None:
        while True:
            async with gates[n].slot():
                calls.append(n)
                assert sum(gate.in_use for gate in gates) == 1
                await asyncio.sleep(0)

    for gate in gates:
        gate.contracts = 2
    running = [asyncio.create_task(call(n)) for n in range(3) for _ in range(2)]
    deadline = time.monotonic() + 20
    while set(calls) != {0, 1, 2}:
        for worker in workers:
            await worker.lanes.share_slots()
        assert time.monotonic() < deadline, f"only {set(calls)} got a slot"
    for task in running:
        task.cancel()
    assert {type(end) for end in await asyncio.gather(*running, return_exceptions=True)} == {asyncio.CancelledError}


@given(st.integers(1, 8), st.sets(st.integers(1, 99), min_size=1, max_size=20), st.integers(0, 10**9))
def test_turns_use_every_slot_and_pass_over_nobody(most: int, workers: set[int], begin: int) -> None:
    most = min(most, len(workers))
    turns = [[w for w in workers if has_turn(most, w, sorted(workers - {w}), begin + n)] for n in range(len(workers))]
    assert all(len(turn) == most for turn in turns)
    assert {len([turn for turn in turns if worker in turn]) for worker in workers} == {most}


async def test_contracts_of_a_lane_that_left_the_estate_are_locked_as_intake_locks_them(bench: Bench) -> None:
    await bench.arrive(cloud_event("e2", "signed.v1", signed("C-2")))
    await bench.arrive(cloud_event("e1", "signed.v1", signed("C-1")))
    lock = sa.text("SELECT 1 FROM core.contract WHERE external_id = :id FOR UPDATE")
    waits = "SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"

    async def declare() -> None:
        async with bench.engine.begin() as conn:
            await lanes.declare(conn, [])

    async def waiting() -> bool:
        return bool(await bench.rows(waits))

    async with bench.engine.begin() as intake:
        await intake.execute(lock, {"id": "C-1"})
        declaring = asyncio.create_task(declare())
        await until(waiting)
        await intake.execute(lock, {"id": "C-2"})
    await declaring
    assert await bench.rows("SELECT DISTINCT lane FROM core.contract") == [("",)]
