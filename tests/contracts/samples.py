"""Contracts to provision, made of what a connector case says its ERP has set up."""

from dataclasses import dataclass, fields, replace
from datetime import date
from decimal import Decimal

from sync_core.contract import BillingKind
from sync_core.desired import (
    BillingMilestone,
    Customer,
    DatedRate,
    ErpObject,
    Kind,
    LabourCategory,
    Line,
    Project,
    Rate,
    Recognition,
)
from sync_core.keys import BusinessKey, contract_key, part_key
from sync_core.ports import Scope


@dataclass(frozen=True, slots=True)
class Setup:
    """Master data that the ERP under test has."""

    legal_entity: str
    currency: str
    payment_terms: str
    tax_code: str | None
    revenue_category: str
    revenue_account: str


@dataclass(frozen=True, slots=True)
class Sample:
    scope: Scope
    objects: tuple[ErpObject, ...]

    def of(self, kind: Kind) -> tuple[ErpObject, ...]:
        return tuple(o for o in self.objects if o.kind is kind)

    @property
    def project(self) -> Project:
        return next(o for o in self.objects if isinstance(o, Project))


def milestones(setup: Setup, number: str, customer: str) -> Sample:
    """A fixed-fee contract with two lines and three milestones."""
    project = _project(setup, number, customer, BillingKind.MILESTONES)
    parts = [
        BillingMilestone(
            key=part_key(project.key, "M", name),
            project=project.key,
            name=f"Stage {name} & more",
            amount=Decimal(amount),
            currency=setup.currency,
            bill_on=date(2031, month, 28),
            revenue_category=setup.revenue_category,
        )
        for name, amount, month in (("design", "10000.10", 1), ("build", "1234567.89", 2), ("hand over", "0.01", 3))
    ]
    return _sample(setup, (_customer(customer), project, *_lines(setup, project), *parts))


def time_and_materials(setup: Setup, number: str, customer: str) -> Sample:
    """A contract by the hour with two roles, the keys of its shared categories made of its number."""
    project = _project(setup, number, customer, BillingKind.TIME_AND_MATERIALS)
    categories = [
        LabourCategory(BusinessKey(f"{role}-{number}"), f"Role {role}", setup.revenue_category) for role in ("SE", "PM")
    ]
    rates = [
        Rate(
            key=part_key(project.key, "R", category.key),
            project=project.key,
            category=category.key,
            name=category.name,
            rate=Decimal("187.50"),
            currency=setup.currency,
            planned_hours=Decimal("120.5"),
            revenue_category=setup.revenue_category,
        )
        for category in categories
    ]
    return _sample(setup, (_customer(customer), *categories, project, *_lines(setup, project)[:1], *rates))


def over_time(sample: Sample) -> Sample:
    """For an ERP with dated prices: each rate with another one that follows within a month."""
    objects: list[ErpObject] = []
    for one in sample.objects:
        if not isinstance(one, Rate):
            objects.append(one)
            continue
        first = DatedRate(**{each.name: getattr(one, each.name) for each in fields(Rate)})
        later = date(2031, 3, 15)
        second = replace(first, key=BusinessKey(f"{one.key}@{later}"), rate=Decimal("199.99"), valid_from=later)
        objects += [first, second]
    return replace(sample, objects=tuple(objects))


def _customer(code: str) -> Customer:
    return Customer(BusinessKey(code), f"Customer {code}", f"TAX-{code}", "US")


def _project(setup: Setup, number: str, customer: str, billing: BillingKind) -> Project:
    return Project(
        key=contract_key("crm", number),
        name=f"Contract {number} – Zürich",
        customer=BusinessKey(customer),
        legal_entity=setup.legal_entity,
        billing=billing,
        currency=setup.currency,
        value=Decimal("1250000.00"),
        starts_on=date(2031, 1, 1),
        ends_on=date(2031, 6, 30),
        payment_terms=setup.payment_terms,
        tax_code=setup.tax_code,
        po_number=f"PO-{number}",
        not_to_exceed=Decimal("900000") if billing is BillingKind.TIME_AND_MATERIALS else None,
        billable=True,
    )


def _lines(setup: Setup, project: Project) -> list[Line]:
    return [
        Line(
            key=part_key(project.key, "L", name),
            project=project.key,
            description=f"Line {name}",
            amount=Decimal("625000"),
            currency=setup.currency,
            recognition=Recognition.OVER_TIME,
            revenue_account=setup.revenue_account,
            revenue_category=setup.revenue_category,
        )
        for name in ("1", "2")
    ]


def _sample(setup: Setup, objects: tuple[ErpObject, ...]) -> Sample:
    project = next(o for o in objects if isinstance(o, Project))
    scope = Scope(
        contract=project.key,
        legal_entity=setup.legal_entity,
        customer=project.customer,
        tax_code=setup.tax_code,
        payment_terms=setup.payment_terms,
        labour_categories=tuple(o.key for o in objects if isinstance(o, LabourCategory)),
        revenue_categories=(setup.revenue_category,),
    )
    return Sample(scope, objects)
