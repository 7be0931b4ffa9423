"""The demo's legal entity whose books are in Tryton: its master data, and the contracts it signs once Tryton answers.

All of it is a function of the estate, so every start asks for the same and a second one adds nothing.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from zoneinfo import ZoneInfo

from app.sandbox.chance import chance
from app.sandbox.clm.changes import Change
from app.sandbox.master_data import (
    ROLES,
    CustomerRecord,
    Role,
    domestic_tax,
    export_tax,
    labour_code,
    required,
    service_lines,
)
from app.sandbox.portfolio.case import LIVE, Case
from app.sandbox.portfolio.firms import KNOWN, firm
from app.sandbox.portfolio.signing import before_signature, signature
from app.sandbox.portfolio.terms import Deal, make_terms
from app.sandbox.tryton_entity import (
    Customer,
    Employee,
    LabourCategory,
    LegalEntity,
    PaymentTerms,
    RevenueCategory,
    Tax,
)
from sync_core.contract import BillingKind, TaxAttributes
from sync_core.estate.estate import Entity, Estate
from sync_core.money import exponent

CUSTOMERS, CONTRACTS = 12, 6
_SEED = "tryton"
_KINDS = (BillingKind.MILESTONES, BillingKind.TIME_AND_MATERIALS)


@dataclass(frozen=True, slots=True)
class Signed:
    """One contract from draft to signature, as changes to be made in this order."""

    contract_id: str
    changes: tuple[Change, ...]


def entity_of(estate: Estate) -> Entity:
    """The one that bills from a Tryton; of several, the first. Raises LookupError when there is none."""
    for entity in estate.entity:
        if estate.erps[entity.erp].kind == "tryton":
            return entity
    raise LookupError("no legal entity of the estate bills from an ERP of kind tryton; add one")


def customers(estate: Estate, entity: Entity) -> tuple[CustomerRecord, ...]:
    """Firms that no other entity's contracts are with, so each customer is one firm in one ERP."""
    found = (firm(KNOWN + number, (entity.country,)) for number in range(1, CUSTOMERS + 1))
    return tuple(replace(each, code=f"CUST-{entity.country}-{n:02d}") for n, each in enumerate(found, 1))


def legal_entity(estate: Estate, today: datetime) -> LegalEntity:
    """What Tryton has to hold, and nothing of the other entities."""
    entity = entity_of(estate)
    books = required(replace(estate, entity=(entity,)), customers(estate, entity))
    rules = {rule.category: rule for rule in estate.revenue if rule.entity == entity.code}
    return LegalEntity(
        code=entity.code,
        name=entity.name,
        currency=entity.currency,
        digits=exponent(entity.currency),
        taxes=tuple(Tax(tax.code, f"{tax.code} {tax.rate:.0%}", tax.rate) for tax in books.tax_codes),
        payment_terms=tuple(PaymentTerms(terms.code, terms.days) for terms in books.payment_terms),
        revenue_categories=tuple(
            RevenueCategory(rule.category, rule.category.replace("-", " ").title(), rule.account)
            for rule in rules.values()
        ),
        labour=tuple(_labour(estate, entity, line, role, today) for line in service_lines(estate) for role in ROLES),
        employees=(Employee(f"EMP-{entity.country}-01", "Robin Tremblay", Decimal(85)),),
        customers=tuple(
            Customer(each.code, each.name, each.tax_id, _tax_code(each, entity)) for each in books.customers
        ),
    )


def contract_ids(estate: Estate) -> tuple[str, ...]:
    """Of those that `signed_contracts` makes, in its order."""
    return tuple(f"T-{entity_of(estate).country}-{number:04d}" for number in range(1, CONTRACTS + 1))


def signed_contracts(estate: Estate, now: datetime) -> Iterator[Signed]:
    """By turns with fixed fees and by the hour, all signed at `now`, all without a defect."""
    entity = entity_of(estate)
    lines, known = service_lines(estate), customers(estate, entity)
    for number, contract_id in enumerate(contract_ids(estate), 1):
        index = (number - 1) // 2 % len(lines)
        signed_on = now.astimezone(ZoneInfo(entity.timezone)).date()
        customer = known[2 * number % len(known)]
        deal = Deal(entity, customer, lines[index], index, _KINDS[(number - 1) % 2], signed_on)
        rng = chance(_SEED, "contract", number)
        terms = replace(make_terms(rng, deal, estate), tax=TaxAttributes(_tax_code(customer, entity)))
        case = Case(rng, contract_id, entity, now, now, LIVE, terms, terms)
        before_signature(case)
        signature(case)
        actions = [step.action for step in sorted(case.steps, key=lambda step: step.at)]
        yield Signed(contract_id, tuple(action for action in actions if isinstance(action, Change)))


def _labour(estate: Estate, entity: Entity, service_line: str, role: Role, today: datetime) -> LabourCategory:
    rule = estate.revenue_for(BillingKind.TIME_AND_MATERIALS, service_line, entity.code)
    if rule is None:
        raise LookupError(f"the estate has no revenue rule for {service_line} by the hour in {entity.code}; add one")
    rate = estate.to_reporting(Decimal(1), entity.currency, today.date()) or Decimal(1)
    price = Decimal(round(role.usd_per_hour / rate))
    return LabourCategory(labour_code(service_line, role), role.name, price, rule.category)


def _tax_code(customer: CustomerRecord, entity: Entity) -> str:
    return domestic_tax(entity) if customer.country == entity.country else export_tax(entity)
