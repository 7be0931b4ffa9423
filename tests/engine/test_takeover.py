"""Workers that die or stall between any two operations: another one takes over, and nothing is made twice.

The ERP has neither upsert nor idempotency keys, so a request that lands late would make a second object.
"""

import asyncio
from collections import Counter
from datetime import timedelta

import pytest
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncEngine

from sync_core.clock import SystemClock
from sync_core.desired import Kind
from sync_core.engine import worker as worker_module
from sync_core.engine.worker import Pace
from sync_core.ports import CallContext
from tests.databases import DatabaseUrls
from tests.engine.support import Bench, Living, start, until
from tests.memory_erp import MemoryErp
from tests.sows import cloud_event, signed, tm_terms

# A killed worker's database connections break in the middle of a transaction.
pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")

QUICK = Pace(idle_s=0.05, sweep_s=0.05, lease_s=30, call_timeout_s=5)
CALLS = 10  # observe, 2 categories with a second look each, project, line, rates, observe, activate, observe


@pytest.fixture
def bench(async_database: AsyncEngine) -> Bench:
    return Bench(async_database, clock=SystemClock(), settle_s=0.3)


def held(erp: MemoryErp) -> dict[Kind, int]:
    """By kind, how many times its most frequent key is there."""
    times = Counter((f.kind, f.key) for kind in Kind for f in erp.of(kind))
    return {kind: max(n for (k, _), n in times.items() if k is kind) for kind, _ in times}


def once_each(erp: MemoryErp) -> bool:
    return set(held(erp).values()) == {1}


@pytest.mark.parametrize("landed", [False, True], ids=["before it took effect", "after it took effect"])
@pytest.mark.parametrize("at_call", range(1, CALLS + 3))
async def test_killed_at_any_call_another_worker_finishes_and_nothing_is_double(
    bench: Bench, database_urls: DatabaseUrls, at_call: int, landed: bool
) -> None:
    reached, never = asyncio.Event(), asyncio.Event()
    erp, latch = bench.erp, CallLatch(at_call)
    hang = latch.hook(reached, never)
    erp.pause_after, erp.pause_before = (hang, None) if landed else (None, hang)
    await bench.arrive(cloud_event("e1", "signed.v1", signed("C-1", tm_terms())))
    first = await start(bench, database_urls.app_libpq, pace=QUICK)
    waiting = asyncio.create_task(reached.wait())
    await asyncio.wait({waiting, asyncio.create_task(until(lambda: _active(bench)))}, return_when="FIRST_COMPLETED")
    await first.kill()
    erp.pause_after = erp.pause_before = None
    second = await start(bench, database_urls.app_libpq, pace=QUICK)
    await until(lambda: _active(bench))
    await second.finish()
    assert once_each(erp)
    assert await bench.states() == {"C-1": "active"}


async def _active(bench: Bench) -> bool:
    return await bench.count("active") == 1


class CallLatch:
    """Lets calls pass until the n-th, which is held until `release`."""

    def __init__(self, at_call: int) -> None:
        self.at_call, self.seen = at_call, 0
        self.landed = asyncio.Event()  # the held one takes effect before anybody who waits for this goes on

    def hook(self, reached: asyncio.Event, release: asyncio.Event):  # type: ignore[no-untyped-def]
        async def hold(_operation: str, _ctx: CallContext) -> None:
            self.seen += 1
            if self.seen == self.at_call:
                reached.set()
                await release.wait()
                self.landed.set()

        return hold


@pytest.fixture
def timed(async_database: AsyncEngine) -> Bench:
    """Its time goes on when the test says so, however slow the machine is."""
    return Bench(async_database, settle_s=2.0)


@pytest.mark.parametrize("lands", ["while the other settles", "after the other finished"])
@pytest.mark.parametrize("at_call", range(1, CALLS + 3))
async def test_a_worker_paused_past_its_lease_does_no_harm_when_it_goes_on(
    timed: Bench, database_urls: DatabaseUrls, at_call: int, lands: str
) -> None:
    """The held request is on its way to the ERP when the lease is lost, and takes effect late or very late."""
    reached, release = asyncio.Event(), asyncio.Event()
    latch = CallLatch(at_call)
    timed.erp.pause_before = latch.hook(reached, release)
    await timed.arrive(cloud_event("e1", "signed.v1", signed("C-1", tm_terms())))
    paused = await start(timed, database_urls.app_libpq, pace=QUICK)
    waiting = asyncio.create_task(reached.wait())
    done = asyncio.create_task(until(lambda: _active(timed)))
    await asyncio.wait({waiting, done}, return_when="FIRST_COMPLETED")
    await _expire_leases(timed, paused)
    calls = len(timed.erp.calls)
    other = await start(timed, database_urls.app_libpq, pace=QUICK)
    await until(lambda: _taken_over(timed))
    if lands == "while the other settles":
        # Time stands still meanwhile, so only one that is too rash looks at once.
        await asyncio.wait({asyncio.create_task(_more_calls(timed, calls))}, timeout=0.3)
    else:
        timed.virtual.advance(timedelta(seconds=timed.settle_s))
        await until(lambda: _active(timed))
    release.set()
    if reached.is_set():
        await latch.landed.wait()
    await until(lambda: _settled_in_time(timed))
    await asyncio.gather(paused.finish(), other.finish())
    if lands == "while the other settles":
        assert set(timed.erp.creates.values()) == {1}, "it sent again what was still on its way"
    if await _doubles_reported(timed):
        # Shared master data is not ours to remove: the second one is its owner's to merge.
        assert lands == "after the other finished"
        assert {kind for kind, times in held(timed.erp).items() if times > 1} <= {Kind.LABOUR_CATEGORY}
    else:
        assert once_each(timed.erp)


async def _settled_in_time(bench: Bench) -> bool:
    if await _settled(bench):
        return True
    bench.virtual.advance(timedelta(seconds=bench.settle_s))
    return False


async def test_a_run_that_began_too_early_settles_nothing_however_long_it_takes(timed: Bench) -> None:
    """What a lost worker sent may land after this run looked, and before it ended."""
    await timed.arrive(cloud_event("e1", "signed.v1", signed("C-1", tm_terms())))
    async with timed.engine.begin() as conn:
        await conn.execute(sa.text("UPDATE core.contract SET unclean_at = :at"), {"at": timed.clock.now()})
    timed.virtual.advance(timedelta(seconds=timed.settle_s))

    async def takes_long(_operation: str, _ctx: CallContext) -> None:
        timed.virtual.advance(timedelta(seconds=timed.settle_s))

    timed.erp.pause_before = takes_long
    worker = await timed.worker()
    await worker.lanes.share_slots(spare=1_000)
    await worker.claim_some()
    await worker.finish_running()
    [(state, unclean_at)] = await timed.rows("SELECT state, unclean_at FROM core.contract")
    assert (state, unclean_at is None) == ("active", False)
    timed.virtual.advance(timedelta(seconds=timed.settle_s))
    await worker.drain()
    assert await _settled(timed)


async def test_a_run_that_cannot_even_begin_frees_its_place(timed: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its lease is not renewed for ever, so another worker gets the contract."""

    def refuses(_claimed: object, _loaded: object) -> None:
        raise RuntimeError("no tracing today")

    monkeypatch.setattr(worker_module, "begun", refuses)
    await timed.arrive(cloud_event("e1", "signed.v1", signed("C-1", tm_terms())))
    worker = await timed.worker()
    assert await worker.claim_some() == 1
    [running] = worker.running.values()
    assert running.task is not None
    with pytest.raises(RuntimeError, match="no tracing today"):
        await running.task
    assert (worker.running, worker.lanes.gates["cloud"].contracts) == ({}, 0)


async def _doubles_reported(bench: Bench) -> bool:
    return bool(await bench.rows("SELECT 1 FROM core.case WHERE cause = 'master_data_double' AND state = 'open'"))


async def _more_calls(bench: Bench, than: int) -> None:
    async def more() -> bool:
        return len(bench.erp.calls) > than + 1

    await until(more)


async def _expire_leases(bench: Bench, paused: Living) -> None:
    """As if the pause had lasted longer than the lease, by the database's clock and by the paused one's own."""
    for running in paused.worker.running.values():
        running.ctx.send_before = 0.0
    past = f"now() - interval '{bench.settle_s + 1} s'"
    async with bench.engine.begin() as conn:
        await conn.execute(sa.text(f"UPDATE core.contract SET lease_until = {past} WHERE lease_owner > 0"))
        await conn.execute(sa.text(f"UPDATE core.crosswalk SET reserved_until = {past} WHERE state = 'creating'"))


async def _taken_over(bench: Bench) -> bool:
    rows = await bench.rows("SELECT count(*) FROM core.contract WHERE unclean_at IS NOT NULL OR state = 'active'")
    return bool(rows[0][0] == 1)


async def _settled(bench: Bench) -> bool:
    """The look after the last moment at which a lost request may land is behind us."""
    rows = await bench.rows(
        "SELECT count(*) FROM core.contract"
        " WHERE state = 'active' AND unclean_at IS NULL AND due_at IS NULL OR state = 'blocked'"
    )
    return bool(rows[0][0] == 1)


async def test_two_contracts_of_one_new_customer_make_one_customer(bench: Bench, database_urls: DatabaseUrls) -> None:
    bench.erp.customers.clear()
    bench.erp.latency_s = 0.01
    await bench.arrive(*(cloud_event(f"e{n}", "signed.v1", signed(f"C-{n}", tm_terms())) for n in range(8)))
    workers = [await start(bench, database_urls.app_libpq, pace=QUICK) for _ in range(2)]

    async def all_active() -> bool:
        return await bench.count("active") == 8

    await until(all_active)
    for living in workers:
        await living.finish()
    assert once_each(bench.erp)
    assert len(bench.erp.of(Kind.CUSTOMER)) == 1
