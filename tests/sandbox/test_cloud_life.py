"""sandbox-cloud: bill runs, payments, disputes, hours."""

from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal

import pytest

from app.sandbox.cloud.billing import Habits
from sync_core.desired import Kind
from sync_core.errors import (
    ErpRejected,
)
from sync_core.keys import ErpRef
from sync_core.ports import FinancialFact, FinancialKind, ListsProjects
from tests.contracts.cases import SANDBOX_SETUP, context
from tests.contracts.samples import time_and_materials
from tests.sandbox.clouds import cloud, facts, fixed_fee, provision


async def _life(numbers: list[str], *, seed: int = 3) -> list[FinancialFact]:
    async with cloud(seed=seed, habits=Habits(dispute_share=0.4)) as it:
        for number in numbers:
            await provision(it.erp, fixed_fee(number))
        it.clock.advance(timedelta(days=300))
        return await facts(it.erp)


async def test_milestones_are_invoiced_on_their_dates_and_paid_later() -> None:
    found = await _life([f"C-{n}" for n in range(10)])
    issued = {f.ref: f for f in found if f.kind is FinancialKind.INVOICE and f.status == "issued"}
    assert len(issued) == 30
    assert {f.occurred_on for f in issued.values()} == {date(2031, month, 28) for month in (1, 2, 3)}
    assert sum(f.amount for f in issued.values()) == 10 * Decimal("1244568.00")
    payments = [f for f in found if f.kind is FinancialKind.PAYMENT]
    disputed = {f.invoice for f in found if f.kind is FinancialKind.DISPUTE}
    assert 3 < len(disputed) < 27
    assert {f.invoice for f in payments} == set(issued)
    waits = [
        (f.occurred_on - issued[f.invoice or ErpRef("")].occurred_on).days
        for f in payments
        if f.invoice not in disputed
    ]
    assert min(waits) >= 10
    assert max(waits) <= 60


async def test_business_life_depends_on_the_seed_alone() -> None:
    def shown(found: list[FinancialFact]) -> list[tuple[object, ...]]:
        return sorted((f.project, f.kind, f.amount, f.occurred_on, f.status) for f in found)

    numbers = ["C-1", "C-2", "C-3"]
    assert shown(await _life(numbers)) == shown(await _life(numbers[::-1])) != shown(await _life(numbers, seed=4))


async def test_hours_are_invoiced_monthly_within_plan_and_cap() -> None:
    async with cloud() as it:
        sample = time_and_materials(SANDBOX_SETUP, "T-1", "CUST-T")
        capped = time_and_materials(SANDBOX_SETUP, "T-2", "CUST-T")
        capped = replace(
            capped,
            objects=tuple(
                replace(o, not_to_exceed=Decimal("9000")) if o is capped.project else o for o in capped.objects
            ),
        )
        await provision(it.erp, sample)
        await provision(it.erp, capped)
        it.clock.advance(timedelta(days=600))
        invoices = [f for f in await facts(it.erp) if f.kind is FinancialKind.INVOICE and f.status == "issued"]
        mine = [f for f in invoices if f.project == sample.project.key]
        assert len(mine) >= 6
        assert len({f.occurred_on for f in mine}) == len(mine)
        # Each invoice rounds its two lines to the cent.
        planned = 2 * Decimal("120.5") * Decimal("187.50")
        assert abs(sum(f.amount for f in mine) - planned) <= Decimal("0.01") * len(mine)
        booked = [
            doc["booked_hours"]
            for doc in it.app.store.all("labour_rate")
            if str(doc["external_id"]).startswith(sample.project.key)
        ]
        assert [Decimal(str(hours)) for hours in booked] == [Decimal("120.5")] * 2
        assert 0 < sum(f.amount for f in invoices if f.project == capped.project.key) <= 9000
        rates = [f for f in (await it.erp.observe(sample.scope, context())).found if f.kind is Kind.LABOUR_RATE]
        assert all(rate.billed for rate in rates)


async def test_an_open_project_is_found_by_its_id_alone() -> None:
    async with cloud() as it:
        ref = (await provision(it.erp, fixed_fee()))[Kind.PROJECT, fixed_fee().project.key]
        assert isinstance(it.erp, ListsProjects)
        [listed] = (await it.erp.projects(None, context())).projects
        assert await it.erp.project(ref, context()) == listed
        await it.erp.close(Kind.PROJECT, ref, context())
        assert await it.erp.project(ref, context()) is None
        assert await it.erp.project(ErpRef("no/such id"), context()) is None


async def test_what_is_invoiced_is_neither_changed_nor_closed() -> None:
    async with cloud() as it:
        sample = fixed_fee()
        made = await provision(it.erp, sample)
        advanced = await it.raw.post("/_sandbox/advance", json={"through": "2031-01-31"})
        assert advanced.json() == {"through": "2031-01-31"}
        first = sample.of(Kind.MILESTONE)[0]
        ref = made[Kind.MILESTONE, first.key]
        with pytest.raises(ErpRejected, match="already invoiced"):
            await it.erp.update(first, ref, ("amount",), context())
        with pytest.raises(ErpRejected, match="already invoiced"):
            await it.erp.close(Kind.MILESTONE, ref, context())
        await it.erp.close(Kind.PROJECT, made[Kind.PROJECT, sample.project.key], context())
        left = [f for f in (await it.erp.observe(sample.scope, context())).found if not f.kind.shared]
        assert [(f.kind, f.active, f.billed) for f in left] == [
            (Kind.PROJECT, False, True),
            (Kind.MILESTONE, True, True),
        ]
