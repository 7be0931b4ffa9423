"""Amounts are exact, with the decimals of ISO 4217."""

from datetime import date
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter

from app.api.answers import MoneyTotalView
from app.api.renewals import RenewalView
from sync_core.errors import InvalidMoney
from sync_core.life.summary import summarise
from sync_core.money import Money, exponent, padded, quantum, rounded, written
from sync_core.money_words import said
from sync_core.reads.amounts import MoneyTotal
from tests import rows
from tests.core.test_fold_properties import signing
from tests.folds import fold

DECIMALS = {
    "USD": 2, "EUR": 2, "GBP": 2, "CHF": 2, "ALL": 2, "AFN": 2, "HUF": 2, "IDR": 2,
    "PYG": 0, "JPY": 0, "KRW": 0, "CLP": 0, "VND": 0, "UGX": 0, "XOF": 0, "ISK": 0,
    "KWD": 3, "BHD": 3, "OMR": 3, "TND": 3, "JOD": 3, "IQD": 3, "LYD": 3, "CLF": 4, "UYW": 4,
}  # fmt: skip


@pytest.mark.parametrize("currency", DECIMALS)
def test_decimals_are_those_of_iso_4217(currency: str) -> None:
    assert exponent(currency) == DECIMALS[currency]
    assert quantum(currency) == Decimal(10) ** -DECIMALS[currency]


@pytest.mark.parametrize("currency", ["", "usd", "US", "DOLLAR", "ZZZ", "€"])
def test_what_is_no_currency_is_refused(currency: str) -> None:
    with pytest.raises(InvalidMoney, match="ISO 4217"):
        exponent(currency)


@pytest.mark.parametrize(
    ("amount", "currency"), [("0.5", "PYG"), ("100.5", "JPY"), ("0.001", "USD"), ("1.0001", "KWD"), ("1.00001", "CLF")]
)
def test_an_amount_finer_than_its_currency_is_refused_not_rounded(amount: str, currency: str) -> None:
    with pytest.raises(InvalidMoney, match="more than"):
        Money.of(amount, currency)


@pytest.mark.parametrize("amount", ["NaN", "Infinity", "-Infinity"])
def test_what_is_not_finite_is_refused(amount: str) -> None:
    with pytest.raises(InvalidMoney, match="plain decimal"):
        Money.of(amount, "USD")


def test_trailing_zeros_and_integers_are_fine() -> None:
    assert Money.of("1500000.000", "PYG") == Money(Decimal(1500000), "PYG")
    assert str(Money.of(12, "USD").amount) == "12.00"
    assert str(Money.of("1.5", "KWD").amount) == "1.500"


@pytest.mark.parametrize(
    ("amount", "currency", "shown"),
    [
        ("970000", "JPY", "970000"), ("970000.00", "JPY", "970000"), ("970000", "KWD", "970000.000"),
        ("1.5", "KWD", "1.500"), ("970000", "USD", "970000.00"), ("0", "USD", "0.00"), ("-3.1", "USD", "-3.10"),
        ("1E+6", "USD", "1000000.00"), ("1.123400", "USD", "1.1234"), ("7.50", "none", "7.50"),
    ],
)  # fmt: skip
def test_programs_get_the_decimals_of_the_currency_and_no_digit_is_lost(amount: str, currency: str, shown: str) -> None:
    assert padded(Decimal(amount), currency) == shown


@pytest.mark.parametrize(
    ("amount", "currency", "shown"),
    [("1250.5", "KWD", "1,250.500 KWD"), ("1250", "JPY", "1,250 JPY"), ("1250.5", "USD", "1,250.50 USD"),
     ("0.5", "???", "0.5 ???")],
)  # fmt: skip
def test_people_read_an_amount_with_the_decimals_of_its_currency(amount: str, currency: str, shown: str) -> None:
    assert written(Decimal(amount), currency) == shown


def test_an_amount_has_18_digits_before_the_point_at_most() -> None:
    most = 10**18 - 1
    assert Money.of(most, "JPY").amount == most
    for more in (10**18, -(10**18)):
        with pytest.raises(InvalidMoney, match="more money than there is"):
            Money.of(more, "JPY")


def test_currencies_do_not_mix() -> None:
    with pytest.raises(InvalidMoney, match="dated rate"):
        _ = Money.of(1, "USD") + Money.of(1, "EUR")
    with pytest.raises(InvalidMoney, match="dated rate"):
        _ = Money.of(1, "USD") - Money.of(1, "EUR")


MINOR = st.integers(-(10**14), 10**14)
CURRENCIES = st.sampled_from(sorted(DECIMALS))


@given(MINOR, MINOR, CURRENCIES)
def test_sums_are_exact_and_can_be_taken_back(first: int, second: int, currency: str) -> None:
    one, other = (Money.of(Decimal(n) * quantum(currency), currency) for n in (first, second))
    assert (one + other).amount == Decimal(first + second) * quantum(currency)
    assert one + other - other == one


@given(st.decimals(-(10**12), 10**12, places=7), CURRENCIES)
def test_a_rounded_product_is_money_within_half_a_unit(amount: Decimal, currency: str) -> None:
    result = rounded(amount, currency)
    assert Money.of(result, currency).amount == result
    assert abs(result - amount) <= quantum(currency) / 2


def test_halves_go_to_the_even_unit() -> None:
    assert [str(rounded(Decimal(text), "USD")) for text in ("0.125", "0.135")] == ["0.12", "0.14"]


def test_what_was_converted_goes_out_with_the_minor_unit_and_what_was_agreed_as_it_is() -> None:
    """Half to even, as the KPIs; a row that an older release kept unrounded as well."""
    money = MoneyTotalView.model_validate(MoneyTotal(Money(Decimal("423988.0950"), "USD"), 1))
    assert money.model_dump(mode="json")["money"]["amount"] == "423988.10"
    fine = Money(Decimal("12.345"), "USD")
    amounts = {"value": "12.345", "value_reporting": "12.34"}
    for name, amount in amounts.items():
        kind: Any = RenewalView.model_fields[name].annotation
        view = TypeAdapter(kind).validate_python(fine, from_attributes=True)
        assert view.model_dump(mode="json")["amount"] == amount
    contract = fold([signing(1, currency="EUR", value="385443.73")])
    assert contract.terms is not None
    assert summarise(contract.terms, rows.estate(), on=date(2026, 4, 1)).value_reporting == Decimal("423988.10")


@pytest.mark.parametrize(
    ("field", "value", "currency", "shown"),
    [
        ("value", "99000", "EUR", "99,000.00 EUR"), ("milestone M1, amount", "104940.5", "KWD", "104,940.500 KWD"),
        ("rate", "12.3456", "USD", "12.3456 USD"), ("value", "99000", None, "99000"),
        ("po_number", "99000", "EUR", "99000"),
        ("value", None, "EUR", ""),
    ],
)  # fmt: skip
def test_an_amount_in_a_message_has_its_currency(
    field: str, value: str | None, currency: str | None, shown: str
) -> None:
    assert said(field, value, currency) == shown
