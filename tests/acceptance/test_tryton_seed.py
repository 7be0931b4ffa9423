"""Signed statements of work become projects in a real Tryton, and what Tryton then invoices is what was signed.

What came out is read, reached, booked and invoiced by Tryton's own administrator, without any code of Tieline's.
"""

import asyncio
import uuid
from collections.abc import AsyncIterator, Iterator
from datetime import timedelta
from decimal import Decimal
from typing import cast

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from sync_core.desired import Kind
from tests.acceptance.tryton_firm import Firm
from tests.sows import cloud_event, milestone_terms, signed, tm_terms, total
from tests.tryton_bookkeeper import Bookkeeper, ForgetfulTransport
from tests.tryton_server import RunningTryton

pytestmark = pytest.mark.xdist_group("tryton")

ACME = {"code": "CUST-ACME", "name": "Acme Corporation", "tax_id": "94-1234567", "country": "US"}
TAX = Decimal("0.0825")
RATES = [
    {"category": "SR-CONSULTANT", "name": "Senior", "rate": "240.00", "planned_hours": "120.5", "line": "1"},
    {"category": "CONSULTANT", "name": "Consultant", "rate": "160.55", "planned_hours": "80", "line": "1"},
]


@pytest.fixture
async def firm(async_database: AsyncEngine, tryton: RunningTryton) -> AsyncIterator[Firm]:
    opened = Firm(async_database, tryton.endpoint)
    yield opened
    await opened.aclose()


@pytest.fixture
def finance(tryton: RunningTryton) -> Iterator[Bookkeeper]:
    with Bookkeeper(tryton.endpoint) as books:
        yield books


@pytest.fixture
def number() -> str:
    return f"C-{uuid.uuid4().hex[:8]}"


def fixed_fee(**changes: object) -> dict[str, object]:
    return milestone_terms(**{"legal_entity": "LE-US-01", "customer": ACME, **changes})


def by_the_hour(**changes: object) -> dict[str, object]:
    return tm_terms(**{"legal_entity": "LE-US-01", "customer": ACME, "rates": RATES, **changes})


def newcomer(number: str) -> dict[str, object]:
    return {"code": f"CUST-{number}", "name": f"Newcomer {number}", "tax_id": f"T-{number}", "country": "US"}


def sow(number: str, terms: dict[str, object]) -> dict[str, object]:
    return cloud_event(f"event-{number}", "signed.v1", signed(number, terms))


async def test_milestones_in_tryton_equal_the_signed_ones_and_are_invoiced_to_the_cent(
    firm: Firm, finance: Bookkeeper, number: str
) -> None:
    terms = fixed_fee()
    await firm.arrive(sow(number, terms))
    await (await firm.worker()).drain()
    assert await firm.states() == {number: "active"}

    key = f"clm/{number}"
    (project,) = finance.works(key, "name", "party.name", "project_invoice_method", "company.currency.code")
    assert (project["name"], project["project_invoice_method"]) == ("Claims platform rollout", "effort")
    assert cast("dict[str, object]", project["party."])["name"] == "Acme Corporation"
    tasks = finance.tasks(key, "M", "name", "list_price", "comment", "currency.code", "product.account_category.code")
    billing = [(t["name"], t["list_price"], str(t["comment"]).splitlines()[1]) for t in tasks]
    assert billing == [
        ("Design", Decimal("10000.00"), "Bill on: 2026-05-29"),
        ("Go-live", Decimal("15000.00"), "Bill on: 2026-09-30"),
    ]
    assert sum(cast("Decimal", t["list_price"]) for t in tasks) == total(terms)
    assert {cast("dict[str, object]", t["currency."])["code"] for t in tasks} == {"USD"}

    invoiced = Decimal(0)
    for task, amount in zip(tasks, (Decimal("10000.00"), Decimal("15000.00")), strict=True):
        finance.reach(cast("int", task["id"]))
        (invoice,) = finance.invoice(cast("int", project["id"]))
        assert (invoice["state"], invoice["untaxed_amount"]) == ("posted", amount)
        assert invoice["tax_amount"] == amount * TAX
        invoiced += amount
    assert invoiced == total(terms)


async def test_an_accountant_finds_the_terms_in_the_project(firm: Firm, finance: Bookkeeper, number: str) -> None:
    await firm.arrive(sow(number, by_the_hour()))
    await (await firm.worker()).drain()
    (project,) = finance.works(f"clm/{number}", "comment")
    assert str(project["comment"]).splitlines() == [
        f"clm:clm/{number}",
        "Billing: time_and_materials",
        "Contract value: 48000",
        "Not to exceed: 48000",
        "Starts on: 2026-04-01",
        "Ends on: 2026-12-31",
        "Payment terms: NET30",
        "Purchase order: PO-77",
        "---- kept by Tieline from the signed contract; write your own notes below this line ----",
    ]
    (line,) = finance.tasks(f"clm/{number}", "L", "name", "list_price", "product.account_category.code")
    category = cast("dict[str, dict[str, object]]", line["product."])["account_category."]["code"]
    assert (line["name"], line["list_price"], category) == ("Support", None, "TM-OVER-TIME")


async def test_hours_are_invoiced_at_the_signed_rates(firm: Firm, finance: Bookkeeper, number: str) -> None:
    await firm.arrive(sow(number, by_the_hour()))
    await (await firm.worker()).drain()
    assert await firm.states() == {number: "active"}
    key = f"clm/{number}"
    (project,) = finance.works(key, "project_invoice_method")
    assert project["project_invoice_method"] == "timesheet"
    tasks = finance.tasks(key, "R", "name", "list_price", "effort_duration", "product.code")
    rates = {
        cast("dict[str, str]", t["product."])["code"]: (t["name"], t["list_price"], t["effort_duration"]) for t in tasks
    }
    assert rates == {
        "SR-CONSULTANT": ("Senior", Decimal("240.00"), timedelta(hours=120.5)),
        "CONSULTANT": ("Consultant", Decimal("160.55"), timedelta(hours=80)),
    }
    for task, hours in zip(sorted(tasks, key=lambda t: str(t["name"])), ("7.25", "8"), strict=True):
        finance.book(cast("int", task["id"]), hours)
    (invoice,) = finance.invoice(cast("int", project["id"]))
    # 7.25 h at 160.55 are 1163.9875, rounded per line; 8 h at 240.
    assert invoice["untaxed_amount"] == Decimal("1163.99") + Decimal("1920.00")


async def test_two_contracts_of_one_new_customer_in_two_workers_make_one_party(
    firm: Firm, finance: Bookkeeper, number: str
) -> None:
    first, second = f"{number}a", f"{number}b"
    customer = newcomer(number)
    await firm.arrive(sow(first, fixed_fee(customer=customer)), sow(second, by_the_hour(customer=customer)))
    workers = [await firm.worker(), await firm.worker()]
    await asyncio.gather(*(worker.drain() for worker in workers))
    await firm.settle(*workers)
    assert await firm.states() == {first: "active", second: "active"}
    assert finance.count(Kind.CUSTOMER, f"CUST-{number}") == 1
    projects = [finance.works(f"clm/{n}", "party") for n in (first, second)]
    assert [len(found) for found in projects] == [1, 1]
    assert projects[0][0]["party"] == projects[1][0]["party"]


@pytest.mark.parametrize("kind", [Kind.CUSTOMER, Kind.PROJECT, Kind.MILESTONE])
async def test_a_create_that_was_obeyed_but_not_answered_leaves_one_object(
    firm: Firm, finance: Bookkeeper, number: str, kind: Kind
) -> None:
    transport = ForgetfulTransport()
    transport.lose_answer_of_create(kind)
    await firm.arrive(sow(number, fixed_fee(customer=newcomer(number))))
    worker = await firm.worker(transport)
    await worker.drain()
    assert transport.lost == 1
    assert await firm.states() != {number: "active"}
    await firm.settle(worker)
    assert await firm.states() == {number: "active"}
    key = f"clm/{number}"
    assert finance.count(Kind.CUSTOMER, f"CUST-{number}") == 1
    assert finance.count(Kind.PROJECT, key) == 1
    assert [finance.count(Kind.MILESTONE, f"{key}#M:{name}") for name in ("design", "golive")] == [1, 1]


async def test_an_amendment_and_a_termination_leave_what_was_invoiced_alone(
    firm: Firm, finance: Bookkeeper, number: str
) -> None:
    await firm.arrive(sow(number, fixed_fee()))
    worker = await firm.worker()
    await worker.drain()
    key = f"clm/{number}"
    (project,) = finance.works(key)
    design, _ = finance.tasks(key, "M")
    finance.bill_milestone(cast("int", design["id"]))

    golive = {"key": "golive", "name": "Go-live", "amount": "17000.00", "due_on": "2026-10-30", "line": "1"}
    changes = {
        "value": "27000.00",
        "lines": [{"key": "1", "description": "Rollout", "amount": "27000.00"}],
        "milestones": [golive],
    }
    header = {"number": 1, "executed_at": "2026-05-10T09:00:00Z"}
    amended = {"contract_id": number, "revision": 2, "amendment": header, "changes": changes}
    await firm.arrive(cloud_event(f"amended-{number}", "amended.v1", amended))
    await worker.drain()
    assert await firm.states() == {number: "active"}
    tasks = finance.tasks(key, "M", "list_price", "comment")
    assert [(t["list_price"], str(t["comment"]).splitlines()[1]) for t in tasks] == [
        (Decimal("10000.00"), "Bill on: 2026-05-29"),
        (Decimal("17000.00"), "Bill on: 2026-10-30"),
    ]

    ended = {"contract_id": number, "revision": 3, "ended_on": "2026-03-02"}
    await firm.arrive(cloud_event(f"ended-{number}", "terminated.v1", ended))
    await worker.drain()
    assert await firm.states() == {number: "ended"}
    (after,) = finance.works(key, "invoiced_amount", "amount_to_invoice", "status.progress")
    assert after["id"] == project["id"]
    assert (after["invoiced_amount"], after["amount_to_invoice"]) == (Decimal("10000.00"), 0)
    assert cast("dict[str, object]", after["status."])["progress"] == 1.0


async def test_a_customer_taxed_otherwise_than_agreed_holds_the_contract_before_the_first_write(
    firm: Firm, finance: Bookkeeper, number: str
) -> None:
    city = {"code": "CUST-CITY", "name": "City of Oakland", "tax_id": None, "country": "US"}
    await firm.arrive(sow(number, fixed_fee(customer=city)))  # its rule is US-EXEMPT, the contract says US-CA-STD
    await (await firm.worker()).drain()
    assert await firm.states() == {number: "blocked"}
    assert finance.works(f"clm/{number}") == []
