"""What Tryton would invoice at the press of a button, also of a closed project: it is told, and not left behind."""

from decimal import Decimal
from typing import cast

import pytest

from sync_core.contract import BillingKind
from sync_core.desired import BillingMilestone, Desired, Kind, Rate
from sync_core.errors import ErrorClass
from sync_core.moving.moving import Behind, behind_of, earned_of, objections
from sync_core.plan import diff
from sync_core.ports import ErpConnector
from tests.connectors.test_tryton import by_the_hour as by_the_hour
from tests.connectors.test_tryton import erp as erp
from tests.connectors.test_tryton import finance as finance
from tests.connectors.test_tryton import fixed_fee as fixed_fee
from tests.connectors.test_tryton import provision
from tests.contracts.cases import context
from tests.contracts.samples import Sample
from tests.tryton_bookkeeper import Bookkeeper

pytestmark = pytest.mark.xdist_group("tryton")


async def test_what_finance_could_invoice_is_told_before_and_after_its_project_is_closed(
    erp: ErpConnector, finance: Bookkeeper, fixed_fee: Sample, by_the_hour: Sample
) -> None:
    """The contract must not leave for another ERP before it was invoiced: closing takes nothing earned away."""
    milestone, rate = fixed_fee.of(Kind.MILESTONE)[1], cast("Rate", by_the_hour.of(Kind.LABOUR_RATE)[0])
    amount = cast("BillingMilestone", milestone).amount
    made = {**await provision(erp, fixed_fee), **await provision(erp, by_the_hour)}

    async def earned(sample: Sample) -> list[Decimal | None]:
        found = (await erp.observe(sample.scope, context())).found
        told = [f.message for f in objections("tryton", Behind(), earned_of(found), nothing_left=False, undo=False)]
        projects = [f.earned for f in found if f.kind is Kind.PROJECT]
        assert len(told) == sum(one is not None for one in projects)
        return projects

    assert (await earned(fixed_fee), await earned(by_the_hour)) == ([None], [None])
    finance.reach(int(made[Kind.MILESTONE, milestone.key]))
    finance.book(int(made[Kind.LABOUR_RATE, rate.key]), "40")
    for _ in range(2):
        assert (await earned(fixed_fee), await earned(by_the_hour)) == ([amount], [40 * rate.rate])
        for sample in (fixed_fee, by_the_hour):
            await erp.close(Kind.PROJECT, made[Kind.PROJECT, sample.project.key], context())
    (invoice,) = finance.invoice(int(made[Kind.PROJECT, fixed_fee.project.key]))
    assert invoice["untaxed_amount"] == amount
    assert await earned(fixed_fee) == [None]
    found = (await erp.observe(fixed_fee.scope, context())).found
    assert behind_of(found, BillingKind.MILESTONES).milestones == {milestone.key: amount}


async def test_of_two_projects_of_a_contract_none_is_closed_that_can_be_billed(
    erp: ErpConnector, finance: Bookkeeper, fixed_fee: Sample
) -> None:
    for sent in range(2):
        made = await provision(erp, fixed_fee)
        if sent == 0:
            first = made[Kind.PROJECT, fixed_fee.project.key]
        finance.reach(int(made[Kind.MILESTONE, fixed_fee.of(Kind.MILESTONE)[1].key]))
    wanted = Desired(fixed_fee.project.key, "tryton", fixed_fee.objects, may_create_customer=False)
    plan = diff(wanted, (await erp.observe(fixed_fee.scope, context())).found, keep={fixed_fee.project.key: first})
    assert [o.why for o in plan.conflicts if o.kind is Kind.PROJECT] == [ErrorClass.DUPLICATE_FOUND]
    assert not [o for o in plan.writes if o.kind is Kind.PROJECT]
