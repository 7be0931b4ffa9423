"""The whole way with everything real: a signed webhook in, and what Tryton invoices in the end is what was signed.

`tieline api` and `tieline worker` are processes that know nothing but an estate file; Tryton is read, reached, booked
and invoiced by its own administrator. tests/acceptance/test_tryton_seed.py asks more, with the engine in the test.
"""

import uuid
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import cast

import pytest

from app.sandbox.tryton_entity import Customer
from sync_core.desired import Kind
from tests.acceptance.cloud_firm import WEBHOOK_SECRET, deliver, sow
from tests.acceptance.processes import House
from tests.acceptance.tryton_house import ACME, RATES, by_the_hour, estate, fixed_fee
from tests.databases import DatabaseUrls
from tests.sows import total
from tests.tryton_bookkeeper import Bookkeeper
from tests.tryton_server import RunningTryton

pytestmark = pytest.mark.xdist_group("tryton")

UNTAXED = {"code": "CUST-UNTAXED", "name": "Nobody Decided Ltd", "country": "US"}
TAX = Decimal("0.0825")
SOON_S = 30.0
_RECHECKED_S = 60.0  # a blocked contract looks again 30 s after it stopped

_CASES = "SELECT external_id, cause, function, c.state FROM core.case AS c JOIN core.contract USING (contract_id)"
_WRITES = """
    SELECT k.external_id, call ->> 0 FROM core.run AS r JOIN core.contract AS k USING (contract_id)
    CROSS JOIN LATERAL jsonb_array_elements(r.calls) AS call WHERE CAST(call ->> 5 AS boolean)
"""


@pytest.fixture
def number() -> str:
    return f"C-{uuid.uuid4().hex[:8]}"


@pytest.fixture
def finance(tryton: RunningTryton) -> Iterator[Bookkeeper]:
    with Bookkeeper(tryton.endpoint) as books:
        yield books


@pytest.fixture
def firm(tmp_path: Path, database_urls: DatabaseUrls, tryton: RunningTryton, number: str) -> Iterator[House]:
    at = tryton.endpoint
    with tryton.server.books() as books:
        books.fill(datetime.now(UTC).date())  # the worker's day is today, whose accounting period must be open
    with House(tmp_path, database_urls, {"FIRM_WEBHOOK": WEBHOOK_SECRET, "FIRM_ERP": at.password}) as house:
        house.estate.write_text(estate(at, new_entity=new_entity(number)))
        yield house


def new_entity(number: str) -> str:
    return f"LE-{number}"


def test_both_kinds_of_signed_work_are_invoiced_as_signed(firm: House, finance: Bookkeeper, number: str) -> None:
    fixed, hourly = f"{number}-F", f"{number}-H"
    api = firm.api()
    firm.worker()
    for name, terms in ((fixed, fixed_fee()), (hourly, by_the_hour())):
        assert deliver(api, sow(name, terms)).status_code == 202
    firm.until("both are active", lambda: firm.all_are("active", 2), within_s=SOON_S)
    _milestones_are_as_signed(finance, f"clm/{fixed}")
    _hours_are_as_signed(finance, f"clm/{hourly}")


def _milestones_are_as_signed(finance: Bookkeeper, key: str) -> None:
    (project,) = finance.works(key, "name", "party.name", "project_invoice_method")
    assert (project["name"], project["project_invoice_method"]) == ("Claims platform rollout", "effort")
    assert cast("dict[str, object]", project["party."])["name"] == ACME["name"]
    tasks = finance.tasks(key, "M", "name", "list_price", "comment")
    assert [(t["name"], t["list_price"], str(t["comment"]).splitlines()[1]) for t in tasks] == [
        ("Design", Decimal("10000.00"), "Bill on: 2026-05-29"),
        ("Go-live", Decimal("15000.00"), "Bill on: 2026-09-30"),
    ]
    invoiced = Decimal(0)
    for task in tasks:
        finance.reach(cast("int", task["id"]))
        (invoice,) = finance.invoice(cast("int", project["id"]))
        untaxed = cast("Decimal", invoice["untaxed_amount"])
        assert (invoice["state"], untaxed) == ("posted", task["list_price"])
        assert invoice["tax_amount"] == untaxed * TAX
        invoiced += untaxed
    assert invoiced == total(fixed_fee())


def _hours_are_as_signed(finance: Bookkeeper, key: str) -> None:
    (project,) = finance.works(key, "project_invoice_method")
    assert project["project_invoice_method"] == "timesheet"
    tasks = finance.tasks(key, "R", "name", "list_price", "effort_duration", "product.code")
    held = {cast("dict[str, str]", t["product."])["code"]: (t["list_price"], t["effort_duration"]) for t in tasks}
    assert held == {
        rate["category"]: (Decimal(rate["rate"]), timedelta(hours=float(rate["planned_hours"]))) for rate in RATES
    }
    hours = {"Senior": Decimal("8"), "Consultant": Decimal("7.25")}
    for task in tasks:
        finance.book(cast("int", task["id"]), str(hours[str(task["name"])]))
    (invoice,) = finance.invoice(cast("int", project["id"]))
    cent = Decimal("0.01")  # each line is rounded by itself
    signed = sum((Decimal(rate["rate"]) * hours[rate["name"]]).quantize(cent) for rate in RATES)
    assert invoice["untaxed_amount"] == signed


def test_what_the_erp_lacks_stops_a_contract_before_any_write_until_it_is_mended_there(
    firm: House, finance: Bookkeeper, tryton: RunningTryton, number: str
) -> None:
    nobody, nowhere, untaxed = f"{number}-C", f"{number}-E", f"{number}-T"
    stranger = {"code": f"CUST-{number}", "name": "Stranger Inc", "tax_id": f"T-{number}", "country": "US"}
    lacking = {
        nobody: (fixed_fee(customer=stranger), "customer_unknown", "master_data"),
        nowhere: (by_the_hour(legal_entity=new_entity(number)), "legal_entity_missing", "master_data"),
        untaxed: (fixed_fee(customer=UNTAXED), "customer_tax_profile_missing", "tax"),
    }
    with tryton.server.books() as books:
        books.set_tax_profile(UNTAXED["code"], None)
    api = firm.api()
    firm.worker()
    sows = [sow(name, terms) for name, (terms, _, _) in lacking.items()]
    assert deliver(api, *sows, batched=True).status_code == 202
    firm.until("all are blocked", lambda: firm.all_are("blocked", 3), within_s=SOON_S)
    assert set(firm.rows(_CASES)) == {(name, why, owner, "open") for name, (_, why, owner) in lacking.items()}
    assert firm.rows(_WRITES) == []
    assert [finance.works(f"clm/{name}") for name in lacking] == [[], [], []]
    assert finance.count(Kind.CUSTOMER, stranger["code"]) == 0

    with tryton.server.books() as books:
        books.add_customer(Customer(stranger["code"], stranger["name"], stranger["tax_id"], "US-CA-STD"))
        books.set_tax_profile(UNTAXED["code"], "US-CA-STD")
    _enter_code_of_company(finance, new_entity(number))
    try:
        firm.until("all go on by themselves", lambda: firm.all_are("active", 3), within_s=_RECHECKED_S)
    finally:
        with tryton.server.books() as books:
            books.set_tax_profile(UNTAXED["code"], None)  # as the other tests of this server know it
    assert [len(finance.works(f"clm/{name}")) for name in lacking] == [1, 1, 1]
    assert {state for *_, state in firm.rows(_CASES)} == {"resolved"}
    assert firm.ask("status").count("active") == 1


def _enter_code_of_company(finance: Bookkeeper, code: str) -> None:
    """Master data gives the company the code by which contracts name it."""
    (company,) = finance.rpc.rows("company.company", [["id", "=", finance.company]], ["party"])
    finance.rpc.create("party.identifier", {"party": company["party"], "code": code})
