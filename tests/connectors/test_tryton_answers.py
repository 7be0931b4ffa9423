"""Tryton's wire, comments and refusals, without a server."""

from collections.abc import Callable
from datetime import date, datetime, timedelta
from decimal import Decimal

import httpx
import pytest

from sync_core.clock import SystemClock
from sync_core.connectors import discovery
from sync_core.connectors.answers import Json, Response, Row, Unexplained, Verdicts, exact_json
from sync_core.connectors.erp.tryton.looking import Charging
from sync_core.connectors.erp.tryton.master_data import Category, Tax
from sync_core.connectors.erp.tryton.note import Note, of_contract
from sync_core.connectors.erp.tryton.refusals import judge
from sync_core.connectors.erp.tryton.wire import Value, decode, encode
from sync_core.desired import UNDECIDED
from sync_core.errors import (
    ErpAmbiguous,
    ErpAnswerIncomplete,
    ErpCredentials,
    ErpError,
    ErpRejected,
    ErpUnavailable,
    InvalidEstate,
)
from sync_core.estate.estate import Erp
from sync_core.keys import BusinessKey
from tests.contracts.cases import Lane

KEY = BusinessKey("crm/C_1%#M:design")


@pytest.mark.parametrize(
    ("value", "wire"),
    [
        (Decimal("10.10"), {"__class__": "Decimal", "decimal": "10.10"}),
        (timedelta(hours=1.5), {"__class__": "timedelta", "seconds": 5400.0}),
        (date(2026, 5, 29), {"__class__": "date", "year": 2026, "month": 5, "day": 29}),
        ([True, None, "x", {"n": 1}], [True, None, "x", {"n": 1}]),
    ],
)
def test_values_go_out_in_trytons_types(value: Value, wire: Json) -> None:
    assert encode(value) == wire


def test_a_moment_goes_out_and_comes_back_as_text_that_sorts() -> None:
    moment = datetime(2026, 6, 1, 9, 0, 0, 5)  # noqa: DTZ001 - as Tryton has it
    wire = encode(moment)
    assert isinstance(wire, dict)
    body = str(wire).replace("'", '"').encode()
    assert decode(body) == "2026-06-01T09:00:00.000005"


def test_amounts_and_durations_come_in_exact() -> None:
    body = b'{"a": {"__class__": "Decimal", "decimal": "0.10"}, "b": {"__class__": "timedelta", "seconds": 433800.0}}'
    assert decode(body) == {"a": Decimal("0.10"), "b": Decimal("433800.000000")}


@pytest.mark.parametrize(("parse", "value"), [
    (decode, '{"__class__": "Decimal", "decimal": "much"}'), (decode, '{"__class__": "Decimal"}'),
    (decode, '{"__class__": "timedelta", "seconds": 1e300}'), (decode, '{"__class__": "date", "year": 2026}'),
    (decode, "1e99999999999999999999"), (exact_json, "1e99999999999999999999"),
])  # fmt: skip
def test_a_value_that_can_be_none_is_an_answer_that_cannot_be_read(parse: Callable[[bytes], Json], value: str) -> None:
    verdicts = Verdicts("tryton", SystemClock(), lambda said: None, parse, retry_after_means_unwritten=False)
    for write, kind in ((False, ErpAnswerIncomplete), (True, ErpAmbiguous)):
        with pytest.raises(kind, match="no JSON"):
            verdicts.answer(httpx.Response(200, content=value.encode()), write)


@pytest.mark.parametrize("given", [Decimal("NaN"), Decimal("-Infinity"), Decimal("1e18"), "-1e18", "1e40", "much"])
def test_an_amount_that_can_be_none_is_named(given: Decimal | str) -> None:
    with pytest.raises(ErpAnswerIncomplete, match="'amount'"):
        Row("tryton", {"amount": given}).decimal("amount")
    most = Decimal(10**18 - 1)
    assert Row("tryton", {"amount": most}).decimal("amount") == most


def test_a_note_keeps_any_value_and_peoples_own_words() -> None:
    note = Note(KEY, {}, "my words\nBill on: never").with_fields({"bill_on": "2026-05-29", "po_number": " a\\n\nb "})
    read = Note.read(note.text)
    assert read == note
    assert Note.read(note.text.replace("\n", "\r\n")) == note
    assert note.with_fields({"bill_on": None, "po_number": None}).text.splitlines()[0] == f"clm:{KEY}"


@pytest.mark.parametrize("comment", [None, "", "Bill on: 2026-05-29", "see clm:crm/1"])
def test_a_comment_of_other_people_is_no_note(comment: str | None) -> None:
    assert Note.read(comment) is None


def test_the_search_for_a_contract_takes_its_key_literally() -> None:
    _, exact, *likes = of_contract(BusinessKey("crm/C_1%"))
    assert exact == ["comment", "=", "clm:crm/C_1%"]
    assert likes[0] == ["comment", "like", "clm:crm/C\\_1\\%\n%"]


@pytest.mark.parametrize(
    ("error", "write", "kind", "words"),
    [
        (["UserError", ["Period is closed.", "Open it.", None]], True, ErpRejected, "Period is closed. Open it."),
        (["UserError", ['You are not allowed to access "Invoice".', "", None]], False, ErpCredentials, "Invoice"),
        (["UserError", ["You are not allowed to delete: invoiced", "", None]], True, ErpRejected, "invoiced"),
        (["UserWarning", ["name", "Are you sure?", "Really"]], True, ErpRejected, "Are you sure? Really"),
        (["ConcurrencyException", "Records were modified"], True, ErpUnavailable, "Records were modified"),
        (["LoginException", ["password", "Password for x", "password"]], False, ErpCredentials, "Password for x"),
        (["'nope'", ""], False, ErpAnswerIncomplete, "'nope'"),
        (["'nope'", ""], True, Unexplained, "'nope'"),
        (["deadlock detected", ""], True, ErpUnavailable, "deadlock"),
        (["consuming input failed: server closed the connection", ""], True, ErpAmbiguous, "server closed"),
        (["consuming input failed: server closed the connection", ""], False, ErpUnavailable, "server closed"),
        ([], True, Unexplained, "failed on this record"),
        ("odd", False, ErpAnswerIncomplete, "odd"),
    ],
)
def test_an_error_in_a_good_answer_is_the_error_it_is(
    error: Json, write: bool, kind: type[ErpError], words: str
) -> None:
    found = judge("erp", Response(200, httpx.Headers(), {"id": 1, "error": error}), write)
    assert type(found) is kind
    assert words in str(found)


@pytest.mark.parametrize(("status", "kind"), [(403, ErpAnswerIncomplete), (404, ErpUnavailable), (401, None)])
def test_plain_refusals_are_about_the_server_not_the_contract(status: int, kind: type[ErpError] | None) -> None:
    found = judge("erp", Response(status, httpx.Headers(), None), True)
    assert (type(found) if found else None) is kind


TAXES = (Tax(1, "US-CA-STD", False), Tax(2, "US-EXEMPT", True))
SERVICES = Category(1, "SRV", "Services", "4.1.2", frozenset({1}))
FREE = Category(2, "FREE", "Free of tax", "4.1.2", frozenset())


@pytest.mark.parametrize(
    ("wanted", "rule", "category", "counts", "charged"),
    [
        ("US-CA-STD", "US-CA-STD", SERVICES, False, "US-CA-STD"),
        ("US-CA-STD", "US-EXEMPT", SERVICES, True, "US-EXEMPT"),
        ("US-EXEMPT", "US-EXEMPT", SERVICES, False, "US-EXEMPT"),
        (None, "US-EXEMPT", SERVICES, False, None),
        (None, "US-CA-STD", SERVICES, False, "US-CA-STD"),
        ("US-CA-STD", None, SERVICES, False, UNDECIDED),
        ("US-CA-STD", None, SERVICES, True, "US-CA-STD"),
        ("US-EXEMPT", None, SERVICES, True, UNDECIDED),
        ("US-CA-STD", None, FREE, True, UNDECIDED),
        (None, None, FREE, True, None),
        (None, None, SERVICES, True, UNDECIDED),
    ],
)
def test_what_a_customer_is_charged_follows_its_rule_or_the_category(
    wanted: str | None, rule: str | None, category: Category, counts: bool, charged: str | None
) -> None:
    assert Charging(wanted, TAXES, [category], counts).code(rule) == charged


def test_an_incomplete_estate_is_refused_by_name() -> None:
    bare = Erp(name="books", kind="tryton", url="http://localhost/db", user="tieline")
    wrong = Erp(name="books", kind="tryton", url="http://x/db", user="u", options={"customers_without_tax_rule": "?"})
    for erp, secret in ((bare, None), (wrong, "s")):
        with pytest.raises(InvalidEstate, match="erp books"):
            discovery.erp("tryton")(erp, secret=secret, gate=Lane(), clock=SystemClock())
