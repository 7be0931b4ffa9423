"""What a sandbox ERP is told about one legal entity: its codes, taxes, terms, rate card and customers."""

from dataclasses import dataclass
from decimal import Decimal


@dataclass(frozen=True, slots=True)
class Tax:
    code: str
    name: str
    rate: Decimal  # 0.0825 is 8.25 %


@dataclass(frozen=True, slots=True)
class PaymentTerms:
    code: str
    days: int


@dataclass(frozen=True, slots=True)
class RevenueCategory:
    code: str
    name: str
    revenue_account: str  # code in the chart: 4.1.2 services at a point in time, 4.2.2 services over time


@dataclass(frozen=True, slots=True)
class LabourCategory:
    code: str
    name: str
    list_price: Decimal  # per hour, in the entity's currency
    revenue_category: str


@dataclass(frozen=True, slots=True)
class Employee:
    code: str
    name: str
    hourly_cost: Decimal


@dataclass(frozen=True, slots=True)
class Customer:
    code: str
    name: str
    tax_id: str | None = None
    tax_code: str | None = None  # None: no tax profile


@dataclass(frozen=True, slots=True)
class LegalEntity:
    code: str
    name: str
    currency: str  # ISO 4217
    digits: int
    taxes: tuple[Tax, ...]  # the first one is the default of every product
    payment_terms: tuple[PaymentTerms, ...] = (PaymentTerms("NET30", 30),)
    revenue_categories: tuple[RevenueCategory, ...] = (
        RevenueCategory("TM-OVER-TIME", "Time and materials, over time", "4.2.2"),
        RevenueCategory("MILESTONE-POINT-IN-TIME", "Milestones, point in time", "4.1.2"),
    )
    labour: tuple[LabourCategory, ...] = ()
    employees: tuple[Employee, ...] = ()
    customers: tuple[Customer, ...] = ()
