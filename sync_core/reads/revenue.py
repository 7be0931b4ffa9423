"""Revenue that the ERPs posted of a contract, by contract line: postings less what was reversed of them. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Protocol

from sync_core.money import Money
from sync_core.ports import FinancialKind
from sync_core.reads.invoices import Fact
from sync_core.statuses import stands


class Posting(Fact, Protocol):
    """A fact that names the contract line, and what it reverses."""

    @property
    def line(self) -> str | None: ...
    @property
    def reverses(self) -> str | None: ...


@dataclass(frozen=True, slots=True)
class Earned:
    """What one ERP recognised of one contract line in one currency."""

    system: str
    line: str | None  # its business key; None: of the project as a whole
    money: Money
    reversed: Money  # taken back, not below zero; it is out of `money`
    last_on: date


@dataclass(frozen=True, slots=True)
class Revenue:
    """By line. `silent`: ERPs that bill the contract and report no revenue, so that all of it is not known; `unasked`:
    those that nobody has asked yet.
    """

    lines: tuple[Earned, ...] = ()
    silent: tuple[str, ...] = ()
    unasked: tuple[str, ...] = ()

    def total(self, currency: str) -> Money | None:
        """Recognised in this currency; None: not all of it is reported."""
        if self.silent or self.unasked:
            return None
        return Money(sum((one.money.amount for one in self.lines if one.money.currency == currency), Decimal(0)),
                     currency)  # fmt: skip


def revenue(facts: Iterable[Posting], silent: Iterable[str] = (), unasked: Iterable[str] = ()) -> Revenue:
    """By ERP and line; the newest status of each posting counts."""
    postings: dict[tuple[str, str], Posting] = {}
    for fact in sorted(facts, key=lambda one: one.recorded_at):
        if fact.kind == FinancialKind.REVENUE:
            postings[fact.system, fact.ref] = fact
    together: dict[tuple[str, str, str], list[Posting]] = {}
    for one in postings.values():
        if stands(one.status):
            together.setdefault((one.system, one.line or "", one.money.currency), []).append(one)
    lines = (_earned(system, line or None, currency, alike) for (system, line, currency), alike in together.items())
    apart = (tuple(sorted(set(erps))) for erps in (silent, unasked))
    return Revenue(tuple(sorted(lines, key=lambda one: (one.system, one.line or ""))), *apart)


def _earned(system: str, line: str | None, currency: str, postings: list[Posting]) -> Earned:
    taken_back = -sum((one.money.amount for one in postings if one.reverses is not None), Decimal(0))
    return Earned(
        system, line, Money(sum((one.money.amount for one in postings), Decimal(0)), currency),
        Money(taken_back, currency), max(one.occurred_on for one in postings),
    )  # fmt: skip
