"""What the measures make of what the engine itself wrote: no row of these contracts is handmade."""

from datetime import timedelta

import pytest
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncEngine

from metrics.asking import Ask, Window
from metrics.measures import Measures
from tests.engine.support import Bench
from tests.metrics.flow_rows import facts
from tests.metrics.support import caught_up
from tests.sows import SIGNED_AT, cloud_event, milestone_terms, signed

_HOUR = timedelta(hours=1)


@pytest.fixture
def bench(async_database: AsyncEngine) -> Bench:
    return Bench(async_database)


def _amended(number: int, **changes: object) -> dict[str, object]:
    header = {"number": number, "executed_at": (SIGNED_AT + 24 * _HOUR).isoformat(), "summary": ""}
    return {"contract_id": "C-1", "revision": number + 1, "amendment": header, "changes": changes}


async def test_cycle_steps_touches_and_amendments_are_those_that_the_engine_went_through(
    bench: Bench, database: sa.Engine
) -> None:
    bench.virtual.advance(_HOUR)
    await bench.arrive(cloud_event("e1", "signed.v1", signed("C-1")))
    worker = await bench.worker()
    await worker.drain()
    bench.erp.tax_codes.clear()
    await bench.arrive(cloud_event("e2", "signed.v1", signed("C-2", milestone_terms(title="Second"))))
    await worker.drain()
    bench.erp.tax_codes.add("US-CA-STD")
    bench.virtual.advance(4 * _HOUR)
    await worker.drain()
    bench.virtual.advance(20 * _HOUR)
    await bench.arrive(cloud_event("e3", "amended.v1", _amended(1, title="Renamed")))
    await worker.drain()
    bench.virtual.advance(_HOUR)
    await bench.arrive(cloud_event("e4", "amended.v1", _amended(2)))  # nothing that an ERP holds
    await worker.drain()
    assert await bench.states() == {"C-1": "active", "C-2": "active"}
    caught_up(database, bench.clock, bench.estate)

    first, second = facts(database, "contract")
    assert (first["outcome"], first["cycle_s"], first["touches"], first["reopened"]) == ("provisioned", 3600, [], False)
    assert (second["cycle_s"], second["touches"], second["reopened"]) == (5 * 3600, ["exception"], False)
    assert first["stable_at"] == first["active_at"]
    assert (sum(first["steps_s"]), sum(second["steps_s"])) == (3600, 5 * 3600)
    assert second["steps_s"][1] == 4 * 3600  # it waited for its checks
    assert [(row["number"], row["outcome"], row["lag_s"]) for row in facts(database, "amendment")] == [
        (1, "synced", 3600), (2, "synced", 2 * 3600),
    ]  # fmt: skip
    milestone = second["bill_on"]
    assert [row["billable_on"] for row in facts(database, "cash")] == [milestone, milestone]
    window = Window.weeks(bench.clock.now(), "Europe/London", 4)
    measures = Measures(database, clock=bench.clock, estate=bench.estate)
    answer = measures.kpi("auto-provisioned", Ask(window)).answer
    assert (answer.value, answer.figure("touched:exception").value) == (0.5, 1)
