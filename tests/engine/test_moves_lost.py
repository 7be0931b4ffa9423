"""A write that got no answer after a move: what the ERP then holds is this engine's own, and nobody's change."""

from datetime import timedelta

import pytest
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncEngine

from sync_core.errors import ErpAmbiguous
from sync_core.ports import CallContext
from tests.engine.moves import NEW, Movers, TwoErps, moved, two_erps, value
from tests.engine.test_moves import DESIGN, provisioned
from tests.sows import cloud_event


@pytest.fixture
def bench(async_database: AsyncEngine) -> TwoErps:
    return TwoErps(async_database, estate=two_erps(more='\n[ownership]\ncontract_headers = { conflict = "person" }\n'))


@pytest.fixture
def movers(database: sa.Engine, bench: TwoErps) -> Movers:
    return Movers(database, bench)


async def amended(bench: TwoErps, number: int, golive: int) -> None:
    whole = f"{10_000 + golive}.00"
    milestone = {"key": "golive", "name": "Go-live", "amount": f"{golive}.00", "due_on": "2026-09-30", "line": "1"}
    lines = [{"key": "1", "description": "Rollout", "amount": whole}]
    changes = {"value": whole, "lines": lines, "milestones": [milestone]}
    header = {"number": number, "executed_at": bench.clock.now().isoformat()}
    data = {"contract_id": "C-1", "revision": number + 1, "amendment": header, "changes": changes}
    await bench.arrive(cloud_event(f"a{number}", "amended.v1", data, at=bench.clock.now()))


async def test_a_moved_contract_does_not_take_its_own_lost_write_for_somebodys_change(
    bench: TwoErps, movers: Movers
) -> None:
    replayer = await provisioned(bench, "C-1")
    bench.invoice(bench.old, DESIGN)
    await moved(bench, movers, replayer)
    assert value(bench.erp) == ["15000"]
    unanswered: list[str] = []

    def lost(operation: str, _ctx: CallContext) -> ErpAmbiguous | None:
        if operation != "update project":
            return None
        unanswered.append(operation)
        return ErpAmbiguous(NEW, "no answer")

    bench.erp.after = lost
    await amended(bench, 1, 16_000)
    worker = await bench.worker()
    async with bench.engine.begin() as conn:
        await conn.execute(sa.text("UPDATE core.lane_slot SET worker_id = NULL, lease_until = NULL"))
    await worker.drain()
    assert unanswered
    assert value(bench.erp) == ["16000"]  # it took it: the rest of the amended contract
    bench.erp.after = lambda _op, _ctx: None
    await amended(bench, 2, 17_000)
    for _ in range(6):
        bench.virtual.advance(timedelta(seconds=30))
        await worker.drain()
    assert await bench.rows("SELECT cause FROM core.case") == []
    assert (value(bench.erp), await bench.states()) == (["17000"], {"C-1": "active"})
