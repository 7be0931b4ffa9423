"""The Tryton connector against a real Tryton: sessions, people's own changes, and ending work that was begun."""

import asyncio
import uuid
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal
from typing import cast

import pytest
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncEngine

from app.sandbox.tryton_rpc import Row
from collectors.financial_status import collect
from sync_core.clock import SystemClock
from sync_core.connectors import discovery
from sync_core.desired import BillingMilestone, Found, Kind, Rate
from sync_core.errors import ErpCredentials, ErpRejected
from sync_core.keys import BusinessKey, ErpRef
from sync_core.ports import ErpConnector, FinancialKind
from tests import rows
from tests.contracts.cases import TRYTON_SETUP, Lane, context
from tests.contracts.samples import Sample, milestones, time_and_materials
from tests.metrics.support import caught_up
from tests.reads.handmade import add_contract, insert
from tests.rows import NOW
from tests.tryton_bookkeeper import Bookkeeper, tryton_erp
from tests.tryton_server import RunningTryton

pytestmark = pytest.mark.xdist_group("tryton")

Made = dict[tuple[Kind, BusinessKey], ErpRef]


@pytest.fixture
async def erp(tryton: RunningTryton) -> AsyncIterator[ErpConnector]:
    opened = connect(tryton, tryton.endpoint.password)
    yield opened
    await opened.aclose()


@pytest.fixture
def finance(tryton: RunningTryton) -> Iterator[Bookkeeper]:
    with Bookkeeper(tryton.endpoint) as books:
        yield books


def connect(tryton: RunningTryton, secret: str) -> ErpConnector:
    estate = tryton_erp(tryton.endpoint, customers_without_tax_rule="category-tax")
    return discovery.erp("tryton")(estate, secret=secret, gate=Lane(), clock=SystemClock())


@pytest.fixture
def fixed_fee() -> Sample:
    name = f"C-{uuid.uuid4().hex[:10]}"
    return milestones(TRYTON_SETUP, name, f"CUST-{name}")


@pytest.fixture
def by_the_hour() -> Sample:
    name = f"C-{uuid.uuid4().hex[:10]}"
    return time_and_materials(TRYTON_SETUP, name, f"CUST-{name}")


async def provision(erp: ErpConnector, sample: Sample) -> Made:
    made: Made = {}
    for kind in Kind:
        refs = await erp.create(sample.of(kind), made, context())
        made |= {(kind, key): ref for key, ref in refs.items()}
    await erp.activate(sample.project, made[Kind.PROJECT, sample.project.key], context())
    return made


async def active(erp: ErpConnector, sample: Sample) -> dict[BusinessKey, Found]:
    found = (await erp.observe(sample.scope, context())).found
    return {item.key: item for item in found if item.active and not item.kind.shared}


async def test_calls_that_start_together_log_in_once(erp: ErpConnector) -> None:
    contexts = [context() for _ in range(4)]
    await asyncio.gather(*(erp.ping(ctx) for ctx in contexts))
    operations = [call.operation for ctx in contexts for call in ctx.calls]
    assert operations.count("session.login") == operations.count("session.preferences") == 1


async def test_a_session_that_ended_is_renewed_within_the_call(
    tryton: RunningTryton, erp: ErpConnector, finance: Bookkeeper
) -> None:
    await erp.ping(context())
    user = finance.rpc.find("res.user", [["login", "=", tryton.endpoint.login]])
    finance.rpc.write("res.user", [cast("int", user)], {"password": tryton.endpoint.password})  # ends its sessions
    ctx = context()
    await erp.ping(ctx)
    assert [(call.operation, call.status) for call in ctx.calls] == [
        ("ping", 401), ("session.login", 200), ("session.preferences", 200), ("ping", 200),
    ]  # fmt: skip


async def test_a_wrong_password_is_a_matter_of_credentials(tryton: RunningTryton) -> None:
    erp = connect(tryton, "wrong")
    with pytest.raises(ErpCredentials, match="tieline"):
        await erp.ping(context())
    await erp.aclose()


async def test_what_people_write_into_a_comment_survives_an_update(
    erp: ErpConnector, finance: Bookkeeper, fixed_fee: Sample
) -> None:
    made = await provision(erp, fixed_fee)
    first = fixed_fee.of(Kind.MILESTONE)[0]
    assert isinstance(first, BillingMilestone)
    work = int(made[Kind.MILESTONE, first.key])
    own = finance.note(work) + "\nTalked to Ann.\nBill on: whenever"
    finance.rpc.write("project.work", [work], {"comment": own.replace("\n", "\r\n")})
    await erp.update(replace(first, bill_on=date(2032, 2, 2)), ErpRef(str(work)), ["bill_on"], context())
    assert finance.note(work).endswith("\nTalked to Ann.\nBill on: whenever")
    assert (await active(erp, fixed_fee))[first.key].fields["bill_on"] == "2032-02-02"


async def test_names_keep_their_outer_blanks(erp: ErpConnector, fixed_fee: Sample) -> None:
    project = replace(fixed_fee.project, name="  Rollout ")
    sample = Sample(fixed_fee.scope, tuple(project if o == fixed_fee.project else o for o in fixed_fee.objects))
    made = await provision(erp, sample)
    assert (await active(erp, sample))[project.key].fields["name"] == "  Rollout "
    plain_name = replace(project, name="Rollout")
    await erp.update(plain_name, made[Kind.PROJECT, project.key], ["name"], context())
    assert (await active(erp, sample))[project.key].fields["name"] == "Rollout"


async def test_a_milestone_invoiced_meanwhile_is_not_repriced(
    erp: ErpConnector, finance: Bookkeeper, fixed_fee: Sample
) -> None:
    made = await provision(erp, fixed_fee)
    first = fixed_fee.of(Kind.MILESTONE)[0]
    assert isinstance(first, BillingMilestone)
    ref = made[Kind.MILESTONE, first.key]
    finance.bill_milestone(int(ref))
    with pytest.raises(ErpRejected, match="invoiced meanwhile"):
        await erp.update(replace(first, amount=Decimal(1)), ref, ["amount"], context())


async def test_ending_a_project_bills_nothing_that_was_not_reached(
    erp: ErpConnector, finance: Bookkeeper, fixed_fee: Sample
) -> None:
    made = await provision(erp, fixed_fee)
    parts = [cast("BillingMilestone", part) for part in fixed_fee.of(Kind.MILESTONE)]
    works = [int(made[Kind.MILESTONE, part.key]) for part in parts]
    project = int(made[Kind.PROJECT, fixed_fee.project.key])
    finance.bill_milestone(works[0])
    finance.reach(works[2])
    await erp.close(Kind.PROJECT, ErpRef(str(project)), context())
    (ended,) = finance.works(fixed_fee.project.key, "status.progress", "amount_to_invoice", "invoiced_amount")
    assert cast("dict[str, object]", ended["status."])["progress"] == 1.0
    assert (ended["invoiced_amount"], ended["amount_to_invoice"]) == (parts[0].amount, parts[2].amount)
    assert set(await active(erp, fixed_fee)) == {parts[0].key}


async def test_ending_a_project_by_the_hour_stops_time_and_keeps_booked_hours(
    erp: ErpConnector, finance: Bookkeeper, by_the_hour: Sample
) -> None:
    made = await provision(erp, by_the_hour)
    first = cast("Rate", by_the_hour.of(Kind.LABOUR_RATE)[0])
    task = int(made[Kind.LABOUR_RATE, first.key])
    finance.book(task, "2")
    await erp.close(Kind.PROJECT, made[Kind.PROJECT, by_the_hour.project.key], context())
    (ended,) = finance.works(by_the_hour.project.key, "amount_to_invoice")
    assert ended["amount_to_invoice"] == 2 * first.rate
    assert await active(erp, by_the_hour) == {}
    with pytest.raises(RuntimeError, match="timesheet"):
        finance.book(task, "1", on=SystemClock().now().date() + timedelta(days=1))


async def test_a_project_that_nobody_worked_on_ends_without_billing(
    erp: ErpConnector, finance: Bookkeeper, fixed_fee: Sample
) -> None:
    made = await provision(erp, fixed_fee)
    await erp.close(Kind.PROJECT, made[Kind.PROJECT, fixed_fee.project.key], context())
    (ended,) = finance.works(fixed_fee.project.key, "project_invoice_method", "amount_to_invoice", "comment")
    assert (ended["project_invoice_method"], ended["amount_to_invoice"]) == ("manual", 0)
    assert "Closed by Tieline on: " in str(ended["comment"])
    assert await active(erp, fixed_fee) == {}


async def test_a_dropped_milestone_with_tasks_under_it_stays_without_its_price(
    erp: ErpConnector, finance: Bookkeeper, fixed_fee: Sample
) -> None:
    made = await provision(erp, fixed_fee)
    gone = fixed_fee.of(Kind.MILESTONE)[1].key
    work = int(made[Kind.MILESTONE, gone])
    status = finance.rpc.find("project.work.status", [["progress", "=", None]])
    under: Row = {"name": "Prepare", "type": "task", "company": finance.company, "parent": work, "status": status}
    finance.rpc.create("project.work", under)
    for _ in range(2):
        await erp.close(Kind.MILESTONE, ErpRef(str(work)), context())
    assert gone not in await active(erp, fixed_fee)
    (kept,) = finance.works(gone, "list_price")
    assert kept["list_price"] is None


async def test_a_customer_without_a_tax_rule_is_refused_unless_the_estate_says_otherwise(
    tryton: RunningTryton, erp: ErpConnector, fixed_fee: Sample
) -> None:
    strict = discovery.erp("tryton")(
        tryton_erp(tryton.endpoint), secret=tryton.endpoint.password, gate=Lane(), clock=SystemClock()
    )
    for customer, by_default, by_choice in (
        ("CUST-ACME", True, True), ("CUST-UNTAXED", False, True), ("CUST-CITY", False, False), ("NEW", False, True),
    ):  # fmt: skip
        scope = replace(fixed_fee.scope, customer=BusinessKey(customer))
        seen = [(await each.observe(scope, context())).references.customer_tax_profile for each in (strict, erp)]
        assert seen == [by_default, by_choice], customer
    await strict.aclose()


async def test_invoices_payments_and_credit_notes_belong_to_their_contract_and_come_once(
    erp: ErpConnector, finance: Bookkeeper, by_the_hour: Sample
) -> None:
    made = await provision(erp, by_the_hour)
    project, key = int(made[Kind.PROJECT, by_the_hour.project.key]), by_the_hour.project.key
    cursor = (await erp.financial_status(None, context())).cursor
    first = cast("Rate", by_the_hour.of(Kind.LABOUR_RATE)[0])

    async def told() -> list[tuple[FinancialKind, str, Decimal, BusinessKey]]:
        nonlocal cursor
        page = await erp.financial_status(cursor, context())
        cursor = page.cursor
        return sorted((fact.kind, fact.status, fact.amount, fact.project) for fact in page.facts)

    invoices = []
    for hours in ("4", "6"):
        finance.book(int(made[Kind.LABOUR_RATE, first.key]), hours)
        invoices += [cast("int", row["id"]) for row in finance.invoice(project)]
    assert await told() == [
        (FinancialKind.INVOICE, "posted", 4 * first.rate, key),
        (FinancialKind.INVOICE, "posted", 6 * first.rate, key),
    ]
    finance.credit(invoices[0])
    assert await told() == [
        (FinancialKind.INVOICE, "credited", -4 * first.rate, key),
        (FinancialKind.INVOICE, "credited", 4 * first.rate, key),
    ]
    finance.pay(invoices[1])
    assert await told() == [
        (FinancialKind.INVOICE, "paid", 6 * first.rate, key),
        (FinancialKind.PAYMENT, "received", 6 * first.rate, key),
    ]
    assert await told() == []


async def test_a_credit_note_names_its_invoice_and_the_two_come_to_nothing_in_the_books(
    erp: ErpConnector, finance: Bookkeeper, by_the_hour: Sample, async_database: AsyncEngine, database: sa.Engine
) -> None:
    """As Tryton reports them, through the collector, to the measures."""
    made = await provision(erp, by_the_hour)
    project, key = made[Kind.PROJECT, by_the_hour.project.key], by_the_hour.project.key
    task = int(made[Kind.LABOUR_RATE, cast("Rate", by_the_hour.of(Kind.LABOUR_RATE)[0]).key])
    contract = add_contract(database, took=1.0, currency="USD")
    insert(
        database, "crosswalk", system="tryton", kind="project", business_key=key, state="confirmed", ref=project,
        contract_id=contract, confirmed_at=NOW,
    )  # fmt: skip
    invoices = []
    for hours in ("4", "6"):
        finance.book(task, hours)
        invoices += [cast("int", row["id"]) for row in finance.invoice(int(project))]
    rate = cast("Rate", by_the_hour.of(Kind.LABOUR_RATE)[0]).rate

    async def books() -> list[tuple[object, ...]]:
        await collect(async_database, erp, clock=SystemClock())
        caught_up(database, SystemClock(), rows.estate())
        with database.connect() as conn:
            found = conn.execute(sa.text("""
                SELECT kind, amount, credited, paid FROM metrics.invoice_fact
                WHERE contract_id = :id AND known_to IS NULL ORDER BY kind, amount"""), {"id": contract})  # fmt: skip
            whole = conn.execute(sa.text("""
                SELECT billed, credited, paid FROM metrics.books_fact
                WHERE contract_id = :id AND known_to IS NULL"""), {"id": contract})  # fmt: skip
            return [tuple(row) for row in (*found, *whole)]

    assert await books() == [("invoice", 4 * rate, 0, 0), ("invoice", 6 * rate, 0, 0), (10 * rate, 0, 0)]
    finance.credit(invoices[0])
    finance.pay(invoices[1])
    assert await books() == [
        ("credit_note", -4 * rate, 0, 0), ("invoice", 4 * rate, 4 * rate, 0), ("invoice", 6 * rate, 0, 6 * rate),
        (10 * rate, 4 * rate, 6 * rate),
    ]  # fmt: skip
