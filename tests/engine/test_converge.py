"""One worker, one ERP: what a contract becomes, step by step."""

from datetime import timedelta

import pytest
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncEngine

from sync_core.desired import Kind
from tests.engine.support import Bench
from tests.sows import cloud_event, milestone_terms, signed, tm_terms


@pytest.fixture
def bench(async_database: AsyncEngine) -> Bench:
    return Bench(async_database)


async def test_a_signed_milestone_contract_becomes_a_billable_project(bench: Bench) -> None:
    await bench.arrive(cloud_event("e1", "signed.v1", signed("C-1")))
    assert await (await bench.worker()).drain() == 1
    assert await bench.states() == {"C-1": "active"}
    (project,) = bench.erp.of(Kind.PROJECT)
    assert project.fields["billable"] is True
    billed = {
        m.key: (m.fields["amount"], m.fields["bill_on"], m.fields["currency"]) for m in bench.erp.of(Kind.MILESTONE)
    }
    assert billed == {
        "clm/C-1#M:design": ("10000", "2026-05-29", "USD"),
        "clm/C-1#M:golive": ("15000", "2026-09-30", "USD"),
    }
    assert bench.erp.calls == [
        "observe", "create project", "create contract_line", "create milestone", "observe", "activate", "observe",
    ]  # fmt: skip


async def test_a_time_and_materials_contract_gets_its_rates_and_labour_categories(bench: Bench) -> None:
    await bench.arrive(cloud_event("e1", "signed.v1", signed("C-2", tm_terms())))
    await (await bench.worker()).drain()
    rates = {r.key: (r.fields["rate"], r.fields["planned_hours"]) for r in bench.erp.of(Kind.LABOUR_RATE)}
    assert rates == {"clm/C-2#R:SR": ("240", "120"), "clm/C-2#R:JR": ("160", "120")}
    assert {c.key for c in bench.erp.of(Kind.LABOUR_CATEGORY)} == {"SR", "JR"}
    assert await bench.states() == {"C-2": "active"}


async def test_a_missing_tax_profile_blocks_before_the_first_write_and_heals_by_itself(bench: Bench) -> None:
    bench.erp.tax_codes.clear()
    await bench.arrive(cloud_event("e1", "signed.v1", signed("C-3")))
    worker = await bench.worker()
    await worker.drain()
    assert await bench.states() == {"C-3": "blocked"}
    assert not bench.erp.objects
    cases = await bench.rows("SELECT function, cause, state, exposure FROM core.case")
    assert [tuple(map(str, c)) for c in cases] == [("tax", "tax_profile_missing", "open", "25000.00")]
    bench.erp.tax_codes.add("US-CA-STD")
    bench.virtual.advance(timedelta(minutes=1))
    await worker.drain()
    assert await bench.states() == {"C-3": "active"}
    history = await bench.rows("SELECT what FROM core.case_history ORDER BY recorded_at")
    assert [h[0] for h in history] == ["opened", "resolved"]


async def test_an_unknown_customer_is_created_only_where_policy_says_so(bench: Bench) -> None:
    stranger = {"code": "CUST-9", "name": "Newcomer", "tax_id": "T9", "country": "US"}
    british = milestone_terms(customer=stranger, legal_entity="GB01", currency="GBP", tax={"tax_code": "GB-STD"})
    await bench.arrive(
        cloud_event("e1", "signed.v1", signed("C-US", milestone_terms(customer=stranger, title="Allowed"))),
    )
    await bench.arrive(
        cloud_event("e2", "signed.v1", signed("C-GB", {**british, "customer": {**stranger, "code": "CUST-8"}}))
    )
    await (await bench.worker()).drain()
    assert await bench.states() == {"C-GB": "blocked", "C-US": "active"}
    assert [c.key for c in bench.erp.of(Kind.CUSTOMER)] == ["CUST-9"]


async def test_wiping_the_crosswalk_adopts_what_is_there(bench: Bench) -> None:
    await bench.arrive(*(cloud_event(f"e{n}", "signed.v1", signed(f"C-{n}")) for n in range(50)))
    worker = await bench.worker()
    await worker.drain()
    before = {f.key: f.ref for f in bench.erp.objects.values()}
    creates = sum(bench.erp.creates.values())
    async with bench.engine.begin() as conn:
        await conn.execute(sa.text("DELETE FROM core.crosswalk"))
        await conn.execute(sa.text("UPDATE core.contract SET due_at = state_since"))
    assert await worker.drain() == 50
    assert sum(bench.erp.creates.values()) == creates
    kept = await bench.rows("SELECT business_key, ref FROM core.crosswalk WHERE kind <> 'customer'")
    assert {str(k): r for k, r in kept} == before
    adopted = await bench.rows("SELECT count(DISTINCT contract_id) FROM core.operation WHERE status = 'adopted'")
    assert adopted[0][0] == 50


async def test_an_amendment_changes_only_what_it_must(bench: Bench) -> None:
    await bench.arrive(cloud_event("e1", "signed.v1", signed("C-1")))
    worker = await bench.worker()
    await worker.drain()
    golive = {"key": "golive", "name": "Go-live", "amount": "17000.00", "due_on": "2026-09-30", "line": "1"}
    change = {
        "contract_id": "C-1", "revision": 2,
        "amendment": {"number": 1, "executed_at": "2026-04-10T09:00:00Z", "summary": "More go-live"},
        "changes": {
            "value": "27000.00",
            "lines": [{"key": "1", "description": "Rollout", "amount": "27000.00"}],
            "milestones": [golive],
        },
    }  # fmt: skip
    bench.erp.calls.clear()
    await bench.arrive(cloud_event("e2", "amended.v1", change))
    await worker.drain()
    assert sorted(bench.erp.calls) == [
        "observe",
        "observe",
        "update contract_line",
        "update milestone",
        "update project",
    ]
    amounts = {m.key: m.fields["amount"] for m in bench.erp.of(Kind.MILESTONE)}
    assert amounts == {"clm/C-1#M:design": "10000", "clm/C-1#M:golive": "17000"}
