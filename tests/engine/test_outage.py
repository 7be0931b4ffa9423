"""An ERP that is down, one bad contract among many, and who comes first when it is back."""

import asyncio
from collections import Counter
from datetime import timedelta

import pytest
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncEngine

from sync_core.desired import Kind
from sync_core.engine.failure import Verdict
from sync_core.engine.worker import Pace
from sync_core.errors import ErpAmbiguous, ErpCredentials, ErpRateLimited, ErpRejected, ErpUnavailable, TielineError
from sync_core.life.summary import summarise
from sync_core.ports import CallContext
from tests.engine.support import Bench
from tests.sows import SIGNED_AT, cloud_event, estate, milestone_terms, signed


@pytest.fixture
def bench(async_database: AsyncEngine) -> Bench:
    return Bench(async_database)


def worth(contract: int, thousands: int) -> dict[str, object]:
    """A contract of this value that bills in one milestone, on a date that differs from contract to contract."""
    amount = f"{thousands}000.00"
    due = f"2026-{4 + contract % 8:02d}-15"
    terms = milestone_terms(
        value=amount,
        lines=[],
        milestones=[{"key": "all", "name": "All", "amount": amount, "due_on": due}],
        customer={"code": "CUST-1", "name": "Harbour Mutual"},
    )
    return cloud_event(f"e{contract}", "signed.v1", signed(f"C-{contract:04d}", terms))


async def _prioritise(bench: Bench) -> None:
    """What intake computes from the terms, for contracts that the test put in directly."""
    from sync_core.events import Signed, understand

    rows = await bench.rows("SELECT external_id, CAST(data AS text), type FROM core.event")
    priorities = {}
    for external_id, data, kind in rows:
        payload = understand(str(kind), str(data))
        assert isinstance(payload, Signed)
        priorities[external_id] = summarise(payload.terms, estate(), on=SIGNED_AT.date()).priority
    async with bench.engine.begin() as conn:
        for external_id, priority in priorities.items():
            await conn.execute(
                sa.text("UPDATE core.contract SET priority = :p WHERE external_id = :e"),
                {"p": priority, "e": external_id},
            )


async def test_500_events_wait_out_an_outage_and_go_on_by_money_and_bill_date(bench: Bench) -> None:
    def down(_operation: str, _ctx: CallContext) -> TielineError | None:
        return ErpUnavailable("cloud", "connection refused")

    bench.erp.before = down
    await bench.arrive(*(worth(n, 10 + (n * 37) % 400) for n in range(500)))
    await _prioritise(bench)
    worker = await bench.worker(pace=Pace(in_flight=8))
    await worker.drain()
    assert await bench.count("waiting") == 500
    assert not await bench.rows("SELECT 1 FROM core.case")
    (breaker, calls) = (await bench.rows("SELECT breaker, failures FROM core.lane"))[0], len(bench.erp.calls)
    assert breaker[0] == "open"
    assert calls < 40, "an open breaker keeps the contracts away from the ERP"
    attempts = await bench.rows("SELECT max(attempt) FROM core.contract")
    assert attempts[0][0] == 0, "an outage spends no attempt"

    bench.erp.before = lambda _operation, _ctx: None
    bench.virtual.advance(timedelta(minutes=2))
    await worker.drain()
    assert await bench.count("active") == 500
    held = Counter((f.kind, f.key) for kind in (Kind.PROJECT, Kind.MILESTONE) for f in bench.erp.of(kind))
    assert set(held.values()) == {1}
    assert sum(bench.erp.creates.values()) == len(held) + 500  # and one contract line each
    order = await bench.rows(
        "SELECT c.priority FROM core.run AS r JOIN core.contract AS c USING (contract_id)"
        " WHERE r.outcome = 'converged' ORDER BY (SELECT min(started_at) FROM core.operation o"
        " WHERE o.run_id = r.run_id), r.recorded_xid"
    )
    made = [f.key for f in bench.erp.objects.values() if f.kind is Kind.PROJECT]
    wanted = [
        str(r[0])
        for r in await bench.rows("SELECT 'clm/' || external_id FROM core.contract ORDER BY priority DESC, due_at")
    ]
    late = [abs(made.index(key) - wanted.index(key)) for key in made]
    assert len(order) == 500
    assert max(late) <= 16, "claimed in order; those in flight together may overtake each other"


async def test_one_bad_contract_in_a_thousand_stops_no_other(bench: Bench) -> None:
    def refuses(operation: str, ctx: CallContext) -> TielineError | None:
        if operation == "create project" and ctx.correlation_id == "corr-e77":
            return ErpRejected("cloud", "the accounting period 2026-05 is closed")
        return None

    def breaks(operation: str, ctx: CallContext) -> TielineError | None:
        if ctx.correlation_id == "corr-e78":
            raise ZeroDivisionError("a fault of ours")
        return refuses(operation, ctx)

    bench.erp.before = breaks
    await bench.arrive(*(worth(n, 50) for n in range(1000)))
    worker = await bench.worker()
    await worker.drain()
    for _ in range(12):
        bench.virtual.advance(timedelta(minutes=10))
        await worker.drain()
    states = Counter((await bench.states()).values())
    assert states == {"active": 998, "blocked": 1, "set_aside": 1}
    cases = {str(r[0]): str(r[1]) for r in await bench.rows("SELECT cause, message FROM core.case")}
    assert "period 2026-05 is closed" in cases["erp_rejected"]
    assert "ZeroDivisionError: a fault of ours" in cases["internal"]


async def test_an_event_that_this_release_cannot_read_stops_its_own_contract_alone(bench: Bench) -> None:
    await bench.arrive(worth(1, 50), worth(2, 60))
    await bench.arrive(cloud_event("odd", "signed.v9", signed("C-0001")))
    worker = await bench.worker()
    for _ in range(12):
        await worker.drain()
        bench.virtual.advance(timedelta(minutes=10))
    assert await bench.states() == {"C-0001": "set_aside", "C-0002": "active"}
    assert "signed.v9" in str((await bench.rows("SELECT message FROM core.case"))[0][0])
    assert (await bench.rows("SELECT breaker FROM core.lane"))[0][0] == "closed"


async def test_an_outcome_that_cannot_be_stored_spoils_no_other_and_is_set_aside(bench: Bench) -> None:
    def poisons(operation: str, ctx: CallContext) -> TielineError | None:
        if operation == "create project" and ctx.correlation_id == "corr-e1":
            return ErpRejected("cloud", "half a character: \ud800")  # which no JSON can hold
        return None

    bench.erp.before = poisons
    await bench.arrive(*(worth(n, 50) for n in range(5)))
    worker = await bench.worker()
    for _ in range(12):
        await worker.drain()
        bench.virtual.advance(timedelta(minutes=10))
    states = await bench.states()
    assert states.pop("C-0001") == "set_aside"
    assert set(states.values()) == {"active"}


async def test_a_nul_byte_in_an_erps_words_is_shown_as_a_replacement(bench: Bench) -> None:
    bench.erp.before = lambda operation, _ctx: (
        ErpRejected("cloud", "closed\0 period") if operation == "create project" else None
    )
    await bench.arrive(worth(1, 50))
    await (await bench.worker()).drain()
    assert (await bench.rows("SELECT message FROM core.case"))[0][0] == "cloud: closed\ufffd period"


async def test_refused_credentials_pause_the_lane_once_and_not_per_contract(bench: Bench) -> None:
    bench.erp.before = lambda _operation, _ctx: ErpCredentials("cloud", "401 invalid_token")
    await bench.arrive(*(worth(n, 50) for n in range(30)))
    worker = await bench.worker(pace=Pace(in_flight=4))
    await worker.drain()
    assert (await bench.rows("SELECT breaker FROM core.lane"))[0][0] == "paused"
    assert len(await bench.rows("SELECT 1 FROM core.lane_history")) == 1
    assert not await bench.rows("SELECT 1 FROM core.case")
    bench.erp.before = lambda _operation, _ctx: None
    bench.virtual.advance(timedelta(minutes=2))
    await worker.drain()
    assert await bench.count("active") == 30


async def test_too_many_requests_waits_as_long_as_it_was_told(bench: Bench) -> None:
    told = iter([ErpRateLimited("cloud", 90.0)])
    bench.erp.before = lambda _operation, _ctx: next(told, None)
    await bench.arrive(worth(1, 50))
    worker = await bench.worker()
    await worker.drain()
    due = await bench.rows("SELECT due_at, attempt FROM core.contract")
    assert (due[0][0], due[0][1]) == (SIGNED_AT + timedelta(seconds=90), 0)
    bench.virtual.advance(timedelta(seconds=90))
    await worker.drain()
    assert await bench.count("active") == 1


async def test_a_probe_that_hangs_stops_no_other_lane_and_no_slot(bench: Bench) -> None:
    """The slots of all lanes are kept by one loop, which must never wait for an ERP."""
    never = asyncio.Event()

    async def hang(_operation: str, _ctx: CallContext) -> None:
        await never.wait()

    bench.erp.pause_before = hang
    worker = await bench.worker()
    await worker.lanes.failed("cloud", Verdict("401", lane_trouble=True, pause_lane=True))
    bench.virtual.advance(timedelta(minutes=1))
    keeping = asyncio.create_task(worker.lanes.keep(worker.wake))
    for _ in range(3):
        worker.wake.clear()
        await asyncio.wait_for(worker.wake.wait(), 10)
    assert "ping" in bench.erp.calls
    keeping.cancel()
    never.set()
    await asyncio.gather(keeping, return_exceptions=True)


async def test_a_write_without_an_answer_is_not_repeated_before_the_erp_has_settled(bench: Bench) -> None:
    lost = iter([ErpAmbiguous("cloud", "no answer in time")])
    bench.erp.after = lambda operation, _ctx: next(lost, None) if operation == "create milestone" else None
    bench.settle_s = 60.0
    await bench.arrive(worth(1, 50))
    worker = await bench.worker()
    await worker.drain()
    calls = len(bench.erp.calls)
    bench.virtual.advance(timedelta(seconds=30))
    change = {"contract_id": "C-0001", "revision": 2, "clauses": {"liability": "approved"}}
    await bench.arrive(cloud_event("news", "clauses.v1", change))
    await worker.drain()
    assert len(bench.erp.calls) == calls, "it looked while the lost write may still have been on its way"
    bench.virtual.advance(timedelta(minutes=2))
    await worker.drain()
    assert await bench.count("active") == 1
    assert set(bench.erp.creates.values()) == {1}


async def test_a_block_of_an_active_contract_shows_the_money_that_changes(bench: Bench) -> None:
    await bench.arrive(worth(1, 50))
    worker = await bench.worker()
    await worker.drain()
    header = {"number": 1, "executed_at": SIGNED_AT.isoformat()}
    change = {"contract_id": "C-0001", "revision": 2, "amendment": header, "changes": {"value": "80000.00"}}
    await bench.arrive(cloud_event("more", "amended.v1", change))
    await worker.drain()
    assert await bench.rows("SELECT cause, exposure FROM core.case") == [("milestones_do_not_add_up", 30_000)]


async def test_an_exception_that_comes_back_is_as_old_as_its_return(bench: Bench) -> None:
    bench.erp.tax_codes.clear()
    await bench.arrive(worth(1, 50))
    worker = await bench.worker()
    await worker.drain()
    bench.erp.tax_codes.add("US-CA-STD")
    bench.virtual.advance(timedelta(hours=1))
    await worker.drain()
    bench.erp.tax_codes.clear()
    bench.virtual.advance(timedelta(days=1))
    back = bench.clock.now()
    await bench.arrive(cloud_event("e1b", "signed.v1", {**signed("C-0001"), "revision": 2}))
    await worker.drain()
    assert await bench.rows("SELECT state, opened_at, occurrences FROM core.case") == [("open", back, 2)]


async def test_a_cancelled_contract_that_never_reached_an_erp_leaves_no_exception_open(bench: Bench) -> None:
    terms = milestone_terms(legal_entity="NOWHERE")
    await bench.arrive(cloud_event("e1", "signed.v1", signed("C-1", terms)))
    worker = await bench.worker()
    await worker.drain()
    assert await bench.count("blocked") == 1
    end = {"contract_id": "C-1", "revision": 2, "ended_on": "2026-03-01"}
    await bench.arrive(cloud_event("e2", "cancelled.v1", end))
    await worker.drain()
    assert await bench.states() == {"C-1": "ended"}
    assert await bench.rows("SELECT state FROM core.case") == [("resolved",)]
