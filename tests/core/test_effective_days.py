"""What an amendment changes from a day on: invoices of before keep their head and their price."""

from dataclasses import replace
from datetime import date

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sync_core.contract import Contract
from sync_core.derive import derive
from sync_core.desired import Kind, fields_of
from sync_core.events import OWN_ID, Event
from sync_core.life.lifecycle import on_day
from sync_core.life.silent import accepting
from tests.core.test_fold_properties import START, event, signing
from tests.folds import fold
from tests.sows import estate, milestone_terms, tm_terms

ESTATE = estate()
BEFORE, FROM, LATER = date(2026, 5, 31), date(2026, 6, 1), date(2026, 7, 1)


def amending(number: int, since: date | None, **changes: object) -> Event:
    header = {"number": number, "executed_at": START.isoformat(), "effective_on": since.isoformat() if since else None}
    return event("amended", number + 1, {"amendment": header, "changes": changes})


def po(contract: Contract, on: date) -> object:
    project = derive(contract, ESTATE, on=on).project
    assert project is not None
    return project.po_number


def test_a_purchase_order_from_a_day_on_heads_no_invoice_of_before() -> None:
    contract = fold([signing(1), amending(1, FROM, po_number="PO-2", value="26000.00")])
    assert (po(contract, BEFORE), po(contract, FROM)) == ("PO-77", "PO-2")
    assert derive(contract, ESTATE, on=BEFORE).changes_on == FROM
    assert on_day(contract, FROM).contract.terms == contract.terms
    early = derive(contract, ESTATE, on=BEFORE).project
    assert early is not None
    assert early.value == 26000  # being early with the value bills nothing


@pytest.mark.parametrize("since", [None, date(2026, 1, 1)])
def test_what_holds_at_once_or_since_long_is_applied_whole(since: date | None) -> None:
    contract = fold([signing(1), amending(1, since, po_number="PO-2", tax={"exempt": True})])
    assert on_day(contract, BEFORE).contract.terms == contract.terms


def rates(contract: Contract, on: date) -> dict[str, object]:
    objects = derive(contract, ESTATE, on=on).objects
    return {o.key.partition(":")[2]: fields_of(o)["rate"] for o in objects if o.kind is Kind.LABOUR_RATE}


def test_rates_without_a_first_day_hold_from_the_day_of_their_amendment() -> None:
    history = [event("signed", 1, {"signed_at": START.isoformat(), "terms": tm_terms()})]
    dearer = {"category": "SR", "name": "Senior consultant", "rate": "260.00", "planned_hours": "120", "line": "1"}
    added = {"category": "PM", "name": "Manager", "rate": "300.00", "planned_hours": "10", "line": "1"}
    contract = fold([*history, amending(1, FROM, rates=[dearer, added], remove_rates=["JR"])])
    assert rates(contract, BEFORE) == {"SR": "240", "JR": "160"}
    assert rates(contract, FROM) == {"SR": "260", "PM": "300"}


def test_amendments_of_one_term_make_one_line_of_time() -> None:
    first, second = amending(1, LATER, po_number="PO-1"), amending(2, FROM, po_number="PO-2")
    contract = fold([signing(1), first, second])
    assert [po(contract, day) for day in (BEFORE, FROM, LATER)] == ["PO-77", "PO-2", "PO-2"]
    other = fold([signing(1), amending(1, FROM, po_number="PO-1"), amending(2, LATER, po_number="PO-2")])
    assert [po(other, day) for day in (BEFORE, FROM, LATER)] == ["PO-77", "PO-1", "PO-2"]
    at_once = fold([signing(1), first, amending(2, None, po_number="PO-3")])
    assert [po(at_once, day) for day in (BEFORE, LATER)] == ["PO-3", "PO-3"]


@pytest.mark.parametrize("own", [{}, {"title": "As the CLM calls it"}], ids=["as before", "in its own words"])
def test_a_contract_that_is_published_again_keeps_what_waits_for_its_day(own: dict[str, str]) -> None:
    amended = amending(1, FROM, po_number="PO-2")
    corrected = replace(event("corrected", 3, {"overrides": 2, "changes": {"title": "Ours"}}), id=f"{OWN_ID}1")
    again = event("signed", 4, {"signed_at": START.isoformat(), "terms": milestone_terms(po_number="PO-2", **own)})
    contract = fold([signing(1), amended, corrected, again])
    assert contract.terms is not None
    assert contract.terms.title == own.get("title", "Ours")
    assert (po(contract, BEFORE), po(contract, FROM)) == ("PO-77", "PO-2")


def test_what_the_clm_states_in_its_own_way_holds_at_once() -> None:
    corrected = replace(event("corrected", 3, {"overrides": 2, "changes": {"po_number": "PO-9"}}), id=f"{OWN_ID}1")
    again = event("signed", 4, {"signed_at": START.isoformat(), "terms": milestone_terms(po_number="PO-3")})
    contract = fold([signing(1), amending(1, FROM, po_number="PO-2"), corrected, again])
    assert (po(contract, BEFORE), po(contract, FROM)) == ("PO-3", "PO-3")


def test_a_new_signature_after_an_end_waits_for_nothing() -> None:
    ended = event("terminated", 3, {"ended_on": "2026-04-20"})
    contract = fold([signing(1), amending(1, FROM, po_number="PO-2"), ended, signing(4, po_number="PO-4")])
    assert contract.dated == ()
    assert (po(contract, BEFORE), po(contract, FROM)) == ("PO-4", "PO-4")


NET90 = {"kind": "milestones", "payment_terms": "NET90"}


@pytest.mark.parametrize("end", [
    event("terminated", 3, {"ended_on": "2026-05-30"}),
    event("renewal_declined", 3, {"declined_on": "2026-04-10"}),
], ids=["terminated", "expired"])  # fmt: skip
def test_a_contract_that_ended_before_the_day_never_takes_on_what_was_to_hold_then(end: Event) -> None:
    first = signing(1, ends_on="2026-05-30", renewal={"renews_on": "2026-06-01"})
    contract = fold([first, amending(1, FROM, po_number="PO-2", billing=NET90), end])
    for day in (date(2026, 5, 29), date(2026, 5, 31), FROM, LATER):
        project = derive(contract, ESTATE, on=day).project
        assert project is not None, "the design is left to bill"
        assert (project.po_number, project.payment_terms) == ("PO-77", "NET30")
    late = fold([first, amending(1, date(2026, 5, 1), po_number="PO-2"), end])
    assert po(late, LATER) == "PO-2"


SENIOR = {"category": "SR", "name": "Senior consultant", "rate": "240.00", "planned_hours": "120", "line": "1"}
DEARER = {**SENIOR, "rate": "260.00"}


def own(revision: int, **changes: object) -> Event:
    made = event("corrected", revision, {"overrides": revision - 1, "changes": changes})
    return replace(made, id=f"{OWN_ID}{revision}")


def senior(contract: Contract, on: date) -> tuple[object, object]:
    objects = derive(contract, ESTATE, on=on).objects
    [found] = [fields_of(o) for o in objects if o.kind is Kind.LABOUR_RATE and o.key.endswith("SR")]
    return found["rate"], found["planned_hours"]


def test_a_correction_of_one_field_leaves_the_day_of_the_others() -> None:
    history = [
        event("signed", 1, {"signed_at": START.isoformat(), "terms": tm_terms()}),
        amending(1, FROM, rates=[DEARER]),
    ]
    contract = fold([*history, own(3, rates=[{**DEARER, "planned_hours": "140"}])])
    assert [senior(contract, day) for day in (BEFORE, FROM)] == [("240", "140"), ("260", "140")]
    at_once = fold([*history, own(3, rates=[{**DEARER, "rate": "250.00"}])])
    assert [senior(at_once, day) for day in (BEFORE, FROM)] == [("250", "120"), ("250", "120")]
    assert derive(at_once, ESTATE, on=BEFORE).changes_on is None
    said_again = fold([*history, own(3, rates=[DEARER])])
    assert senior(said_again, BEFORE) == ("260", "120"), "who says it again says it of now"


def test_terms_of_payment_wait_though_another_field_of_the_billing_is_corrected() -> None:
    history = [signing(1), amending(1, FROM, billing=NET90, tax={"tax_code": "US-2"})]
    corrected = own(3, billing={**NET90, "invoice_frequency": "quarterly"}, tax={"tax_code": "US-2", "exempt": True})
    contract = fold([*history, corrected])
    found = {}
    for day in (BEFORE, FROM):
        terms = on_day(contract, day).contract.terms
        assert terms is not None
        found[day] = (
            terms.billing.payment_terms,
            terms.billing.invoice_frequency,
            terms.tax.tax_code,
            terms.tax.exempt,
        )
    assert found == {BEFORE: ("NET30", "quarterly", "US-CA-STD", True), FROM: ("NET90", "quarterly", "US-2", True)}


def test_a_customer_that_is_replaced_on_a_day_keeps_its_own_details_until_then() -> None:
    new = {"code": "CUST-2", "name": "Wattle", "country": "AU"}
    contract = fold([signing(1), amending(1, FROM, customer=new), own(3, customer={**new, "tax_id": "AU-1"})])
    parties = [on_day(contract, day).contract.terms.customer for day in (BEFORE, FROM)]  # type: ignore[union-attr]
    assert [(one.code, one.tax_id) for one in parties] == [("CUST-1", "US-99-1"), ("CUST-2", "AU-1")]


def test_what_was_published_silently_and_is_accepted_waits_for_the_day_of_its_term() -> None:
    stated = {**NET90, "payment_terms": "NET45", "invoice_frequency": "quarterly"}
    published = signing(3, po_number="PO-3", billing=stated)
    history = [signing(1), amending(1, FROM, po_number="PO-2", billing=NET90), published]
    data = orjson.loads(orjson.dumps(accepting(fold(history)), default=str))
    contract = fold([*history, own(4, **data)])
    assert contract.silent == ()
    assert [po(contract, day) for day in (BEFORE, FROM)] == ["PO-77", "PO-3"]
    billed = [on_day(contract, day).contract.terms.billing for day in (BEFORE, FROM)]  # type: ignore[union-attr]
    assert [(one.payment_terms, one.invoice_frequency) for one in billed] == [
        ("NET30", "quarterly"), ("NET45", "quarterly"),
    ]  # fmt: skip


DAYS = st.none() | st.dates(date(2026, 4, 1), date(2026, 12, 31))


@settings(max_examples=150, deadline=None)
@given(st.lists(st.tuples(DAYS, st.sampled_from(["PO-1", "PO-2", "PO-3", None])), max_size=5), st.dates(
    date(2026, 4, 1), date(2027, 1, 31)))  # fmt: skip
def test_of_each_day_the_last_amendment_that_holds_by_then_counts(
    drawn: list[tuple[date | None, str | None]], on: date
) -> None:
    history = [amending(n, since, po_number=value) for n, (since, value) in enumerate(drawn, 1)]
    wanted: str | None = "PO-77"
    for since, value in drawn:
        if since is None or since <= on:
            wanted = value
    contract = fold([signing(1), *history])
    found = on_day(contract, on).contract.terms
    assert found is not None
    assert found.po_number == wanted
