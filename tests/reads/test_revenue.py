"""What was recognised of a contract, line by line: postings less their reversals."""

from datetime import date, timedelta
from decimal import Decimal

from sync_core.money import Money
from sync_core.reads.contract import Financial
from sync_core.reads.invoices import invoices
from sync_core.reads.revenue import Earned, Revenue, revenue
from tests.rows import NOW


def usd(amount: str) -> Money:
    return Money(Decimal(amount), "USD")


def posting(
    ref: str, amount: str, day: int, *, line: str | None = "C-1#L:1", reverses: str | None = None,
    status: str = "posted",
) -> Financial:  # fmt: skip
    at = NOW + timedelta(days=day)
    return Financial("cloud", "revenue", ref, "I-1", usd(amount), status, date(2026, 3, day), at, line, reverses)


def test_a_line_is_its_postings_less_what_was_reversed() -> None:
    found = revenue([
        posting("R-1", "50.05", 2), posting("R-3", "-20.00", 9, reverses="R-1"),
        posting("R-2", "10", 5, line="C-1#L:2"), posting("R-4", "7", 7, line=None),
    ])  # fmt: skip
    assert found.lines == (
        Earned("cloud", None, usd("7"), usd("0"), date(2026, 3, 7)),
        Earned("cloud", "C-1#L:1", usd("30.05"), usd("20.00"), date(2026, 3, 9)),
        Earned("cloud", "C-1#L:2", usd("10"), usd("0"), date(2026, 3, 5)),
    )
    assert found.total("USD") == usd("47.05")
    assert found.total("EUR") == Money(Decimal(0), "EUR")


def test_the_newest_status_of_a_posting_counts() -> None:
    facts = [posting("R-1", "50", 2), posting("R-1", "50", 3, status="void"), posting("R-2", "9", 4)]
    assert revenue(facts[::-1]).total("USD") == usd("9")


def test_what_is_not_reported_has_no_total() -> None:
    assert Revenue((), ("legacy",)).total("USD") is None
    assert revenue([posting("R-1", "9", 4)], ["old", "legacy", "old"]).silent == ("legacy", "old")


def test_a_posting_is_no_invoice() -> None:
    assert invoices([posting("R-1", "50", 2)]) == ()
