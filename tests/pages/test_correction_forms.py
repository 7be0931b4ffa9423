"""The form of every cause that is corrected here: drawn as the contract stands, it changes nothing by itself."""

from collections.abc import Mapping
from datetime import date

import orjson
import pytest
import sqlalchemy as sa

from sync_core.cases.ownership import CAUSES, fields_for
from sync_core.errors import Function
from sync_core.reads import Reads
from tests.commands import people
from tests.pages.repair import TERMS, shown, told
from tests.pages.stage import texts
from tests.reads.handmade import add_case, add_contract, add_event

RATES = [
    {"category": "SR", "name": "Senior", "rate": "240.00", "planned_hours": "3", "valid_from": "2026-11-01"},
    {"category": "JR", "name": "Junior", "rate": "160.50", "planned_hours": "0", "line": "1"},
]
BY_HOUR = {
    **TERMS,
    "billing": {"kind": "time_and_materials", "payment_terms": "NET30"},
    "milestones": [],
    "rates": RATES,
}
FORMS = [(cause, function.value) for cause in CAUSES for function in Function if fields_for(cause, function.value)]


def case_of(database: sa.Engine, cause: str, function: str, terms: Mapping[str, object]) -> int:
    data = {"contract_id": "F-1", "revision": 1, "signed_at": "2026-11-01T10:00:00Z", "terms": terms}
    add_event(database, "F-1", "com.tieline.contract.signed.v1", orjson.dumps(data).decode())
    return add_case(database, add_contract(database, external_id="F-1", state="blocked"), cause, function=function)


@pytest.mark.parametrize("terms", [TERMS, BY_HOUR], ids=["milestones", "by_hour"])
@pytest.mark.parametrize(("cause", "function"), FORMS)
def test_a_form_as_drawn_holds_the_contracts_own_values(
    cause: str, function: str, terms: Mapping[str, object], database: sa.Engine, nothing: Reads
) -> None:
    case = case_of(database, cause, function, terms)
    page = shown("exceptions", database, nothing, people.EVERYTHING, {"case": str(case)})
    assert [error.value for error in page.error] == []
    assert told(page) == ""
    assert "Change a value to see the contract before and after." in texts(page)


def test_a_legal_entity_that_is_none_of_the_estates_is_chosen_anew(database: sa.Engine, nothing: Reads) -> None:
    case = case_of(database, "legal_entity_unknown", "master_data", {**TERMS, "legal_entity": "XX01"})
    page = shown("exceptions", database, nothing, people.EVERYTHING, {"case": str(case)})
    assert told(page) == ""
    page.selectbox[0].select("GB01").run()
    assert "Mends this exception" in texts(page)


def test_a_date_is_chosen_and_shown_in_words(database: sa.Engine, nothing: Reads) -> None:
    case = case_of(database, "end_before_start", "legal", {**TERMS, "ends_on": "2026-10-01"})
    page = shown("exceptions", database, nothing, people.EVERYTHING, {"case": str(case)})
    page.date_input[1].set_value(date(2027, 3, 1)).run()
    tables = "\n".join(table.value.to_string() for table in page.table)
    assert "1 Oct 2026" in tables
    assert "1 Mar 2027" in tables
    assert "Mends this exception" in texts(page)
