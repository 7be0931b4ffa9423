"""Two systems that do not agree, on the exception's page: both values, a person's word, and what the CLM was told."""

import uuid
from typing import Any

import orjson
import pytest
import sqlalchemy as sa
from streamlit.testing.v1 import AppTest

from sync_core.authority import Actor, person
from sync_core.reads import Reads
from tests.commands import people
from tests.pages.repair import TERMS, press, shown, told
from tests.pages.stage import texts
from tests.pages.test_hostile import UNESCAPED
from tests.reads.handmade import add_case, add_contract, add_event, insert
from tests.rows import NOW

HOSTILE = "<img src=x> **b** $5"
LOOKS = person("aud@example.com", ["auditor"])


@pytest.fixture
def conflict(database: sa.Engine) -> int:
    return two_values(database)


def two_values(database: sa.Engine, *, part: str = "") -> int:
    """An exception with a conflict of two fields, of a milestone's amount too where its key is given; its id."""
    terms = {**TERMS, "tax": {"tax_code": "US-CA-STD"}}
    data = {"contract_id": "K-1", "revision": 1, "signed_at": "2026-11-01T10:00:00Z", "terms": terms}
    add_event(database, "K-1", "com.tieline.contract.signed.v1", orjson.dumps(data).decode())
    contract = add_contract(database, external_id="K-1", state="blocked", wanted_rev=1, done_rev=1)
    run = uuid.uuid4()
    sides: list[tuple[str, str, dict[str, str], dict[str, str]]] = [
        ("project", "crm/K-1", {"name": HOSTILE}, {"name": "Rollout"}),
        ("contract_line", "crm/K-1#L:1", {"revenue_account": "9999"}, {"revenue_account": "4000"}),
    ]
    if part:
        sides.append(("milestone", f"crm/K-1#M:{part}", {"amount": "900"}, {"amount": "15000"}))
    for step, (kind, key, found, wanted) in enumerate(sides):
        known: dict[str, Any] = {"system": "cloud", "kind": kind, "business_key": key, "ref": f"E{step}"}
        known["contract_id"] = contract
        theirs, ours = orjson.dumps(found).decode(), orjson.dumps(wanted).decode()
        insert(database, "crosswalk", "", state="confirmed", fields=theirs, agreed=ours, **known)
        insert(database, "operation", "", run_id=run, step=step, action="conflict", status="conflict", before=theirs,
               after=ours, error_class="ownership_conflict", started_at=NOW, finished_at=NOW, **known)  # fmt: skip
    return add_case(database, contract, "ownership_conflict", error_class="ownership_conflict",
                    function="finance_operations", message="two values", operation="plan.diff")  # fmt: skip


def case_page(database: sa.Engine, reads: Reads, actor: Actor, case: int) -> AppTest:
    return shown("exceptions", database, reads, actor, {"case": str(case)})


def said(page: AppTest) -> str:
    """As a person reads it."""
    return texts(page).replace("\\", "").replace("\u2060", "")


def cells(page: AppTest) -> str:
    return " ".join(str(table.value.to_dict("list")) for table in page.table).replace("\\", "")


def test_both_values_stand_side_by_side_with_the_owner(database: sa.Engine, nothing: Reads, conflict: int) -> None:
    page = case_page(database, nothing, LOOKS, conflict)
    assert "Two values of one field" in texts(page)
    seen = cells(page)
    assert all(part in seen for part in ("Project, name", "Rollout", HOSTILE, "CLM", "9999", "4000"))
    assert not page.radio, "who may not decide is shown the values and no choice"


def test_money_has_the_currency_of_the_contract_and_a_hostile_key_stays_text(
    database: sa.Engine, nothing: Reads
) -> None:
    hostile = "**k** :red[x] <b>"
    page = case_page(database, nothing, people.FINANCE, two_values(database, part=hostile))
    assert not page.exception
    assert all(part in cells(page) for part in ("$900.00", "$15,000.00", hostile))
    [label] = [radio.label for radio in page.radio if radio.label.startswith("Milestone")]
    assert hostile in label.replace("\\", "")
    assert UNESCAPED.search(label) is None


def test_the_erps_value_is_offered_to_whom_the_command_would_let_take_it(
    database: sa.Engine, nothing: Reads, conflict: int
) -> None:
    page = case_page(database, nothing, people.FINANCE, conflict)
    choices = {radio.label: list(radio.options) for radio in page.radio}
    assert choices["Project, name"] == ["Keep the contract's", "Not yet"], "the name is for legal to set"
    assert "for Legal to take into the contract: hand the exception over to Legal" in said(page)
    both = person("both@example.com", ["operator:finance_operations", "operator:legal"])
    page = case_page(database, nothing, both, conflict)
    choices = {radio.label: list(radio.options) for radio in page.radio}
    assert choices["Project, name"] == ["Keep the contract's", "Take the ERP's", "Not yet"]
    assert choices["Contract line 1, revenue account"] == ["Keep the contract's", "Not yet"]
    assert "The contract does not state it" in texts(page)


def test_a_decision_is_carried_out_and_told(database: sa.Engine, nothing: Reads, conflict: int) -> None:
    page = case_page(database, nothing, people.FINANCE, conflict)
    page = press(page, "Decide")
    assert told(page) == "Choose a value for at least one field."
    next(radio for radio in page.radio if radio.label == "Project, name").set_value("ours")
    next(radio for radio in page.radio if radio.label.startswith("Contract line")).set_value("ours")
    page.text_area(key=f"conflict_why_{conflict}").input("the contract says so")
    page = press(page, "Decide")
    assert told(page).startswith("Decided: 2 values of the contract to be written to the ERP.")
    with database.connect() as conn:
        kept = conn.execute(sa.text("SELECT kept FROM core.crosswalk ORDER BY kind DESC")).scalars().all()
    assert kept == [{"name": ["Rollout", HOSTILE]}, {"revenue_account": ["4000", "9999"]}]


@pytest.fixture
def alike(database: sa.Engine) -> int:
    return much_alike(database)


def much_alike(database: sa.Engine) -> int:
    """An exception of a customer that is much like one of master data; its id."""
    data = {"contract_id": "K-2", "revision": 1, "signed_at": "2026-11-01T10:00:00Z",
            "terms": {**TERMS, "customer": {"code": "NW", "name": f"Northwind Inc. {HOSTILE}"}}}  # fmt: skip
    add_event(database, "K-2", "com.tieline.contract.signed.v1", orjson.dumps(data).decode())
    contract = add_contract(database, external_id="K-2", state="blocked", customer_code="NW", done_rev=1)
    insert(database, "master_customer", system="mdm", mdm_id="M-7", code="CU-1", name=f"Northwind {HOSTILE}",
           folded="northwind", status="active", changed_at=NOW, recorded_at=NOW)  # fmt: skip
    detail = {
        "differences": [{"kind": "alike", "what": "mdm/M-7", "held": "CU-1 Northwind", "wanted": "x", "amount": "0"}]
    }
    return add_case(database, contract, "customer_near_duplicate", function="master_data", message="much like",
                    operation="check.contract", detail=orjson.dumps(detail).decode())  # fmt: skip


def test_a_person_says_which_customer_it_is(database: sa.Engine, nothing: Reads, alike: int) -> None:
    steward = person("md@example.com", ["operator:master_data"])
    page = case_page(database, nothing, steward, alike)
    assert "Is it the same customer?" in texts(page)
    assert all(part in cells(page) for part in ("M-7", "CU-1", "NW", HOSTILE))
    page = press(page, "Decide")
    assert told(page) == "Choose whether it is one of these customers."
    page.radio(key=f"customer_is_{alike}").set_value("mdm/M-7")
    page.text_area(key=f"customer_why_{alike}").input("the same firm")
    page = press(page, "Decide")
    assert told(page) == "NW is CU-1. Contracts that waited for it and look again: 1."
    page = case_page(database, nothing, steward, alike)
    assert "NW is CU-1: md@example.com decided it" in said(page)
    page.text_input(key=f"customer_back_{alike}_why").input("a namesake")
    page = press(page, "Take it back")
    assert told(page) == "Taken back. Contracts of NW that are planned again: 1."
    assert "An operator of master data may" in said(case_page(database, nothing, people.FINANCE, alike))


def test_a_hostile_name_of_master_data_stays_text(database: sa.Engine, nothing: Reads, alike: int) -> None:
    page = case_page(database, nothing, person("md@example.com", ["operator:master_data"]), alike)
    assert not page.exception
    [label] = [option for option in page.radio(key=f"customer_is_{alike}").options if "CU\\-1" in option]
    assert HOSTILE in label.replace("\\", "")
    assert UNESCAPED.search(label) is None


def test_the_contract_shows_what_its_clm_was_told(database: sa.Engine, nothing: Reads) -> None:
    contract = add_contract(database, took=1.0)
    said = {"status": "active", "project_ref": "PRJ-1", "erp": "cloud", "note": HOSTILE, "revision": 4,
            "billing": {"currency": "USD", "billed": "1500.00", "paid": "500.00", "disputed": "0",
                        "next_bill_on": "2026-12-01"},
            "values": {"po_number": "PO-9", "milestones[design].amount": "900"}}  # fmt: skip
    insert(database, "told", contract_id=contract, told_at=NOW, said=orjson.dumps(said).decode())
    page = shown("contract", database, nothing, people.EVERYTHING, {"id": str(contract)})
    assert "Told to the CLM" in texts(page)
    seen = cells(page)
    assert all(
        part in seen for part in ("PRJ-1 in cloud", "$1,500.00", "$500.00", "1 Dec 2026", "PO-9", "$900.00", HOSTILE)
    )
    assert "Disputed" not in seen
