"""One row an invoice: every ERP reports each status of one as a further fact."""

from datetime import date, timedelta
from decimal import Decimal

from sync_core.money import Money
from sync_core.reads.contract import Financial
from sync_core.reads.invoices import invoices, totals
from tests.rows import NOW


def fact(kind: str, ref: str, status: str, day: int, *, of: str | None = None, amount: int = 100) -> Financial:
    on = date(2026, 3, day)
    return Financial("cloud", kind, ref, of, Money(Decimal(amount), "USD"), status, on, NOW + timedelta(days=day))


def test_a_paid_invoice_is_one_row_with_both_dates() -> None:
    facts = [
        fact("invoice", "I-1", "paid", 20), fact("payment", "P-1", "received", 20, of="I-1"),
        fact("invoice", "I-1", "posted", 2), fact("invoice", "I-2", "posted", 9),
    ]  # fmt: skip
    first, second = invoices(facts)
    assert (first.ref, first.status, first.issued_on, first.paid_on) == ("I-1", "paid", date(2026, 3, 2),
                                                                         date(2026, 3, 20))  # fmt: skip
    assert first.paid == Money(Decimal(100), "USD")
    assert (second.ref, second.status, second.paid, second.paid_on) == ("I-2", "posted", None, None)


def test_an_erp_that_reports_no_payments_says_paid_by_the_status() -> None:
    (one,) = invoices([fact("invoice", "I-1", "posted", 2), fact("invoice", "I-1", "paid", 20)])
    assert (one.issued_on, one.paid_on, one.paid) == (date(2026, 3, 2), date(2026, 3, 20), None)


def test_payments_add_up_by_their_latest_status() -> None:
    (one,) = invoices([
        fact("invoice", "I-1", "posted", 2), fact("payment", "P-1", "announced", 5, of="I-1", amount=30),
        fact("payment", "P-1", "received", 6, of="I-1", amount=40),
        fact("payment", "P-2", "received", 8, of="I-1", amount=60),
    ])  # fmt: skip
    assert (one.paid, one.paid_on) == (Money(Decimal(100), "USD"), date(2026, 3, 8))


def test_disputes_stand_beside_their_invoice_and_what_is_not_known_comes_last() -> None:
    disputed, unknown = invoices([
        fact("dispute", "D-9", "open", 3, of="I-9"), fact("invoice", "I-1", "posted", 2),
        fact("dispute", "D-1", "open", 4, of="I-1"), fact("dispute", "D-1", "settled", 8, of="I-1"),
    ])  # fmt: skip
    assert (disputed.ref, disputed.disputes) == ("I-1", ("settled",))
    assert (unknown.ref, unknown.known, unknown.money, unknown.disputes) == ("I-9", False, None, ("open",))


def test_what_was_invoiced_and_paid_adds_up_in_one_currency_without_what_was_withdrawn() -> None:
    known = invoices(
        [
            fact("invoice", "I1", "posted", 1, amount=100),
            fact("payment", "P1", "received", 2, of="I1", amount=40),
            fact("invoice", "I2", "paid", 3, amount=50),
            fact("invoice", "I3", "cancelled", 4, amount=70),
        ]
    )
    assert [one.amount for one in totals(known, "USD")] == [150, 90]
    assert [one.amount for one in totals(known, "EUR")] == [0, 0]


def test_what_is_not_issued_or_came_back_counts_in_nothing() -> None:
    """By the words that the measures and what the CLM is told go by."""
    known = invoices([
        fact("invoice", "I1", "posted", 1, amount=100), fact("invoice", "I2", "Draft", 2, amount=50),
        fact("invoice", "I3", "VOID", 3, amount=70), fact("payment", "P1", "bounced", 4, of="I1", amount=100),
        fact("payment", "P2", "received", 5, of="I1", amount=30),
    ])  # fmt: skip
    assert totals(known, "USD") == (Money(Decimal(100), "USD"), Money(Decimal(30), "USD"))
