"""The invoices of a contract, one each: an ERP reports every status of one as a further row. Pure."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Protocol

from sync_core.money import Money
from sync_core.ports import FinancialKind
from sync_core.statuses import paid, stands


class Fact(Protocol):
    """One status of an invoice, payment or dispute, or a posting of revenue."""

    @property
    def system(self) -> str: ...
    @property
    def kind(self) -> str: ...
    @property
    def ref(self) -> str: ...
    @property
    def invoice_ref(self) -> str | None: ...
    @property
    def money(self) -> Money: ...
    @property
    def status(self) -> str: ...
    @property
    def occurred_on(self) -> date: ...
    @property
    def recorded_at(self) -> datetime: ...


@dataclass(frozen=True, slots=True)
class Invoice:
    """An invoice as it is now. `known` False: only payments or disputes of it have been reported so far."""

    system: str
    ref: str
    known: bool
    money: Money | None
    status: str  # the latest
    issued_on: date | None
    paid: Money | None  # the sum of its payments
    paid_on: date | None  # of the last payment, or of the status that says so
    disputes: tuple[str, ...]  # the latest status of each


def invoices(facts: Iterable[Fact]) -> tuple[Invoice, ...]:
    """By the day of issue; those that are not known come last."""
    together: dict[tuple[str, str], list[Fact]] = {}
    for fact in sorted(facts, key=lambda one: one.recorded_at):
        if fact.kind == FinancialKind.REVENUE:
            continue
        ref = fact.ref if fact.kind == FinancialKind.INVOICE else fact.invoice_ref or fact.ref
        together.setdefault((fact.system, ref), []).append(fact)
    found = [_invoice(system, ref, alike) for (system, ref), alike in together.items()]
    return tuple(sorted(found, key=lambda one: (one.issued_on or date.max, one.system, one.ref)))


def totals(found: Iterable[Invoice], currency: str) -> tuple[Money, Money]:
    """What was invoiced in this currency and what of that was paid. What does not stand is in neither."""
    counted = [one for one in found if one.money and one.money.currency == currency and stands(one.status)]
    invoiced = sum((one.money.amount for one in counted if one.money), Decimal(0))
    return Money(invoiced, currency), Money(sum((_paid(one) for one in counted), Decimal(0)), currency)


def _paid(one: Invoice) -> Decimal:
    """Of an ERP that reports no payments, an invoice that is paid was paid in full."""
    if one.paid is not None:
        return one.paid.amount if one.money and one.paid.currency == one.money.currency else Decimal(0)
    return one.money.amount if one.money and one.paid_on else Decimal(0)


def _invoice(system: str, ref: str, facts: Sequence[Fact]) -> Invoice:
    own = [fact for fact in facts if fact.kind == FinancialKind.INVOICE]
    payments = [one for one in _latest(f for f in facts if f.kind == FinancialKind.PAYMENT) if stands(one.status)]
    disputes = _latest(fact for fact in facts if fact.kind == FinancialKind.DISPUTE)
    last = own[-1] if own else None
    paid_on = max((payment.occurred_on for payment in payments), default=None)
    if paid_on is None and last is not None and paid(last.status):
        paid_on = last.occurred_on
    return Invoice(
        system, ref, last is not None, last.money if last else None, last.status if last else "",
        min((fact.occurred_on for fact in own), default=None), _sum(payments), paid_on,
        tuple(dispute.status for dispute in disputes),
    )  # fmt: skip


def _latest(facts: Iterable[Fact]) -> list[Fact]:
    """The last status of each."""
    return list({fact.ref: fact for fact in facts}.values())


def _sum(payments: Sequence[Fact]) -> Money | None:
    """None without payments, or with several currencies."""
    currencies = {payment.money.currency for payment in payments}
    if len(currencies) != 1:
        return None
    return Money(sum((payment.money.amount for payment in payments), Decimal(0)), currencies.pop())
