"""What an invoice's or a payment's status means is the same to all facts about money."""

from datetime import date
from decimal import Decimal

import pytest
import sqlalchemy as sa

from sync_core.clock import VirtualClock
from sync_core.statuses import DRAFT, PAID, VOID
from tests import rows
from tests.metrics.billing import report
from tests.metrics.flow_rows import facts
from tests.metrics.money_rows import signed, told
from tests.metrics.support import caught_up

STANDING = ("issued", "sent", "received", "posted", "overdue", *PAID)


@pytest.mark.parametrize("spelt", [str, str.upper, str.title, lambda word: f" {word} "])
def test_all_facts_agree_on_every_status(database: sa.Engine, spelt: type[str]) -> None:
    words = (*DRAFT, *VOID, *STANDING)
    for word in words:
        invoiced = told(database, f"I-{word}", [signed()], confirmed=1)
        report(database, invoiced, "invoice", f"I-{word}", "30", "2026-11-02", status=spelt(word))
        paid = told(database, f"P-{word}", [signed()], confirmed=1)
        report(database, paid, "invoice", f"O-{word}", "30", "2026-11-02")
        report(database, paid, "payment", f"P-{word}", "30", "2026-11-09", status=spelt(word),
               invoice_ref=f"O-{word}")  # fmt: skip
    caught_up(database, VirtualClock(rows.NOW), rows.estate())
    books, cash, invoices = (facts(database, name) for name in ("books", "cash", "invoice"))
    for n, word in enumerate(words):
        counts, [one, other] = word in STANDING, [2 * n, 2 * n + 1]
        money = Decimal(30 if counts else 0)
        assert (books[one]["billed"], cash[one]["invoice_on"]) == (money, date(2026, 11, 2) if counts else None), word
        kind = "invoice" if counts else "draft" if word in DRAFT else "cancelled"
        assert invoices[one]["kind"] == kind, word
        paid_in_full = Decimal(30 if word in PAID else 0)
        assert (books[one]["paid"], invoices[one]["paid"]) == (paid_in_full, paid_in_full), word
        assert (books[other]["paid"], invoices[other]["paid"]) == (money, money), word
        assert cash[other]["payment_on"] == (date(2026, 11, 9) if counts else None), word


def test_an_invoice_is_issued_on_the_day_on_which_it_is_no_draft_any_more(database: sa.Engine) -> None:
    contract = told(database, "C-1", [signed()], confirmed=1)
    report(database, contract, "invoice", "I-1", "30", "2026-10-20", status="draft")
    report(database, contract, "invoice", "I-1", "30", "2026-11-02")
    report(database, contract, "invoice", "I-1", "30", "2026-11-12", status="overdue")
    caught_up(database, VirtualClock(rows.NOW), rows.estate())
    [row] = facts(database, "invoice")
    assert row["issued_on"] == date(2026, 11, 2)
