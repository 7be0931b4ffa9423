"""The ERP objects that must exist for one contract, and what they look like when an ERP is read.

`Found.fields` holds only what that ERP can store; the diff compares no other field. Values are plain JSON
(see `plain`), so that what we wanted, what an ERP answered and what the journal holds compare as text.
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from datetime import date
from decimal import Decimal
from enum import StrEnum
from typing import ClassVar, Final, TypeAlias

from sync_core.contract import BillingKind
from sync_core.findings import Finding
from sync_core.keys import BusinessKey, ErpRef

Scalar: TypeAlias = str | bool | None
Fields: TypeAlias = Mapping[str, Scalar]

UNDECIDED: Final = "undecided"  # a project's tax code where nobody has said yet what its customer pays


class Kind(StrEnum):
    """Kinds of ERP objects, in the order in which they depend on each other."""

    CUSTOMER = "customer"
    LABOUR_CATEGORY = "labour_category"
    PROJECT = "project"
    CONTRACT_LINE = "contract_line"
    MILESTONE = "milestone"
    LABOUR_RATE = "labour_rate"

    @property
    def shared(self) -> bool:
        """Shared objects serve many contracts: created only under a crosswalk reservation, never closed."""
        return self in _SHARED

    @property
    def rank(self) -> int:
        """Place in the order of dependence, from 0."""
        return _RANKS[self]


_SHARED = frozenset({Kind.CUSTOMER, Kind.LABOUR_CATEGORY})
_RANKS = {kind: place for place, kind in enumerate(Kind)}


class Recognition(StrEnum):
    POINT_IN_TIME = "point_in_time"
    OVER_TIME = "over_time"
    AS_INVOICED = "as_invoiced"


@dataclass(frozen=True, slots=True)
class Customer:
    kind: ClassVar[Kind] = Kind.CUSTOMER
    key: BusinessKey  # the customer's code
    name: str
    tax_id: str | None
    country: str | None


@dataclass(frozen=True, slots=True)
class LabourCategory:
    kind: ClassVar[Kind] = Kind.LABOUR_CATEGORY
    key: BusinessKey  # the category's code
    name: str
    revenue_category: str  # product category that carries the revenue account


@dataclass(frozen=True, slots=True)
class Project:
    kind: ClassVar[Kind] = Kind.PROJECT
    key: BusinessKey  # the contract key
    name: str
    customer: BusinessKey
    legal_entity: str
    billing: BillingKind
    currency: str
    value: Decimal
    starts_on: date
    ends_on: date | None
    payment_terms: str
    tax_code: str | None
    po_number: str | None
    not_to_exceed: Decimal | None
    billable: bool  # switched on last, once all the rest is confirmed


@dataclass(frozen=True, slots=True)
class Line:
    """A contract line with its revenue treatment."""

    kind: ClassVar[Kind] = Kind.CONTRACT_LINE
    key: BusinessKey
    project: BusinessKey
    description: str
    amount: Decimal
    currency: str
    recognition: Recognition
    revenue_account: str
    revenue_category: str


@dataclass(frozen=True, slots=True)
class BillingMilestone:
    kind: ClassVar[Kind] = Kind.MILESTONE
    key: BusinessKey
    project: BusinessKey
    name: str
    amount: Decimal
    currency: str
    bill_on: date
    revenue_category: str


@dataclass(frozen=True, slots=True)
class Rate:
    kind: ClassVar[Kind] = Kind.LABOUR_RATE
    key: BusinessKey
    project: BusinessKey
    category: BusinessKey  # the labour category's code
    name: str
    rate: Decimal  # per hour
    currency: str
    planned_hours: Decimal
    revenue_category: str


@dataclass(frozen=True, slots=True)
class DatedRate(Rate):
    """For an ERP that prices an hour by the day on which it was worked: from `valid_from` until the category's next."""

    valid_from: date | None = None  # None: from the start


AMOUNTS: Final = frozenset({"value", "not_to_exceed", "amount", "rate"})  # fields, in the contract's currency
ErpObject: TypeAlias = Customer | LabourCategory | Project | Line | BillingMilestone | Rate
_FIELDS: Mapping[type, tuple[str, ...]] = {
    kind: tuple(f.name for f in fields(kind) if f.name != "key")
    for kind in (Customer, LabourCategory, Project, Line, BillingMilestone, Rate, DatedRate)
}


def plain(value: object) -> Scalar:
    """One JSON scalar per value, equal for equal values: decimals without trailing zeros, dates in ISO form."""
    if value is None or isinstance(value, bool) or type(value) is str:  # not a StrEnum
        return value
    if isinstance(value, Decimal):
        return format(value.normalize(), "f") if value else "0"
    if isinstance(value, date):
        return value.isoformat()
    return str(value)


def fields_of(obj: ErpObject) -> dict[str, Scalar]:
    """All fields but the key, as plain values, in the order of the class."""
    return {name: plain(getattr(obj, name)) for name in _FIELDS[type(obj)]}


@dataclass(frozen=True, slots=True)
class Desired:
    """Everything that must exist for a contract. `project` None: nothing must exist (not signed, or ended unbilled)."""

    contract: BusinessKey
    lane: str
    objects: tuple[ErpObject, ...]
    may_create_customer: bool
    changes_on: date | None = None  # the day from which the answer differs (a rate takes effect)
    ended_on: date | None = None  # its objects are what is left to bill, and close once they are billed
    earlier: frozenset[BusinessKey] = frozenset()  # milestones of agreements before, whose invoices are history
    # Labour categories and their rates over time, for an ERP with dated prices; the objects have the prices of the day.
    periods: tuple["LabourCategory | DatedRate", ...] = ()
    unbilled: Finding | None = None  # what a price that changes within this month means to an ERP without
    looks_on: date | None = None  # the day from which `unbilled` differs
    # Milestones that an agreement before had too, and of which nothing was done yet for this one.
    unconfirmed: frozenset[BusinessKey] = frozenset()

    @property
    def project(self) -> Project | None:
        return next((o for o in self.objects if isinstance(o, Project)), None)

    def priced(self, *, over_time: bool) -> "Desired":
        """As an ERP holds hourly rates: over time, or one price a category, for which there is a day to look again."""
        if self.project is None:
            return replace(self, periods=(), unbilled=None, looks_on=None)
        if not self.periods:
            return self
        if not over_time:
            days = [day for day in (self.changes_on, self.looks_on) if day]
            return replace(self, periods=(), looks_on=None, changes_on=min(days, default=None))
        others = (o for o in self.objects if not isinstance(o, LabourCategory | Rate))
        return replace(self, objects=(*others, *self.periods), periods=(), unbilled=None, looks_on=None)


@dataclass(frozen=True, slots=True)
class Found:
    """One object that an ERP holds under one of our business keys."""

    kind: Kind
    key: BusinessKey
    ref: ErpRef
    fields: Fields
    parent: ErpRef | None = None  # the project that holds it, for parts
    billed: bool = False  # invoiced in part or whole: never rewritten
    active: bool = True
    billed_amount: Decimal | None = None  # of a project: invoiced so far, where this ERP says; closed ones too
    # Net of credit notes, of a billed milestone; None: its amount. Of a rate whose ERP prices hours by their day: the
    # hours of its days that are invoiced, each times the price at which it was, before anything is rounded.
    invoiced: Decimal | None = None
    invoiced_hours: Decimal | None = None  # of such a rate
    settled: bool = False  # of such a rate: another has followed it, and all hours of its days are invoiced
    # Of a project, open or closed, and of its parts: what its ERP would invoice of it as it stands, by nobody's doing
    # of ours: a milestone that was reached, hours that were booked. None: nothing.
    earned: Decimal | None = None
