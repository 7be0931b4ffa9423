"""What every ERP connector promises the engine. The cases are in cases.py."""

import re
from dataclasses import replace
from datetime import date
from decimal import Decimal

import pytest

from sync_core.desired import BillingMilestone, Found, Kind, Line, Recognition
from sync_core.keys import BusinessKey
from sync_core.ports import FinancialKind, TellsVersion
from tests.contracts.cases import Case, context
from tests.contracts.provisioning import Made, held, look, only, provision, unbilled
from tests.contracts.samples import Sample


async def test_a_new_contract_is_not_found_but_its_references_are(case: Case, sample: Sample) -> None:
    observation = await case.connector.observe(sample.scope, context())
    assert observation.found == ()
    references = observation.references
    assert references.legal_entity is not None
    assert references.entity_currency == case.setup.currency
    assert references.tax_profile
    assert references.customer_tax_profile
    assert references.payment_terms
    assert references.open_period
    assert references.missing_revenue_categories == ()


async def test_references_that_do_not_exist_are_named(case: Case, sample: Sample) -> None:
    scope = replace(
        sample.scope, legal_entity="NOWHERE", payment_terms="NEVER", tax_code="NONE", revenue_categories=("LOST",)
    )
    references = (await case.connector.observe(scope, context())).references
    assert references.legal_entity is None
    assert references.entity_currency is None
    assert not references.payment_terms
    assert not references.tax_profile
    assert references.missing_revenue_categories == ("LOST",)


async def test_what_was_created_is_found_exactly_as_it_was_wanted(case: Case, sample: Sample) -> None:
    made = await provision(case, sample)
    found = await look(case, sample)
    assert set(found) == set(made)
    for wanted in unbilled(sample.objects):
        if (wanted.kind, wanted.key) not in made:
            continue
        (item,) = found[wanted.kind, wanted.key]
        assert item.ref == made[wanted.kind, wanted.key]
        assert item.fields == held(wanted, item)
        assert item.fields
        assert not item.billed
        if not wanted.kind.shared and wanted.kind is not Kind.PROJECT:
            assert item.parent == made[Kind.PROJECT, sample.project.key]


async def test_creating_again_adopts_where_the_erp_can_and_is_found_where_it_cannot(case: Case, sample: Sample) -> None:
    first, again = await provision(case, sample), await provision(case, sample)
    found = await look(case, sample)
    for at, ref in first.items():
        refs = sorted(item.ref for item in found[at])
        assert refs == sorted({ref, again[at]})
        if case.connector.capabilities.upsert:
            assert ref == again[at]
        assert await case.count(*at) == len(refs)


async def test_an_update_changes_only_the_named_fields(case: Case, fixed_fee: Sample) -> None:
    made = await provision(case, fixed_fee)
    before = fixed_fee.of(Kind.MILESTONE)[0]
    assert isinstance(before, BillingMilestone)
    wanted = replace(before, amount=Decimal("777.70"), bill_on=date(2031, 5, 5), name="not to be written")
    await case.connector.update(wanted, made[Kind.MILESTONE, wanted.key], ("amount", "bill_on"), context())
    found = await only(case, fixed_fee, before)
    assert found.fields == held(replace(wanted, name=before.name), found)

    project = replace(fixed_fee.project, name="Renamed", value=Decimal("5"), ends_on=None)
    await case.connector.update(project, made[Kind.PROJECT, project.key], ("name", "ends_on"), context())
    found = await only(case, fixed_fee, project)
    assert found.fields == held(replace(project, value=fixed_fee.project.value, billable=False), found)


async def test_activation_makes_the_project_billable_and_changes_nothing_else(case: Case, sample: Sample) -> None:
    made = await provision(case, sample)
    before = await look(case, sample)
    for _ in range(2):
        await case.connector.activate(sample.project, made[Kind.PROJECT, sample.project.key], context())
    after = await look(case, sample)
    (project,) = after.pop((Kind.PROJECT, sample.project.key))
    (setup,) = before.pop((Kind.PROJECT, sample.project.key))
    assert after == before
    assert setup.fields["billable"] is False
    assert project.fields == {**setup.fields, "billable": True}


async def test_a_project_that_is_held_bills_nothing_until_it_is_activated_again(case: Case, sample: Sample) -> None:
    def fields(found: dict[tuple[Kind, BusinessKey], list[Found]]) -> dict[tuple[Kind, BusinessKey], object]:
        return {at: [item.fields for item in items] for at, items in found.items()}

    made = await provision(case, sample)
    at = (Kind.PROJECT, sample.project.key)
    await case.connector.activate(sample.project, made[at], context())
    before = await look(case, sample)
    wanted = replace(sample.project, billable=False)
    await case.connector.update(wanted, before[at][0].ref, ("billable",), context())
    after = await look(case, sample)
    (project,) = after[at]
    assert fields(after) == {**fields(before), at: [{**before[at][0].fields, "billable": False}]}
    await case.connector.activate(sample.project, project.ref, context())
    assert fields(await look(case, sample)) == fields(before)


async def test_a_closed_part_is_gone_and_closing_it_again_is_safe(case: Case, fixed_fee: Sample) -> None:
    made = await provision(case, fixed_fee)
    gone = fixed_fee.of(Kind.MILESTONE)[1]
    for _ in range(2):
        await case.connector.close(Kind.MILESTONE, made[Kind.MILESTONE, gone.key], context())
    assert set(await look(case, fixed_fee)) == set(made) - {(Kind.MILESTONE, gone.key)}


async def test_closing_a_project_takes_its_parts_along(case: Case, sample: Sample) -> None:
    made = await provision(case, sample)
    for _ in range(2):
        await case.connector.close(Kind.PROJECT, made[Kind.PROJECT, sample.project.key], context())
    left = await look(case, sample)
    assert {kind for kind, _ in left} <= {Kind.CUSTOMER, Kind.LABOUR_CATEGORY}


async def test_a_closed_contract_can_be_provisioned_again(case: Case, fixed_fee: Sample) -> None:
    made = await provision(case, fixed_fee)
    await case.connector.close(Kind.PROJECT, made[Kind.PROJECT, fixed_fee.project.key], context())
    parts = [kind for kind in Kind if not kind.shared and fixed_fee.of(kind)]
    again: Made = dict(made)
    for kind in parts:
        refs = await case.connector.create(fixed_fee.of(kind), again, context())
        again |= {(kind, key): ref for key, ref in refs.items()}
    found = await look(case, fixed_fee)
    assert {at: [item.ref for item in items] for at, items in found.items()} == {at: [ref] for at, ref in again.items()}


async def test_a_surplus_double_can_be_closed_alone(case: Case, fixed_fee: Sample) -> None:
    if case.connector.capabilities.upsert:
        pytest.skip("this ERP keeps keys unique")
    first, surplus = await provision(case, fixed_fee), await provision(case, fixed_fee)
    await case.connector.close(Kind.PROJECT, surplus[Kind.PROJECT, fixed_fee.project.key], context())
    found = await look(case, fixed_fee)
    own = {at: [item.ref for item in items] for at, items in found.items() if not at[0].shared}
    assert own == {at: [ref] for at, ref in first.items() if not at[0].shared}


async def test_every_call_is_journalled_under_a_name_without_ids(case: Case, fixed_fee: Sample) -> None:
    ctx = context()
    await case.connector.ping(ctx)
    await case.connector.observe(fixed_fee.scope, ctx)
    await case.connector.create(fixed_fee.of(Kind.CUSTOMER), {}, ctx)
    assert {call.system for call in ctx.calls} == {case.connector.name}
    assert {call.outcome for call in ctx.calls} == {"ok"}
    assert [call.write for call in ctx.calls].count(True) == 1
    assert not any(fixed_fee.scope.customer in call.operation for call in ctx.calls)
    assert all(call.started_at.tzinfo and call.duration_s >= 0 for call in ctx.calls)


async def test_an_erp_that_says_its_release_says_it_as_its_vendor_writes_it(case: Case) -> None:
    if not isinstance(case.connector, TellsVersion):
        pytest.skip("this connector cannot ask")
    ctx = context()
    told = await case.connector.version(ctx)
    assert told is not None
    assert re.fullmatch(r"\d+(\.\d+)+", told)
    assert [call.write for call in ctx.calls].count(True) == 0


async def test_an_invoiced_milestone_says_so_and_its_invoice_is_listed_once(case: Case, fixed_fee: Sample) -> None:
    if case.bill_milestone is None:
        pytest.skip("this ERP has no quick way to invoice")
    made = await provision(case, fixed_fee)
    await case.connector.activate(fixed_fee.project, made[Kind.PROJECT, fixed_fee.project.key], context())
    before = await case.connector.financial_status(None, context())
    first = fixed_fee.of(Kind.MILESTONE)[0]
    assert isinstance(first, BillingMilestone)
    await case.bill_milestone(made[Kind.MILESTONE, first.key])

    found = await look(case, fixed_fee)
    billed = {at for at, items in found.items() if items[0].billed and at[0] is not Kind.PROJECT}
    assert billed == {(Kind.MILESTONE, first.key)}
    page = await case.connector.financial_status(before.cursor, context())
    invoices = [fact for fact in page.facts if fact.kind is FinancialKind.INVOICE]
    assert [(fact.project, fact.amount, fact.currency) for fact in invoices] == [
        (fixed_fee.project.key, first.amount, first.currency)
    ]
    reports = case.connector.capabilities.reports
    assert {fact.kind for fact in page.facts} <= reports
    rest = await case.connector.financial_status(page.cursor, context())
    assert (rest.facts, rest.more, rest.cursor) == ((), False, page.cursor)


async def test_revenue_is_reported_by_line_where_the_erp_says_that_it_reports_it(case: Case, fixed_fee: Sample) -> None:
    if FinancialKind.REVENUE not in case.connector.capabilities.reports:
        pytest.skip("this ERP reports no revenue")
    assert case.bill_milestone is not None
    earned = [replace(o, recognition=Recognition.AS_INVOICED) if isinstance(o, Line) else o for o in fixed_fee.objects]
    sample = replace(fixed_fee, objects=tuple(earned))
    made = await provision(case, sample)
    await case.connector.activate(sample.project, made[Kind.PROJECT, sample.project.key], context())
    before = await case.connector.financial_status(None, context())
    first = sample.of(Kind.MILESTONE)[0]
    assert isinstance(first, BillingMilestone)
    await case.bill_milestone(made[Kind.MILESTONE, first.key])
    page = await case.connector.financial_status(before.cursor, context())
    postings = [fact for fact in page.facts if fact.kind is FinancialKind.REVENUE]
    assert {fact.line for fact in postings} == {line.key for line in sample.of(Kind.CONTRACT_LINE)}
    assert sum(fact.amount for fact in postings) == first.amount
    (invoice,) = [fact.ref for fact in page.facts if fact.kind is FinancialKind.INVOICE]
    assert {(fact.project, fact.currency, fact.invoice) for fact in postings} == {
        (sample.project.key, first.currency, invoice)
    }
