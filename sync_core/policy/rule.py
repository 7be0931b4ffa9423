"""One rule of the policy: for which contracts it is, how specific that makes it, and what it decides. Pure.

A rule that names more important conditions is the more specific one, however many it names: specificity is read along
DIMENSIONS, as words are in a dictionary. So two rules that name different conditions never tie, and the order is that
of the estate's own rules: whoever answers for a legal entity is not overruled by a rule for all of them.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import cached_property
from typing import Annotated, ClassVar, Final

from pydantic import BeforeValidator, ConfigDict

from sync_core.contract import BillingKind, Terms
from sync_core.errors import Function

# The most important first. `cause` is that of an exception, in the table of owners.
DIMENSIONS: Final = ("cause", "legal_entity", "service_line", "billing", "currency", "geography")


def _several(given: object) -> object:
    return (given,) if isinstance(given, str) else given


Names = Annotated[tuple[str, ...], BeforeValidator(_several)]
Kinds = Annotated[tuple[BillingKind, ...], BeforeValidator(_several)]


@dataclass(frozen=True, slots=True)
class Subject:
    """What the conditions are held against: a contract's terms, in the table of owners with an exception's cause."""

    legal_entity: str
    service_line: str
    billing: str
    currency: str
    geography: str
    value: Decimal  # in the contract's currency
    amount: Decimal | None = None  # in the reporting currency; None: no rate is known, so it may be very much
    cause: str = ""


def subject_of(terms: Terms, *, amount: Decimal | None = None, cause: str = "") -> Subject:
    return Subject(
        legal_entity=terms.legal_entity,
        service_line=terms.service_line,
        billing=terms.billing.kind.value,
        currency=terms.currency,
        geography=terms.geography,
        value=terms.value,
        amount=amount,
        cause=cause,
    )


@dataclass(frozen=True, kw_only=True)
class Rule(ABC):
    """A condition left out fits everything; one with several values fits each of them."""

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid")  # a misspelt condition would fit everything

    name: str
    legal_entity: Names = ()
    service_line: Names = ()
    billing: Kinds = ()
    currency: Names = ()
    geography: Names = ()
    from_value: Decimal | None = None  # in the contract's own currency, which `currency` then names

    def condition(self, dimension: str) -> tuple[str, ...]:
        found: tuple[str, ...] = getattr(self, dimension, ())
        return found

    @property
    def named(self) -> tuple[str, ...]:
        """The dimensions that it has a condition for."""
        return tuple(dimension for dimension in DIMENSIONS if self.condition(dimension))

    @cached_property
    def _wanted(self) -> tuple[tuple[str, tuple[str, ...]], ...]:
        return tuple((dimension, self.condition(dimension)) for dimension in self.named)

    @cached_property
    def rank(self) -> int:
        """More is more specific."""
        return sum(1 << place for place, name in enumerate(reversed(DIMENSIONS)) if self.condition(name))

    @property
    def floor(self) -> Decimal:
        """Among rules of one rank the one with the highest floor wins."""
        return Decimal(-1) if self.from_value is None else self.from_value

    def unfit(self, subject: Subject) -> str | None:
        """The first condition that the subject does not meet; None: it fits."""
        for dimension, wanted in self._wanted:
            if getattr(subject, dimension) not in wanted:
                return dimension
        return "from_value" if self.from_value is not None and subject.value < self.from_value else None

    def reached(self, subject: Subject) -> bool:
        """Whether it decides once it is the closest one; a threshold that is not reached decides that nothing is."""
        return True

    @property
    def where(self) -> str:
        """Its conditions in words."""
        parts = [f"{name.replace('_', ' ')} {' or '.join(self.condition(name))}" for name in self.named]
        parts += [f"value from {self.from_value:,f}"] if self.from_value is not None else []
        return ", ".join(parts) or "every contract"

    @property
    @abstractmethod
    def says(self) -> str:
        """What it decides, in words; of amounts, without a currency."""

    def shown(self, currency: str) -> str:
        """The same where people read it. `currency`: the reporting one, which the estate has and a rule does not."""
        return self.says


@dataclass(frozen=True, kw_only=True)
class Route(Rule):
    erp: str

    @property
    def says(self) -> str:
        return self.erp


@dataclass(frozen=True, kw_only=True)
class TaxRegime(Rule):
    """The tax code of contracts that neither name one nor are exempt."""

    tax_code: str

    @property
    def says(self) -> str:
        return f"tax code {self.tax_code} unless the contract says otherwise"


@dataclass(frozen=True, kw_only=True)
class BillCalendar(Rule):
    bill_runs: tuple[int, ...]

    @property
    def says(self) -> str:
        return f"bill runs on {days_of(self.bill_runs)}"


@dataclass(frozen=True, kw_only=True)
class Threshold(Rule):
    """From which amount a contract needs an approval. Rules with the same conditions make a ladder."""

    from_amount: Decimal  # in the reporting currency
    function: Function = Function.FINANCE_OPERATIONS  # has the exception

    @property
    def floor(self) -> Decimal:
        return self.from_amount

    def reached(self, subject: Subject) -> bool:
        return subject.amount is None or subject.amount >= self.from_amount

    @property
    def says(self) -> str:
        return self.shown("")

    def shown(self, currency: str) -> str:
        amount = f"{currency} {self.from_amount:,f}".strip()
        return f"approval from {amount}, {self.function.replace('_', ' ')}"


@dataclass(frozen=True, kw_only=True)
class Ownership(Rule):
    """Which function gets an exception, and how long it may take; what is left out stays as it is without the rule."""

    cause: Names = ()
    function: Function | None = None
    sla_working_hours: int | None = None

    @property
    def says(self) -> str:
        parts = [self.function.replace("_", " ")] if self.function else []
        parts += [f"{self.sla_working_hours} working hours"] if self.sla_working_hours is not None else []
        return ", ".join(parts)


@dataclass(frozen=True, kw_only=True)
class Mandatory(Rule):
    fields: Names

    @property
    def says(self) -> str:
        return ", ".join(self.fields) or "nothing"


@dataclass(frozen=True, kw_only=True)
class Clauses(Rule):
    """Which clauses a signed contract must have standard or approved before anything of it is in an ERP."""

    clauses: Names

    @property
    def says(self) -> str:
        return ", ".join(self.clauses) or "none"


def overlap(one: Rule, other: Rule) -> bool:
    """Whether a contract can meet the conditions of both, where both name the same ones."""
    return all(set(one.condition(name)) & set(other.condition(name)) for name in one.named)


def ties(rules: Sequence[Rule]) -> list[tuple[Rule, Rule]]:
    """Pairs between which nothing decides for some contract."""
    return [
        (one, other)
        for place, one in enumerate(rules)
        for other in rules[place + 1 :]
        if (one.rank, one.floor) == (other.rank, other.floor) and overlap(one, other)
    ]


def days_of(bill_runs: Sequence[int]) -> str:
    """Days of the month in words."""
    return ", ".join("the last day" if n == -1 else str(n) for n in bill_runs)
