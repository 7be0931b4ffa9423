"""What a release says of its contract: stated, assumed from where a person would look, or a finding with its name."""

from datetime import UTC, date, datetime
from decimal import Decimal

import pytest

from sync_core.contract import Milestone, Stage
from sync_core.errors import InvalidEstate
from sync_core.ocds.findings import Finding, Why
from sync_core.ocds.organisations import LONGEST_KEY
from sync_core.ocds.reading import Statement, external_id
from tests.ocds.releases import Json, all_said, contract, finding, release, said


def of_contract(**changes: object) -> Json:
    return release(contracts=[contract(**changes)])


def test_a_whole_release_is_read_as_it_stands() -> None:
    one = said(release())
    terms = one.terms
    assert (one.external_id, one.stage, one.assumed) == ("ocds-test-1:1", Stage.SIGNED, ())
    assert one.signed_at == datetime(2025, 3, 3, 10, tzinfo=UTC)
    assert (terms.title, terms.customer.code, terms.customer.name) == (
        "Roof of the town hall",
        "B-1",
        "Town of Ashford",
    )
    assert (terms.value, terms.currency) == (Decimal("1200.50"), "USD")
    assert (terms.starts_on, terms.ends_on) == (date(2025, 4, 1), date(2025, 9, 30))
    assert terms.milestones == (Milestone("1", "Contract value", Decimal("1200.50"), date(2025, 9, 30)),)
    assert not terms.test


@pytest.mark.parametrize(
    ("amount", "currency", "value"),
    [
        (103990.0, "EUR", "103990.00"),
        (2809999872.0, "PYG", "2809999872"),
        ("1234.50", "eur", "1234.50"),
        (" 12 ", "USD", "12.00"),
        (1e3, "USD", "1000.00"),
        (12.345, "KWD", "12.345"),
        (3325.5499999999997, "EUR", "3325.55"),  # a program's sum of 3325.55
        (100.005, "EUR", "100.005"),  # really finer: kept, and the contract's check stops it
        (1000.5, "PYG", "1000.5"),
        (0, "USD", "0.00"),
    ],
)
def test_an_amount_is_the_files_to_the_minor_unit(amount: object, currency: str, value: str) -> None:
    terms = said(of_contract(value={"amount": amount, "currency": currency})).terms
    assert str(terms.value) == value
    assert sum(milestone.amount for milestone in terms.milestones) == terms.value


@pytest.mark.parametrize(
    ("value", "why"),
    [
        ({"amount": "1.234,50", "currency": "EUR"}, Why.AMOUNT_UNREADABLE),
        ({"amount": "1,234.50", "currency": "EUR"}, Why.AMOUNT_UNREADABLE),
        ({"amount": True, "currency": "EUR"}, Why.AMOUNT_UNREADABLE),
        ({"amount": [5], "currency": "EUR"}, Why.AMOUNT_UNREADABLE),
        ({"amount": 1e30, "currency": "EUR"}, Why.AMOUNT_UNREADABLE),
        ({"amount": 1e-30, "currency": "EUR"}, Why.AMOUNT_UNREADABLE),
        ({"amount": "Infinity", "currency": "EUR"}, Why.AMOUNT_UNREADABLE),
        ({"amount": -5, "currency": "EUR"}, Why.AMOUNT_NEGATIVE),
        ({"amount": 5}, Why.CURRENCY_MISSING),
        ({"amount": 5, "currency": "dollars"}, Why.CURRENCY_UNKNOWN),
        ({"currency": "EUR"}, Why.VALUE_MISSING),
        ({"amount": None, "currency": "EUR"}, Why.VALUE_MISSING),
        (None, Why.VALUE_MISSING),
        ("12 EUR", Why.VALUE_MISSING),
    ],
)
def test_money_that_nobody_could_map_is_a_finding_with_its_release(value: object, why: Why) -> None:
    found = finding(of_contract(value=value))
    assert (found.why, found.place.release_id, found.contract) == (why, "r-1", "1")
    assert len(found.message) > 20


def test_value_and_currency_are_taken_from_the_contracts_own_award() -> None:
    awards = [
        {"id": "A", "value": {"amount": 1, "currency": "EUR"}},
        {"id": "B", "value": {"amount": 70, "currency": "GBP"}},
    ]
    own = said(release(awards=awards, contracts=[contract(awardID="B", value=None)]))
    assert (own.terms.value, own.terms.currency) == (Decimal("70.00"), "GBP")
    assert any("award" in words for words in own.assumed)
    bare = said(release(awards=awards[1:], contracts=[contract(value={"amount": 5})]))
    assert (bare.terms.value, bare.terms.currency) == (Decimal("5.00"), "GBP")
    assert finding(release(awards=awards, contracts=[contract(value=None)])).why is Why.VALUE_MISSING  # which one?


def test_dates_that_are_missing_are_those_that_a_person_would_take() -> None:
    awards = [{"id": "A", "date": "2025-02-01T00:00:00Z", "contractPeriod": {"startDate": "2025-02-20"}}]
    bare = contract(dateSigned=None, period={"durationInDays": 30}, awardID="A")
    one = said(release(contracts=[bare], awards=awards))
    assert one.signed_at == datetime(2025, 2, 1, tzinfo=UTC)
    assert (one.terms.starts_on, one.terms.ends_on) == (date(2025, 2, 20), date(2025, 3, 22))

    published = contract(
        dateSigned=None,
        period=None,
        documents=[{"datePublished": "2025-02-09T00:00:00Z"}, {"datePublished": "2025-02-08"}],
    )
    one = said(release(contracts=[published]))
    assert (one.signed_at.date(), one.terms.starts_on, one.terms.ends_on) == (date(2025, 2, 8), date(2025, 2, 8), None)
    nothing = said(release(contracts=[contract(dateSigned=None, period=None)]))
    assert nothing.signed_at == datetime(2025, 3, 5, 12, tzinfo=UTC)
    assert nothing.given.isdisjoint({"signed_at", "starts_on", "ends_on"})


def test_a_date_is_the_publishers_calendar_day() -> None:
    offset = {"startDate": "2025-04-01T22:00:00-04:00", "endDate": "2025-12-31T23:00:00Z"}
    plain = said(of_contract(period=offset)).terms
    assert (plain.starts_on, plain.ends_on) == (date(2025, 4, 1), date(2025, 12, 31))
    there = said(of_contract(period=offset), timezone="Europe/Berlin").terms
    assert (there.starts_on, there.ends_on) == (date(2025, 4, 1), date(2026, 1, 1))


def test_no_date_of_a_system_counts_as_none() -> None:
    assert said(of_contract(dateSigned="0001-01-01T00:00:00Z")).given.isdisjoint({"signed_at"})
    assert said(release(date="2019-11-25T17:20:38.1197059Z")).published_at.microsecond == 119705


@pytest.mark.parametrize("written", ["05/06/2025", "soon", 20250605, "2025-13-01", {"a": 1}])
def test_a_date_that_could_mean_two_days_is_a_finding(written: object) -> None:
    for document in (
        of_contract(dateSigned=written),
        of_contract(period={"startDate": written}),
        release() | {"date": written},
    ):
        found = finding(document)
        assert found.why is Why.DATE_UNREADABLE
        assert "2026-11-23T09:30:00Z" in found.message


def test_an_end_before_the_start_is_a_contract_that_its_check_stops() -> None:
    terms = said(of_contract(period={"startDate": "2025-05-01", "endDate": "2025-04-01"})).terms
    assert terms.ends_on is not None
    assert terms.ends_on < terms.starts_on


def test_the_customer_is_found_where_publishers_name_it() -> None:
    party = {"id": "B-2", "name": "Port of Ashford", "roles": ["procuringEntity", "Buyer"],
             "identifier": {"scheme": "GB-COH", "id": "0123"}}  # fmt: skip
    customer = said(release(buyer=None, parties=[party])).terms.customer
    assert (customer.code, customer.name, customer.tax_id, customer.country) == ("B-2", "Port of Ashford", "0123", "GB")
    assert said(release(buyer={"id": "B-2"}, parties=[party])).terms.customer.name == "Port of Ashford"
    assert said(release(buyer={"name": "Town"})).terms.customer.code == "Town"
    tender = {"procuringEntity": {"id": 77, "name": "Board"}}
    assert said(release(buyer=None, tender=tender)).terms.customer.code == "77"
    none = said(release(buyer=None))
    assert (none.terms.customer.code, none.assumed) == ("", ("customer: none is named",))


def test_parties_are_mapped_by_the_estate() -> None:
    known = {"supplier:S-9": "GB01", "buyer:B-1": "CUST-7", "tax_code": "T-1", "payment_terms": "NET60"}
    consortium = [{"id": "S-1"}, {"id": "S-9"}]
    terms = said(of_contract(suppliers=consortium), **known).terms
    assert (terms.legal_entity, terms.customer.code, terms.tax.tax_code) == ("GB01", "CUST-7", "T-1")
    assert terms.billing.payment_terms == "NET60"
    assert (
        said(of_contract(suppliers={"identifier": {"id": "US01"}})).terms.legal_entity == "US01"
    )  # an object, as some write
    assert said(release(), legal_entity="US01").terms.legal_entity == "US01"
    stranger = said(release())
    assert (stranger.terms.legal_entity, stranger.supplier) == ("", "S-1")
    for wrong in ({"tax": "x"}, {"timezone": "Mars"}):
        with pytest.raises(InvalidEstate, match=next(iter(wrong))):
            said(release(), **wrong)


@pytest.mark.parametrize(
    ("status", "signed", "stage"),
    [
        ("pending", None, Stage.DRAFT),
        ("pending", "2025-03-03", Stage.SIGNED),
        ("cancelled", None, Stage.CANCELLED),
        ("Terminated", "2025-03-03", Stage.TERMINATED),
        ("active", None, Stage.SIGNED),
        (None, None, Stage.SIGNED),
        ("adjudicado", None, Stage.SIGNED),
    ],
)
def test_the_status_says_where_the_contract_stands(status: str | None, signed: str | None, stage: Stage) -> None:
    assert said(of_contract(status=status, dateSigned=signed)).stage is stage


def test_texts_of_others_are_one_visible_line_of_a_fair_length() -> None:
    terms = said(of_contract(title="a\x00b\u202ec\n" + "x" * 500)).terms
    assert terms.title.startswith("a\ufffdbc x")
    assert len(terms.title) == 200
    assert said(release(contracts=[contract(title=None)], tender={"title": "Roofs"})).terms.title == "Roofs"
    assert said(of_contract(title=None)).terms.title == "Contract 1"


def test_what_a_release_lacks_as_a_whole_is_one_finding() -> None:
    wrong: dict[Why, Json] = {
        Why.OCID_MISSING: release(ocid=None),
        Why.DATE_MISSING: release(date=None),
        Why.CONTRACT_ABSENT: release(contracts=[], tag=["award"]),
        Why.CONTRACT_ID_MISSING: release(contracts=[contract(), contract(id=None)]),
        Why.CONTRACT_ID_TWICE: release(contracts=[contract(), contract(id=1)]),
    }
    for why, document in wrong.items():
        assert finding(document).why is why
    assert "award" in finding(wrong[Why.CONTRACT_ABSENT]).message
    dated = {**release(date=None), "packageInfo": {"publishedDate": "2025-01-01T00:00:00Z"}}
    assert said(dated).published_at == datetime(2025, 1, 1, tzinfo=UTC)


def test_of_several_contracts_each_is_read_by_itself() -> None:
    three = [contract(id="a"), contract(id="b", value=None), contract(id="c")]
    read = all_said(release(contracts=three))
    assert [isinstance(one, Statement) for one in read] == [True, False, True]
    assert isinstance(read[1], Finding)
    assert read[1].contract == "b"


def test_an_id_here_is_readable_and_never_that_of_another() -> None:
    assert external_id("ocds-1", "1") != external_id("ocds-2", "1")
    assert external_id("ocds-1", "LP 40/1#x") != external_id("ocds-1", "LP 40/1#y")
    for hostile in ("x" * 5_000, "a#b", "a/b", "a\x00b", "\ud800", "ä ö"):
        found = external_id("ocds-1", hostile)
        assert len(found) <= LONGEST_KEY
        assert found.isprintable()
        assert not set("#/ ?%") & set(found)
