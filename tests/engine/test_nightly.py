"""Contracts of an ERP with batches: out in the window in one file, active once it has answered, each object once."""

from datetime import timedelta

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from app.sandbox.cloud.faults import Effect, Fault
from tests.engine.nights import MASTER, Nights, at, customer, hourly, terms
from tests.engine.support import until


@pytest.fixture
def nights(async_database: AsyncEngine) -> Nights:
    return Nights(async_database)


async def test_contracts_wait_for_the_window_go_out_in_one_file_and_are_active_in_the_morning(nights: Nights) -> None:
    worker = await nights.worker()
    await nights.sign("C-1", terms())
    await nights.sign("C-2", hourly(customer=customer(2)))
    await nights.sign("C-3", terms())  # shares the first one's customer
    await worker.drain()
    assert set((await nights.states()).values()) == {"waiting"}
    words = "old takes batches from 22:00 on 3 Mar 2026 (Africa/Tunis)"
    assert await nights.waits() == [(at("22:00"), words, None, 0)] * 3
    assert nights.batches() == []

    nights.go_to(at("22:00"))
    await worker.drain()
    (batch,) = nights.batches()
    assert set((await nights.states()).values()) == {"waiting"}
    told = f"handed over in batch {batch['id']}; the answer comes at 06:00 on 4 Mar 2026 (Africa/Tunis)"
    assert await nights.waits() == [(at("06:00", 4), told, None, 0)] * 3
    assert nights.held() == {}

    nights.go_to(at("23:30"))
    await worker.drain()
    assert len(nights.batches()) == 1

    nights.go_to(at("06:00", 4))
    await worker.drain()
    assert set((await nights.states()).values()) == {"active"}
    assert set(nights.held().values()) == {1}
    assert nights.held().keys() >= {("project", "clm/C-1"), ("customer", "TN-001"), ("customer", "TN-002")}
    assert await nights.rows("SELECT count(*) FROM core.case") == [(0,)]
    assert await nights.rows("SELECT count(*) FROM core.crosswalk WHERE state <> 'confirmed'") == [(0,)]
    done = "SELECT DISTINCT status FROM core.operation WHERE kind = 'project' AND ref IS NOT NULL"
    assert await nights.rows(done) == [("done",)]
    assert all(doc["status"] == "active" for doc in nights.erp.store.all("project"))


async def test_amounts_are_exact_in_a_currency_with_three_decimals(nights: Nights) -> None:
    exact = [{"key": "design", "name": "Design", "amount": "24999.999", "due_on": "2026-05-29", "line": "1"},
             {"key": "golive", "name": "Go-live", "amount": "0.001", "due_on": "2026-09-30", "line": "1"}]  # fmt: skip
    worker = await nights.active("C-1", terms(milestones=exact))
    amounts = {str(doc["name"]): doc["amount"] for doc in nights.erp.store.all("milestone")}
    assert amounts == {"Design": "24999.999", "Go-live": "0.001"}
    nights.go_to(at("12:00", 4))
    await nights.amend("C-1", 1, {"po_number": "PO-78"})
    await worker.drain()
    nights.go_to(at("22:30", 4))
    await worker.drain()
    nights.go_to(at("06:00", 5))
    await worker.drain()
    assert await nights.states() == {"C-1": "active"}
    assert {doc["purchase_order"] for doc in nights.erp.store.all("project") if doc["status"] == "active"} == {"PO-78"}


async def test_an_amendment_reverses_and_posts_again_what_is_not_billed_and_each_stands_once(nights: Nights) -> None:
    worker = await nights.active("C-1")
    before = {str(doc["external_id"]): str(doc["id"]) for doc in nights.erp.store.all("milestone")}
    nights.go_to(at("12:00", 4))
    more = [{"key": "golive", "name": "Go-live", "amount": "17000.000", "due_on": "2026-09-30", "line": "1"}]
    await nights.amend("C-1", 1, {"value": "27000.000", "lines": [{"key": "1", "description": "Rollout",
                                  "amount": "27000.000"}], "milestones": more})  # fmt: skip
    await worker.drain()
    assert await nights.states() == {"C-1": "waiting"}
    nights.go_to(at("23:00", 4))
    await worker.drain()
    nights.go_to(at("06:00", 5))
    await worker.drain()
    assert await nights.states() == {"C-1": "active"}
    assert set(nights.held().values()) == {1}
    after = {str(doc["external_id"]): str(doc["id"]) for doc in nights.erp.store.all("milestone")}
    assert after["clm/C-1#M:design"] == before["clm/C-1#M:design"]
    assert after["clm/C-1#M:golive"] != before["clm/C-1#M:golive"]
    known = await nights.rows("SELECT business_key, ref FROM core.crosswalk WHERE kind = 'milestone'")
    assert {str(key): str(ref) for key, ref in known} == after
    (order,) = [doc for doc in nights.erp.store.all("project") if doc["status"] == "active"]
    assert order["contract_value"] == "27000.000"
    assert await nights.rows("SELECT count(*) FROM core.case") == [(0,)]


async def test_what_was_refused_is_an_exception_in_the_morning_and_is_asked_again_in_the_next_window(
    nights: Nights,
) -> None:
    worker = await nights.worker()
    await nights.sign("C-1")
    nights.go_to(at("22:00"))
    await worker.drain()
    nights.erp.store.put(
        "period", {"id": "7700/2026-05", "legal_entity": "7700", "period": "2026-05", "status": "closed"}
    )
    nights.erp.store.commit()
    nights.go_to(at("06:00", 4))
    await worker.drain()
    assert await nights.states() == {"C-1": "blocked"}
    assert nights.held() == {("customer", "TN-001"): 1}
    case = "SELECT cause, function, message, state, occurrences FROM core.case"
    words = "period 2026-05 of company 7700 is closed (P01)"
    assert await nights.rows(case) == [("erp_rejected", "finance_operations", words, "open", 1)]
    nights.go_to(at("12:00", 4))
    await worker.drain()
    assert len(nights.batches()) == 1

    nights.erp.store.drop("period", "7700/2026-05")
    nights.erp.store.commit()
    nights.go_to(at("22:00", 4))
    await worker.drain()
    assert await nights.states() == {"C-1": "waiting"}
    assert await nights.rows("SELECT state FROM core.case") == [("open",)]
    nights.go_to(at("06:00", 5))
    await worker.drain()
    assert await nights.states() == {"C-1": "active"}
    assert await nights.rows("SELECT state, closed_how FROM core.case") == [("resolved", "read_back")]
    assert set(nights.held().values()) == {1}


@pytest.mark.parametrize("effect", [Effect.RESET, Effect.STATUS])
@pytest.mark.parametrize("landed", [True, False], ids=["it had arrived", "it had not"])
async def test_a_file_whose_answer_got_lost_is_looked_for_before_another_is_sent(
    nights: Nights, effect: Effect, landed: bool
) -> None:
    worker = await nights.worker()
    await nights.sign("C-1")
    await nights.sign("C-2")
    nights.go_to(at("22:00"))
    nights.erp.faults.add(Fault(effect, "batch.send", count=1, after_commit=landed))
    await worker.drain()
    assert len(nights.batches()) == int(landed)
    assert {words for _, words, _, _ in await nights.waits()}.isdisjoint({None})

    async def handed_over() -> bool:
        # The customer's reservation settles by the database's clock.
        nights.go_to(nights.clock.now() + timedelta(seconds=5))
        await worker.drain()
        return {str(words)[:9] for _, words, _, _ in await nights.waits()} == {"handed ov"}

    await until(handed_over)
    assert len(nights.batches()) == 1
    nights.go_to(at("06:00", 4))
    await worker.drain()
    assert await nights.states() == {"C-1": "active", "C-2": "active"}
    assert set(nights.held().values()) == {1}


async def test_two_workers_with_files_of_their_own_make_a_shared_customer_once(nights: Nights) -> None:
    first, second = await nights.worker(), await nights.worker()
    await nights.sign("C-1")
    nights.go_to(at("22:00"))
    await first.drain()
    await nights.sign("C-2")
    await second.drain()
    assert len(nights.batches()) == 2
    nights.go_to(at("06:00", 4))
    await first.drain()
    assert await nights.states() == {"C-1": "active", "C-2": "active"}
    assert set(nights.held().values()) == {1}


async def test_a_change_while_the_batch_is_out_waits_for_its_answer_and_goes_out_the_next_night(nights: Nights) -> None:
    worker = await nights.worker()
    await nights.sign("C-1")
    nights.go_to(at("22:00"))
    await worker.drain()
    nights.go_to(at("23:00"))
    await nights.amend("C-1", 1, {"po_number": "PO-99", "title": "Another name"})
    await worker.drain()
    assert len(nights.batches()) == 1
    assert (await nights.waits())[0][0] == at("06:00", 4)
    nights.go_to(at("06:00", 4))
    await worker.drain()
    assert (await nights.waits())[0][0] == at("22:00", 4)
    await nights.overnight(worker, 4)
    assert await nights.states() == {"C-1": "active"}
    (order,) = [doc for doc in nights.erp.store.all("project") if doc["status"] == "active"]
    assert (order["purchase_order"], order["name"]) == ("PO-99", "Another name")
    assert await nights.rows("SELECT cause FROM core.case") == []


async def test_a_rate_with_billed_hours_goes_on_under_a_new_document_and_what_was_billed_stays(nights: Nights) -> None:
    worker = await nights.active("C-1", hourly(starts_on="2026-03-01", rates=[_rate("240.000")]))
    nights.go_to(at("12:00", 31) + timedelta(days=2))
    await worker.drain()
    nights.erp.nights.advance(nights.clock.now())
    (old,) = nights.erp.store.all("labour_rate")
    assert old["billed"]
    await nights.amend("C-1", 1, {"rates": [_rate("260.000")]})
    await worker.drain()
    nights.go_to(at("23:00", 31) + timedelta(days=2))
    await worker.drain()
    nights.go_to(at("06:00", 31) + timedelta(days=3))
    await worker.drain()
    assert await nights.states() == {"C-1": "active"}
    assert set(nights.held().values()) == {1}
    (new,) = [doc for doc in nights.erp.store.all("labour_rate") if doc.get("status") != "ended"]
    assert (new["hourly_rate"], new["booked_hours"]) == ("260.000", old["booked_hours"])
    kept = nights.erp.store.get("labour_rate", str(old["id"]))
    assert kept is not None
    assert (kept["hourly_rate"], kept["billed"]) == ("240.000", True)


def _rate(rate: str) -> dict[str, object]:
    return {"category": "SR", "name": "Senior consultant", "rate": rate, "planned_hours": "200", "line": "1"}


async def test_an_answer_that_does_not_come_is_told_to_integration_and_nothing_is_sent_again(nights: Nights) -> None:
    worker = await nights.worker()
    await nights.sign("C-1")
    nights.go_to(at("22:00"))
    await worker.drain()
    nights.erp.shift = -timedelta(hours=12)  # its night is late
    nights.go_to(at("06:00", 4))
    await worker.drain()
    assert await nights.rows("SELECT count(*) FROM core.case") == [(0,)]
    nights.go_to(at("08:30", 4))
    await worker.drain()
    assert await nights.states() == {"C-1": "waiting"}
    assert await nights.rows("SELECT cause, function, state FROM core.case") == [
        ("outcome_unknown", "integration", "open")
    ]
    nights.erp.shift = timedelta()
    nights.go_to(at("09:00", 4))
    await worker.drain()
    assert len(nights.batches()) == 1
    assert await nights.states() == {"C-1": "active"}
    assert await nights.rows("SELECT state, closed_how FROM core.case") == [("resolved", "read_back")]


async def test_a_cancelled_contract_is_ended_by_a_batch_too(nights: Nights) -> None:
    worker = await nights.active("C-1")
    nights.go_to(at("12:00", 4))
    data = {"contract_id": "C-1", "revision": 2, "ended_on": "2026-03-04", "reason": "No need"}
    await nights.tell("C-1", "cancelled.v1", data)
    await worker.drain()
    assert await nights.states() == {"C-1": "waiting"}
    await nights.overnight(worker, 4)
    assert await nights.states() == {"C-1": "ended"}
    assert {doc["status"] for doc in nights.erp.store.all("project")} == {"closed"}


async def test_a_clock_that_is_ahead_of_the_erps_costs_no_exception(nights: Nights) -> None:
    worker = await nights.worker()
    await nights.sign("C-1")
    nights.go_to(at("22:00"))
    nights.erp.shift = at("21:50") - at("22:00")
    await worker.drain()
    assert nights.batches() == []
    assert await nights.rows("SELECT count(*) FROM core.case") == [(0,)]
    ((due, _, _, attempt),) = await nights.waits()
    assert (due, attempt) == (at("22:10").replace(second=1), 0)


async def test_master_data_that_the_erp_lacks_is_an_exception_before_anything_is_sent(nights: Nights) -> None:
    worker = await nights.worker()
    await nights.sign("C-1", terms(tax={"tax_code": "TN-NEW"}, billing={"kind": "milestones", "payment_terms": "NET7"}))
    await worker.drain()
    causes = {str(cause) for (cause,) in await nights.rows("SELECT cause FROM core.case")}
    assert causes == {"tax_profile_missing", "payment_terms_missing"}
    assert MASTER["payment_terms"] == [{"code": "Z30", "days": "30"}]
