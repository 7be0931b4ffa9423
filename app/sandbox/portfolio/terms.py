"""Terms of a made-up contract: value, lines, milestones or a rate card, dates, tax, purchase order, renewal.

Proportions: values are lognormal, and one contract in fifty is a programme of ten times the size; the spread of
the logarithm is 1.1 here, against 1.6 (Paraguay, PYG) and 2.0
(Portugal, EUR) in OCDS contract releases of all public buying, which is broader than one firm's offers. Renewal
terms: 163 of 510 contracts in CUAD v1 have one, mostly successive years; notice 30, 90, 60 days or 6 months in
26:16:15:13. (OCDS: DNCP Paraguay, IMPIC Portugal; CUAD v1: The Atticus Project; all CC BY 4.0.)
"""

from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from math import exp, log
from random import Random

from app.sandbox.master_data import (
    PAYMENT_TERMS,
    ROLES,
    CustomerRecord,
    Role,
    domestic_tax,
    export_tax,
    labour_code,
)
from app.sandbox.portfolio.firms import region
from app.sandbox.portfolio.planning import working_day
from app.sandbox.portfolio.words import MILESTONES, OFFERS, PHASES
from sync_core.contract import (
    BillingKind,
    BillingTerms,
    ContractLine,
    LabourRate,
    Milestone,
    Party,
    Renewal,
    TaxAttributes,
    Terms,
)
from sync_core.estate.estate import Entity, Estate
from sync_core.money import Money, quantum, rounded

_MEDIAN_USD, _SPREAD, _LEAST_USD, _MOST_USD = 140_000, 1.1, 9_000, 24_000_000
_RENEWS = 163 / 510
_NOTICE_DAYS = ((30, 26), (90, 16), (60, 15), (182, 13))


@dataclass(frozen=True, slots=True)
class Deal:
    """What is settled before the terms are written."""

    entity: Entity
    customer: CustomerRecord
    service_line: str
    service_index: int  # position of the service line in the estate: chooses the offers
    billing: BillingKind
    signed_on: date


def make_terms(rng: Random, deal: Deal, estate: Estate) -> Terms:
    """Consistent terms: parts add up exactly, amounts are whole minor units, no date before the signature."""
    starts_on = working_day(deal.signed_on + timedelta(days=int(rng.triangular(0, 30, 5))), deal.entity)
    days = min(max(int(exp(rng.gauss(log(185), 0.55))), 30), 1100)
    ends_on = working_day(starts_on + timedelta(days=days), deal.entity)
    offer = rng.choice(OFFERS[deal.service_index % len(OFFERS)])
    rate = estate.to_reporting(Decimal(1), deal.entity.currency, deal.signed_on) or Decimal(1)
    programme = rng.uniform(5, 14) if rng.random() < 0.02 else 1.0
    usd = min(max(exp(rng.gauss(log(_MEDIAN_USD), _SPREAD)) * programme, _LEAST_USD), _MOST_USD)
    target = Decimal(int(usd)) / rate
    fixed = deal.billing is BillingKind.MILESTONES
    rates = () if fixed else _rate_card(rng, deal, target, rate)
    value = _round_value(rng, target, deal.entity.currency) if fixed else _hours_value(rates)
    lines = _lines(rng, value, deal.entity.currency, fixed=fixed)
    foreign = deal.customer.country != deal.entity.country
    tax = TaxAttributes(export_tax(deal.entity) if foreign else domestic_tax(deal.entity))
    return Terms(
        title=f"{deal.customer.name}: {offer}",
        customer=Party(deal.customer.code, deal.customer.name, deal.customer.tax_id, deal.customer.country),
        legal_entity=deal.entity.code,
        service_line=deal.service_line,
        geography=region(deal.customer.country),
        currency=deal.entity.currency,
        value=value,
        starts_on=starts_on,
        ends_on=ends_on,
        billing=BillingTerms(
            deal.billing,
            rng.choices([t.code for t in PAYMENT_TERMS], [10, 4, 4, 2])[0],
            invoice_frequency="on_milestone" if fixed else "monthly",
            not_to_exceed=None if fixed else value,
        ),
        lines=lines,
        milestones=_milestones(rng, lines, deal, starts_on, ends_on) if fixed else (),
        rates=rates,
        po_number=f"PO-{rng.randrange(4_500_000, 4_599_999)}"
        if deal.entity.po_required or rng.random() < 0.6
        else None,
        tax=TaxAttributes(exempt=True) if rng.random() < 0.02 else tax,
        renewal=_renewal(rng, ends_on, fixed=fixed),
    )


def split(total: Decimal, weights: list[int], currency: str) -> list[Decimal]:
    """In these proportions, each a whole number of minor units; the last takes what rounding leaves."""
    whole = sum(weights)
    shares = [Money.of(rounded(total * weight / whole, currency), currency) for weight in weights[:-1]]
    last = Money.of(total, currency)
    for share in shares:
        last -= share
    return [*(share.amount for share in shares), last.amount]


def _round_value(rng: Random, target: Decimal, currency: str) -> Decimal:
    """Most prices are round to three digits; some come out of a calculation, down to the minor unit."""
    if rng.random() < 0.25:
        cents = Decimal(rng.randrange(1000)) * quantum(currency)
        return rounded(target, currency) + cents
    step = Decimal(5).scaleb(max(target.adjusted() - 2, 0))
    return rounded((target / step).to_integral_value() * step, currency)


def _lines(rng: Random, value: Decimal, currency: str, *, fixed: bool) -> tuple[ContractLine, ...]:
    count = rng.choices([1, 2, 3, 4], [45, 30, 17, 8])[0] if fixed else 1
    phases = PHASES[:count] if count > 1 else ("Professional services",)
    amounts = split(value, [rng.randrange(2, 7) for _ in range(count)], currency)
    return tuple(
        ContractLine(str(n), phase, amount) for n, (phase, amount) in enumerate(zip(phases, amounts, strict=True), 1)
    )


def _milestones(
    rng: Random, lines: tuple[ContractLine, ...], deal: Deal, starts_on: date, ends_on: date
) -> tuple[Milestone, ...]:
    """One to five per line; due dates climb from the start to the end of the contract."""
    plan = [(line, rng.choice([2, 3, 4, 5]) if len(lines) == 1 else rng.choice([1, 2, 2, 3])) for line in lines]
    count = sum(times for _, times in plan)
    names = MILESTONES if count <= len(MILESTONES) else (*MILESTONES, *(f"{name}, part 2" for name in MILESTONES))
    made: list[Milestone] = []
    for line, times in plan:
        for amount in split(line.amount, [rng.choice([1, 2, 2, 3, 4]) for _ in range(times)], deal.entity.currency):
            number = len(made) + 1
            due = starts_on + (ends_on - starts_on) * number / count
            name = names[(number - 1) * len(names) // count]
            made.append(Milestone(f"M{number}", name, amount, working_day(due, deal.entity), line.key))
    return tuple(made)


def _rate_card(rng: Random, deal: Deal, target: Decimal, rate: Decimal) -> tuple[LabourRate, ...]:
    """Three to six categories; hours are chosen so that the card is worth about `target`."""
    roles = sorted(rng.sample(ROLES, rng.randrange(3, 7)), key=ROLES.index)
    prices = [_price(rng, role, rate, deal.entity.currency) for role in roles]
    mix = [Decimal(ROLES.index(role) + 1) for role in roles]  # many juniors, few partners
    worth = sum((price * share for price, share in zip(prices, mix, strict=True)), Decimal(0))
    hours = [max((target * share / worth).to_integral_value(), Decimal(8)) for share in mix]
    return tuple(
        LabourRate(labour_code(deal.service_line, role), role.name, price, hour)
        for role, price, hour in zip(roles, prices, hours, strict=True)
    )


def _price(rng: Random, role: Role, rate: Decimal, currency: str) -> Decimal:
    price = Decimal(role.usd_per_hour) * Decimal(rng.randrange(85, 121)) / 100 / rate
    step = Decimal(5) if price > 50 else Decimal("0.5")
    return rounded(max((price / step).to_integral_value(), Decimal(1)) * step, currency)


def _hours_value(rates: tuple[LabourRate, ...]) -> Decimal:
    return sum((rate.rate * rate.planned_hours for rate in rates), Decimal(0))


def _renewal(rng: Random, ends_on: date, *, fixed: bool) -> Renewal:
    if rng.random() >= (_RENEWS * 0.4 if fixed else _RENEWS * 1.6):
        return Renewal()
    days = rng.choices([d for d, _ in _NOTICE_DAYS], [w for _, w in _NOTICE_DAYS])[0]
    return Renewal(ends_on, ends_on - timedelta(days=days), automatic=rng.random() < 0.7)
