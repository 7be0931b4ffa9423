"""Whose a value is on a lane with batches: what a batch wrote is ours until it is journalled, and no longer."""

import pytest
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncEngine

from sync_core.engine.worker import Worker
from sync_core.estate.estate import load
from sync_core.reads import Reads
from tests.engine.nights import ESTATE, Nights, at, terms

ASK = '\n[ownership]\ncontract_headers = { conflict = "person" }\n'


@pytest.fixture
def nights(async_database: AsyncEngine) -> Nights:
    return Nights(async_database, estate=load(ESTATE + ASK))


async def _renamed(nights: Nights, worker: Worker) -> None:
    """Amended and answered; then somebody calls it in the ERP what it was called before."""
    nights.go_to(at("12:00", 4))
    await nights.amend("C-1", 1, {"title": "Second title"})
    await worker.drain()
    await nights.overnight(worker, 4)
    assert await nights.states() == {"C-1": "active"}
    (order,) = [doc for doc in nights.erp.store.all("project") if doc["status"] == "active"]
    nights.erp.store.put("project", {**order, "name": "Claims platform rollout"})
    nights.erp.store.commit()
    nights.go_to(at("06:00", 6))


async def test_a_persons_change_in_the_fortnight_after_a_batch_is_asked_about_and_not_overwritten(
    nights: Nights,
) -> None:
    worker = await nights.active("C-1")
    await _renamed(nights, worker)
    await nights.amend("C-1", 2, {"po_number": "PO-99"})
    await worker.drain()
    assert await nights.rows("SELECT cause, state FROM core.case") == [("ownership_conflict", "open")]
    ((message,),) = await nights.rows("SELECT message FROM core.case")
    assert "name is Claims platform rollout in the ERP, Second title by the contract" in str(message)


async def test_what_a_batch_wrote_while_a_newer_event_came_is_nobodys_change_the_whole_day(nights: Nights) -> None:
    worker = await nights.active("C-1")
    nights.go_to(at("12:00", 4))
    await nights.amend("C-1", 1, {"title": "Second title"})
    await worker.drain()
    nights.go_to(at("22:00", 4))
    await worker.drain()
    await nights.amend("C-1", 2, {"title": "Third title"})
    for moment in (at("23:00", 4), at("06:00", 5), at("22:00", 5), at("06:00", 6)):
        nights.go_to(moment)
        await worker.drain()
        assert await nights.rows("SELECT cause FROM core.case") == []
    assert await nights.states() == {"C-1": "active"}
    (order,) = [doc for doc in nights.erp.store.all("project") if doc["status"] == "active"]
    assert order["name"] == "Third title"


async def test_a_name_that_the_erp_cuts_is_no_difference_to_its_events(nights: Nights, database: sa.Engine) -> None:
    worker = await nights.active("C-1", terms(title="Claims platform rollout, second phase, with training"))
    nights.go_to(at("12:00", 4))
    await nights.amend("C-1", 1, {"service_line": "Claims"})  # nothing that this ERP holds
    await worker.drain()
    assert await nights.states() == {"C-1": "active"}
    found = Reads(database, clock=nights.clock, estate=nights.estate).verified()
    assert found.differences == []
    assert found.compared == {"contract": 1, "crosswalk": 1, "plan": 1}


async def test_what_a_batch_changed_is_no_difference_to_the_plan_of_its_answer(
    nights: Nights, database: sa.Engine
) -> None:
    worker = await nights.active("C-1")
    nights.go_to(at("12:00", 4))
    await nights.amend("C-1", 1, {"po_number": "PO-78"})
    await worker.drain()
    await nights.overnight(worker, 4)
    assert await nights.states() == {"C-1": "active"}
    found = Reads(database, clock=nights.clock, estate=nights.estate).verified()
    assert (found.differences, found.compared["crosswalk"]) == ([], 1)
