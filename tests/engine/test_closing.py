"""An exception closes only where a run looked for its cause, and what a run remembers is what it has looked at."""

from dataclasses import replace
from datetime import timedelta

import pytest
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncEngine

from sync_core.desired import Kind
from sync_core.keys import ErpRef
from sync_core.ports import CallContext, Observation, Scope
from tests.engine.governed import Desk
from tests.memory_erp import MemoryConnector
from tests.sows import amended, cloud_event, milestone_terms, signed


@pytest.fixture
async def desk(async_database: AsyncEngine, database: sa.Engine) -> Desk:
    return Desk(async_database, sync=database)


def seeing(monkeypatch: pytest.MonkeyPatch, **references: object) -> dict[str, object]:
    """What the ERP has of master data, to be changed by the test."""
    real = MemoryConnector.observe

    async def observe(self: MemoryConnector, scope: Scope, ctx: CallContext) -> Observation:
        seen = await real(self, scope, ctx)
        return Observation(replace(seen.references, **references), seen.found)  # type: ignore[arg-type]

    monkeypatch.setattr(MemoryConnector, "observe", observe)
    return references


async def test_a_legal_entity_that_is_gone_closes_no_question_about_its_customers_tax(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    erp = seeing(monkeypatch, customer_tax_profile=False)
    await desk.arrive(cloud_event("e1", "signed.v1", signed("C-1", milestone_terms())))
    await desk.run()
    erp.update(customer_tax_profile=True, legal_entity=None, tax_profile=False)  # nobody looked at the customer there
    await desk.run(after=timedelta(hours=1))
    assert [(cause, state) for cause, _, state in await desk.cases()] == [
        ("customer_tax_profile_missing", "open"), ("legal_entity_missing", "open"),
    ]  # fmt: skip


async def test_a_recheck_that_closes_one_of_two_is_in_the_journal(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    erp = seeing(monkeypatch, tax_profile=False, payment_terms=False)
    await desk.arrive(cloud_event("e1", "signed.v1", signed("C-1", milestone_terms())))
    await desk.run()
    await desk.run(after=timedelta(hours=1))
    assert len(await desk.rows("SELECT 1 FROM core.run")) == 1  # no news
    erp["payment_terms"] = True
    await desk.run(after=timedelta(hours=1))
    assert {(c[0], c[2]) for c in await desk.cases()} == {
        ("tax_profile_missing", "open"), ("payment_terms_missing", "resolved"),
    }  # fmt: skip
    assert len(await desk.rows("SELECT 1 FROM core.run")) == 2
    erp["payment_terms"] = False
    await desk.run(after=timedelta(hours=1))
    assert len(await desk.rows("SELECT 1 FROM core.run")) == 3
    await desk.run(after=timedelta(hours=1))
    assert len(await desk.rows("SELECT 1 FROM core.run")) == 3


async def test_a_second_project_closes_no_difference_and_does_not_take_the_firsts_place(desk: Desk) -> None:
    await desk.arrive(cloud_event("e1", "signed.v1", signed("C-1", milestone_terms())))
    await desk.run()
    milestone, project = desk.erp.of(Kind.MILESTONE)[0], desk.erp.of(Kind.PROJECT)[0]
    desk.erp.hold(replace(milestone, billed=True))
    desk.erp.hold(replace(project, billed=True))
    terms = milestone_terms()
    terms["milestones"][0]["amount"] = "9000.00"  # type: ignore[index]
    terms["milestones"][1]["amount"] = "16000.00"  # type: ignore[index]
    await desk.arrive(cloud_event("e2", "amended.v1", amended("C-1", milestones=terms["milestones"])))
    await desk.run(after=timedelta(minutes=1))
    desk.erp.hold(replace(project, ref=ErpRef("A0000"), billed=True))  # the ERP lists it first
    for _ in range(2):
        await desk.run(after=timedelta(hours=2))
        assert {(c[0], c[2]) for c in await desk.cases()} == {("billed_differs", "open"), ("double_in_erp", "open")}
        assert await desk.rows("SELECT ref FROM core.crosswalk WHERE kind = 'project'") == [(project.ref,)]


async def test_a_milestone_that_the_contract_has_no_more_is_closed_in_the_crosswalk(desk: Desk) -> None:
    await desk.arrive(cloud_event("e1", "signed.v1", signed("C-1", milestone_terms())))
    await desk.run()
    terms = milestone_terms()
    parts = terms["milestones"]
    assert isinstance(parts, list)
    first, second = parts
    first["amount"] = terms["value"]
    changed = amended("C-1", milestones=[first], remove_milestones=[second["key"]])
    await desk.arrive(cloud_event("e2", "amended.v1", changed))
    await desk.run(after=timedelta(minutes=1))
    assert await desk.states() == {"C-1": "active"}
    held = await desk.rows("SELECT business_key, state FROM core.crosswalk WHERE kind = 'milestone' ORDER BY 1")
    assert held == [(f"clm/C-1#M:{first['key']}", "confirmed"), (f"clm/C-1#M:{second['key']}", "closed")]
