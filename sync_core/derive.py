"""From the canonical contract to the ERP objects that must exist for it. Pure; `on` is passed in, no clock is read.

The amounts of the parts come from the contract as signed; nothing is rounded, split or invented here.
"""

from dataclasses import fields, replace
from datetime import date

from sync_core.contract import BillingKind, Contract, ContractLine, LabourRate, Terms
from sync_core.desired import (
    BillingMilestone,
    Customer,
    DatedRate,
    Desired,
    ErpObject,
    LabourCategory,
    Line,
    Project,
    Rate,
    Recognition,
)
from sync_core.estate.estate import Estate, RevenueRule
from sync_core.keys import BusinessKey, contract_key, part_key
from sync_core.life import rate_periods
from sync_core.life.lifecycle import on_day

_NO_RULE = RevenueRule(recognition=Recognition.AS_INVOICED, account="", category="")


def derive(contract: Contract, estate: Estate, *, on: date) -> Desired:
    """What must exist on the day `on`. A draft wants no open project, nor does a contract that has ended by then, but
    for what it has left to bill; a suspended one wants a project that bills nothing.

    Expects a contract that passed `findings` (sync_core/checks.py): its CLM and legal entity are in the estate.
    """
    clm = estate.clms[contract.source]
    key = contract_key(clm.name, contract.external_id)
    standing = on_day(contract, on)
    lane = estate.lane_of(standing.contract.terms) or ""
    terms = standing.wanted
    if terms is None:
        return Desired(key, lane, (), may_create_customer=False)
    rates, next_rate = _rates_in_force(terms, on) if _by_time(terms) else ([], None)
    changes_on = min((day for day in (next_rate, standing.changes_on) if day), default=None)
    project = _project(key, terms, estate, billable=standing.suspension is None)
    objects: list[ErpObject] = [_customer(terms), *_categories(terms, rates, estate), project]
    objects += [_line(key, terms, line, estate) for line in lines_of(terms)]
    if not _by_time(terms):
        objects += _milestones(key, terms, estate)
    objects += [_rate(key, terms, rate, estate) for rate in rates]
    creates = estate.entities[terms.legal_entity].create_customers
    earlier = frozenset(part_key(key, "M", one) for one in contract.earlier)
    desired = Desired(key, lane, tuple(objects), creates, changes_on, standing.ended_on, earlier)
    return _priced(desired, contract, terms, estate, on) if _by_time(terms) else desired


def _priced(desired: Desired, contract: Contract, terms: Terms, estate: Estate, on: date) -> Desired:
    """With the rates over time, and with what a change of them means to an ERP that has no place for those."""
    line = rate_periods.line_of_time(contract)
    over_time: list[LabourCategory | DatedRate] = []
    for card in rate_periods.periods(line, on).values():
        over_time += _categories(terms, [card[-1].rate], estate)
        over_time += [
            _dated_rate(_rate(desired.contract, terms, one.rate, estate), one.since, first=one is card[0])
            for one in card
        ]
    changes = rate_periods.price_changes(line)
    return replace(
        desired,
        periods=tuple(over_time),
        unbilled=rate_periods.unbilled(changes, on),
        looks_on=rate_periods.next_look(changes, on),
    )


def _by_time(terms: Terms) -> bool:
    """The rate card of a contract that bills by milestones only prices change requests: it must bill nothing."""
    return terms.billing.kind is BillingKind.TIME_AND_MATERIALS


def lines_of(terms: Terms) -> tuple[ContractLine, ...]:
    """The contract's lines; a contract without any has one line over its whole value."""
    return terms.lines or (ContractLine("1", terms.title, terms.value),)


def _customer(terms: Terms) -> Customer:
    party = terms.customer
    return Customer(BusinessKey(party.code), party.name, party.tax_id, party.country)


def _project(key: BusinessKey, terms: Terms, estate: Estate, *, billable: bool) -> Project:
    return Project(
        key=key,
        name=terms.title,
        customer=BusinessKey(terms.customer.code),
        legal_entity=terms.legal_entity,
        billing=terms.billing.kind,
        currency=terms.currency,
        value=terms.value,
        starts_on=terms.starts_on,
        ends_on=terms.ends_on,
        payment_terms=terms.billing.payment_terms,
        tax_code=estate.tax_code_of(terms),
        po_number=terms.po_number,
        not_to_exceed=terms.billing.not_to_exceed,
        billable=billable,
    )


def revenue_rule(terms: Terms, line: ContractLine | None, estate: Estate) -> RevenueRule | None:
    service_line = line.service_line if line and line.service_line else terms.service_line
    return estate.revenue_for(terms.billing.kind, service_line, terms.legal_entity)


def _treatment(terms: Terms, line_key: str | None, estate: Estate) -> RevenueRule:
    line = next((line for line in terms.lines if line.key == line_key), None)
    return revenue_rule(terms, line, estate) or _NO_RULE


def _line(key: BusinessKey, terms: Terms, line: ContractLine, estate: Estate) -> Line:
    rule = revenue_rule(terms, line, estate) or _NO_RULE
    return Line(
        key=part_key(key, "L", line.key),
        project=key,
        description=line.description,
        amount=line.amount,
        currency=terms.currency,
        recognition=rule.recognition,
        revenue_account=rule.account,
        revenue_category=rule.category,
    )


def _milestones(key: BusinessKey, terms: Terms, estate: Estate) -> list[BillingMilestone]:
    return [
        BillingMilestone(
            key=part_key(key, "M", milestone.key),
            project=key,
            name=milestone.name,
            amount=milestone.amount,
            currency=terms.currency,
            bill_on=milestone.due_on,
            revenue_category=_treatment(terms, milestone.line, estate).category,
        )
        for milestone in terms.milestones
    ]


def _rates_in_force(terms: Terms, on: date) -> tuple[list[LabourRate], date | None]:
    """Per category the latest rate not after `on` (or the first one, before the card begins), and the next change."""
    chosen = list(rate_periods.in_force(terms.rates, on).values())
    later = (r.valid_from for r in terms.rates if r.valid_from and r.valid_from > on and r not in chosen)
    return chosen, min(later, default=None)


def _categories(terms: Terms, rates: list[LabourRate], estate: Estate) -> list[LabourCategory]:
    return [
        LabourCategory(BusinessKey(rate.category), rate.name, _treatment(terms, rate.line, estate).category)
        for rate in rates
    ]


def _dated_rate(rate: Rate, since: date | None, *, first: bool) -> DatedRate:
    """The first one bears the key that the category's price has in an ERP with a single one."""
    named = {one.name: getattr(rate, one.name) for one in fields(Rate)}
    if not first:
        named["key"] = BusinessKey(f"{rate.key}@{since}")
    return DatedRate(**named, valid_from=since)


def _rate(key: BusinessKey, terms: Terms, rate: LabourRate, estate: Estate) -> Rate:
    return Rate(
        key=part_key(key, "R", rate.category),
        project=key,
        category=BusinessKey(rate.category),
        name=rate.name,
        rate=rate.rate,
        currency=terms.currency,
        planned_hours=rate.planned_hours,
        revenue_category=_treatment(terms, rate.line, estate).category,
    )
