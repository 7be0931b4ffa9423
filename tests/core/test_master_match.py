"""Which master record a customer is; names that are alike; what is said of it."""

from dataclasses import replace
from datetime import date

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sync_core.contract import Contract, Party
from sync_core.derive import derive
from sync_core.events import Event, understand
from sync_core.master.match import Identified, Masters, Match, Record, identify, match
from sync_core.master.names import alike, folded, similar, tax_key
from tests.folds import fold
from tests.sows import SIGNED_AT, SOURCE, estate, milestone_terms, signed

HARBOUR = Record("mdm", "M-1", "CUST-1", "Harbour Mutual Inc.", "US-99-1", "US")
BRACKEN = Record("mdm", "M-2", "CUST-2", "Brackenfield Water Ltd", "GB-1", "GB")
DAY = date(2026, 6, 1)
ESTATE = estate()


def masters(*records: Record, **more: object) -> Masters:
    return Masters({record.id: record for record in records}, **more)  # type: ignore[arg-type]


def party(code: str = "X", name: str = "Nobody", **more: str) -> Party:
    return Party(code, name, **more)


@pytest.mark.parametrize(
    ("stated", "is_"),
    [
        pytest.param(party(mdm_id="M-2", code="CUST-1", tax_id="US-99-1"), "M-2", id="its own id before all else"),
        pytest.param(party(code="CUST-2", tax_id="us 99.1"), "M-1", id="the tax number before the code"),
        pytest.param(party(code="CUST-2"), "M-2", id="the code"),
        pytest.param(party(mdm_id="M-9", code="CUST-2"), "M-2", id="an id that is not known says nothing"),
        pytest.param(party(tax_id="--"), None, id="a number without digits is none"),
        pytest.param(party(), None, id="nobody"),
    ],
)
def test_what_identifies_a_customer(stated: Party, is_: str | None) -> None:
    found = match(stated, masters(HARBOUR, BRACKEN)).record
    assert (found.mdm_id if found else None) == is_


def test_one_number_of_several_records_identifies_none_but_by_its_code() -> None:
    twin = replace(HARBOUR, mdm_id="M-3", code="CUST-3", name="Harbour Mutual Services")
    known = masters(HARBOUR, twin)
    by_code = match(party(code="CUST-3", tax_id="US-99-1"), known).record
    assert by_code == twin
    neither = match(party(code="NEW", tax_id="US-99-1"), known)
    assert neither.record is None
    assert neither.near == (HARBOUR, twin), "a person says which"


def test_a_merged_record_stands_for_its_survivor_even_in_a_ring() -> None:
    first = replace(HARBOUR, merged_into="M-2", status="closed")
    second = replace(BRACKEN, merged_into="M-3")
    third = replace(BRACKEN, mdm_id="M-3", code="CUST-3")
    assert match(party(code="CUST-1"), masters(first, second, third)).record == third
    ring = masters(first, replace(BRACKEN, merged_into="M-1"))
    assert match(party(code="CUST-1"), ring).record is not None
    assert match(party(code="CUST-1"), masters(first)).record == first, "the survivor has not been received yet"


@pytest.mark.parametrize(
    ("name", "country", "near"),
    [
        ("Harbor Mutual", "US", True),
        ("HARBOUR  MUTUAL, L.L.C.", "us", True),
        ("Mutual Harbour", "US", True),
        ("Harbour Mutual", None, True),
        ("Harbour Mutual", "GB", False),
        ("Harbour Foods", "US", False),
        ("Harbour Mutual 2", "US", False),
        ("", "US", False),
    ],
)
def test_names_that_are_alike(name: str, country: str | None, near: bool) -> None:
    found = match(Party("NEW", name, country=country), masters(HARBOUR))
    assert found.record is None
    assert bool(found.near) is near


def test_what_a_person_decided_holds() -> None:
    stated = party(code="NEW", name="Harbor Mutual", country="US")
    assert match(stated, masters(HARBOUR)).near
    assert match(stated, masters(HARBOUR, decided={"NEW": HARBOUR.id})).record == HARBOUR
    other = match(stated, masters(HARBOUR, decided={"NEW": None}))
    assert (other.record, other.near) == (None, ())


@pytest.mark.parametrize(
    ("stated", "known", "near"),
    [
        pytest.param(party(code="NEW"), masters(HARBOUR, taken_back={"NEW": HARBOUR.id}), ("M-1",), id="what it was"),
        pytest.param(party(code="NEW"), masters(HARBOUR, taken_back={"NEW": None}), (), id="nothing like it"),
        pytest.param(party(code="NEW", name="Harbor Mutual"), masters(HARBOUR, taken_back={"NEW": None}), ("M-1",),
                     id="a name that is alike"),
        pytest.param(party(code="CUST-2", tax_id="US-99-1"), masters(BRACKEN, HARBOUR, taken_back={"CUST-2": None}),
                     ("M-1", "M-2"), id="those of its number and of its code"),
        pytest.param(party(code="NEW"), masters(replace(HARBOUR, merged_into="M-2"), BRACKEN,
                                                taken_back={"NEW": HARBOUR.id}), ("M-2",), id="who stands for it now"),
    ],
)  # fmt: skip
def test_what_was_taken_back_is_a_persons_to_say_whatever_is_known(
    stated: Party, known: Masters, near: tuple[str, ...]
) -> None:
    found = match(stated, known)
    assert (found.record, found.held, tuple(one.mdm_id for one in found.near)) == (None, True, near)
    assert match(replace(stated, mdm_id="M-2"), known).record == known.customers.get(BRACKEN.id)


def test_what_was_taken_back_stops_a_contract_even_where_nothing_is_alike() -> None:
    [found] = identify(contract(name="Nobody"), masters(BRACKEN, taken_back={"OLD": None}), owned=True, on=DAY).findings
    assert found.cause == "customer_near_duplicate"
    assert found.message.endswith("was taken back; say again that it is a customer of its own")


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Müller & Söhne GmbH", "Mueller und Soehne"),
        ("Ærø Shipping A/S", "Aero Shipping"),
        ("The Limited Co.", "the limited co"),
    ],
)
def test_spelling_and_legal_forms_tell_nobody_apart(one: str, other: str) -> None:
    assert similar(folded(one), folded(other)) > 0.8


@given(st.text(), st.text())
def test_likeness_is_of_two_and_of_no_order(one: str, other: str) -> None:
    first, second = folded(one), folded(other)
    assert similar(first, second) == similar(second, first)
    assert 0 <= similar(first, second) <= 1
    assert alike(first, "US", first, "US") is bool(first)
    assert folded(folded(one)) == folded(one)


@given(st.text())
def test_a_tax_number_is_compared_without_what_separates(text: str) -> None:
    key = tax_key(text)
    assert key is None or key.isalnum()
    assert tax_key(f" {text}.") == key


def event(kind: str, data: dict[str, object]) -> Event:
    name = f"com.tieline.contract.{kind}.v1"
    return Event(SOURCE, kind, name, SIGNED_AT, understand(name, orjson.dumps(data)))


def signature(**customer: str) -> Event:
    named = {"code": "OLD", "name": "Harbor Mutual", "country": "US", **customer}
    return event("signed", signed("C-1", milestone_terms(customer=named)))


def contract(**customer: str) -> Contract:
    return fold([signature(**customer)])


def customer_of(known: Identified) -> Party:
    assert known.contract.terms is not None
    return known.contract.terms.customer


def test_a_contract_goes_on_with_the_masters_customer_and_its_clm_is_told() -> None:
    known = identify(contract(tax_id="us991"), masters(HARBOUR), owned=True, on=DAY)
    assert customer_of(known) == Party("CUST-1", "Harbour Mutual Inc.", "US-99-1", "US", "M-1")
    assert known.values == {"customer.code": "CUST-1", "customer.name": "Harbour Mutual Inc.",
                            "customer.tax_id": "US-99-1"}  # fmt: skip
    by_clm = identify(contract(tax_id="us991"), masters(HARBOUR), owned=False, on=DAY)
    assert customer_of(by_clm) == Party("CUST-1", "Harbor Mutual", "us991", "US", "M-1")
    assert by_clm.values == {"customer.code": "CUST-1"}


@pytest.mark.parametrize(
    ("known", "cause"),
    [
        (masters(HARBOUR), "customer_near_duplicate"),
        (masters(replace(HARBOUR, code="OLD", status="blocked")), "customer_inactive"),
        (masters(BRACKEN, entities={"US01": "closed"}), "legal_entity_closed"),
    ],
)
def test_what_master_data_says_stops_a_contract(known: Masters, cause: str) -> None:
    found = identify(contract(), known, owned=True, on=DAY).findings
    assert [finding.cause for finding in found] == [cause]


def test_without_master_data_nothing_is_asked() -> None:
    plain = contract()
    assert identify(plain, None, owned=True, on=DAY) == Identified(plain)
    assert identify(plain, masters(BRACKEN), owned=True, on=DAY).findings == ()


def moving(day: str, **customer: str) -> Contract:
    """Signed for CLM-7; from `day` on another customer's."""
    header = {"number": 1, "executed_at": SIGNED_AT.isoformat(), "effective_on": day}
    changes = {"customer": {"code": "CLM-9", "name": "Brackenfield", **customer}}
    data = {"contract_id": "C-1", "revision": 2, "amendment": header, "changes": changes}
    return fold([signature(code="CLM-7", tax_id="US-99-1"), event("amended", data)])


@pytest.mark.parametrize(
    ("on", "code"),
    [pytest.param(DAY, "CUST-1", id="before"), pytest.param(date(2026, 12, 1), "CUST-2", id="from then")],
)
def test_a_customer_that_is_replaced_from_a_day_on_is_the_masters_until_then_too(on: date, code: str) -> None:
    known = identify(moving("2026-12-01", tax_id="GB-1"), masters(HARBOUR, BRACKEN), owned=True, on=on)
    project = derive(known.contract, ESTATE, on=on).project
    assert project is not None
    assert (project.customer, known.values["customer.code"]) == (code, code)
    assert known.record is not None
    assert known.record.code == code


def test_what_is_said_of_a_customer_is_said_of_the_one_of_the_day() -> None:
    blocked = replace(BRACKEN, status="blocked")
    coming = moving("2026-12-01", tax_id="GB-1")
    before = identify(coming, masters(HARBOUR, blocked), owned=True, on=DAY)
    then = identify(coming, masters(HARBOUR, blocked), owned=True, on=date(2026, 12, 1))
    assert (before.findings, [one.cause for one in then.findings]) == ((), ["customer_inactive"])


@pytest.mark.parametrize(
    ("stated", "known", "near"),
    [
        pytest.param(party(code="CUST-1", tax_id="12-3", country="US"),
                     masters(replace(BRACKEN, tax_id="123"), replace(HARBOUR, code="OLD", tax_id=None)), (),
                     id="the number of another country"),
        pytest.param(party(tax_id="12-3", country="GB"), masters(replace(BRACKEN, tax_id="123", country=None)),
                     ("M-2",), id="a number of who knows which country"),
        pytest.param(party(mdm_id="M-1"), masters(HARBOUR, replace(BRACKEN, system="other", mdm_id="M-1")),
                     ("M-1", "M-1"), id="two systems with one id"),
        pytest.param(party(code="CUST-1"), masters(HARBOUR, replace(BRACKEN, code="CUST-1")), ("M-1", "M-2"),
                     id="one code twice"),
        pytest.param(party(code="CUST-2", tax_id="US-99-1"), masters(HARBOUR, replace(HARBOUR, mdm_id="M-3"), BRACKEN),
                     ("M-1", "M-3"), id="one number twice, whomever the code names besides"),
    ],
)  # fmt: skip
def test_what_several_records_share_identifies_none(stated: Party, known: Masters, near: tuple[str, ...]) -> None:
    found = match(stated, known)
    assert found.record is None
    assert tuple(record.mdm_id for record in found.near) == near


def test_what_several_records_share_is_told_apart_by_the_code_and_by_a_person() -> None:
    other = replace(BRACKEN, system="other", mdm_id="M-1")
    assert match(party(mdm_id="M-1", code="CUST-2"), masters(HARBOUR, other)).record == other
    decided = masters(HARBOUR, other, decided={"X": other.id})
    assert match(party(mdm_id="M-1"), decided).record == other
    assert match(party(mdm_id="M-1"), masters(HARBOUR, other, decided={"X": None})) == Match()
    merged = replace(HARBOUR, code="CUST-2", merged_into="M-2")
    assert match(party(code="CUST-2"), masters(merged, BRACKEN)).record == BRACKEN, "both are one"
