"""What a sandbox ERP must hold before it can be provisioned for an estate: customers, taxes, terms, categories.

Plain records; each ERP sandbox writes them its own way. Labour categories exist once per service line, because
a category carries one revenue category. Two changes of master data happen while a demo runs: a customer is
put (added or completed), and an accounting period is opened or closed.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import TypeAlias

from sync_core.contract import BillingKind
from sync_core.estate.estate import Entity, Estate


@dataclass(frozen=True, slots=True)
class CustomerRecord:
    """A customer as the ERP knows it; without a tax profile it cannot be taxed, so not billed."""

    code: str
    name: str
    country: str  # ISO 3166 alpha-2
    tax_id: str | None
    tax_profile: bool = True


@dataclass(frozen=True, slots=True)
class EntityRecord:
    code: str
    name: str
    country: str
    currency: str


@dataclass(frozen=True, slots=True)
class TaxCode:
    code: str
    legal_entity: str
    rate: Decimal  # 0.2 is 20 %


@dataclass(frozen=True, slots=True)
class PaymentTerms:
    code: str
    days: int


@dataclass(frozen=True, slots=True)
class RevenueCategory:
    code: str
    account: str


@dataclass(frozen=True, slots=True)
class Role:
    """A labour category before it belongs to a service line; the price is a starting point in US dollars."""

    code: str
    name: str
    usd_per_hour: int


@dataclass(frozen=True, slots=True)
class LabourCategoryRecord:
    code: str
    name: str
    revenue_category: str


@dataclass(frozen=True, slots=True)
class PutCustomer:
    """Master data adds a customer, or completes one that is there (same code)."""

    customer: CustomerRecord


@dataclass(frozen=True, slots=True)
class SwitchPeriod:
    """Finance opens or closes the accounting period that holds `month` (its first day)."""

    legal_entity: str
    month: date
    open: bool


MasterDataFix: TypeAlias = PutCustomer | SwitchPeriod


@dataclass(frozen=True, slots=True)
class MasterData:
    entities: tuple[EntityRecord, ...]
    customers: tuple[CustomerRecord, ...]
    tax_codes: tuple[TaxCode, ...]
    payment_terms: tuple[PaymentTerms, ...]
    revenue_categories: tuple[RevenueCategory, ...]
    labour_categories: tuple[LabourCategoryRecord, ...]


ROLES = (
    Role("PARTNER", "Partner", 620),
    Role("DIRECTOR", "Director", 470),
    Role("MANAGER", "Engagement Manager", 350),
    Role("ARCHITECT", "Solution Architect", 330),
    Role("SENIOR", "Senior Consultant", 255),
    Role("ENGINEER", "Engineer", 215),
    Role("CONSULTANT", "Consultant", 190),
    Role("ANALYST", "Analyst", 140),
)
PAYMENT_TERMS = (
    PaymentTerms("NET30", 30),
    PaymentTerms("NET45", 45),
    PaymentTerms("NET60", 60),
    PaymentTerms("NET14", 14),
)
# Standard rates on services sold at home; a country not listed taxes none. Illustrative.
_STANDARD_RATES = {
    "GB": Decimal("0.20"),
    "DE": Decimal("0.19"),
    "JP": Decimal("0.10"),
    "FR": Decimal("0.20"),
    "CA": Decimal("0.05"),
}


def domestic_tax(entity: Entity) -> str:
    return f"{entity.country}-STD"


def export_tax(entity: Entity) -> str:
    return f"{entity.country}-EXPORT"


def service_lines(estate: Estate) -> tuple[str, ...]:
    """The service lines that the estate's revenue rules name, in the file's order."""
    return tuple(dict.fromkeys(rule.service_line for rule in estate.revenue if rule.service_line != "*"))


def labour_code(service_line: str, role: Role) -> str:
    return f"{''.join(c for c in service_line.upper() if c.isalnum())[:4]}-{role.code}"


def required(estate: Estate, customers: Iterable[CustomerRecord]) -> MasterData:
    """All that contracts of this estate may refer to. Customers come from the portfolio (`firms`)."""
    return MasterData(
        entities=tuple(EntityRecord(e.code, e.name, e.country, e.currency) for e in estate.entity),
        customers=tuple(customers),
        tax_codes=tuple(tax for entity in estate.entity for tax in _taxes(entity)),
        payment_terms=PAYMENT_TERMS,
        revenue_categories=tuple(
            RevenueCategory(category, account)
            for category, account in {rule.category: rule.account for rule in estate.revenue}.items()
        ),
        labour_categories=tuple(
            LabourCategoryRecord(labour_code(line, role), role.name, _time_category(estate, line))
            for line in service_lines(estate)
            for role in ROLES
        ),
    )


def _taxes(entity: Entity) -> tuple[TaxCode, TaxCode]:
    rate = _STANDARD_RATES.get(entity.country, Decimal(0))
    return (
        TaxCode(domestic_tax(entity), entity.code, rate),
        TaxCode(export_tax(entity), entity.code, Decimal(0)),
    )


def _time_category(estate: Estate, service_line: str) -> str:
    rule = estate.revenue_for(BillingKind.TIME_AND_MATERIALS, service_line, "*")
    return rule.category if rule else ""
