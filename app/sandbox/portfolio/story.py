"""A whole contract from first draft to last amendment, with or without a defect, as steps in time."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from random import Random
from zoneinfo import ZoneInfo

from app.sandbox.chance import chance
from app.sandbox.clm.changes import ChangeKind
from app.sandbox.master_data import (
    CustomerRecord,
    PutCustomer,
    SwitchPeriod,
    domestic_tax,
    service_lines,
)
from app.sandbox.portfolio.afterwards import afterwards
from app.sandbox.portfolio.case import Case, Tempo
from app.sandbox.portfolio.defects import Defect
from app.sandbox.portfolio.firms import KNOWN, firm
from app.sandbox.portfolio.signing import before_signature, signature
from app.sandbox.portfolio.steps import Step
from app.sandbox.portfolio.terms import Deal, make_terms
from app.sandbox.portfolio.words import SUSPENDED
from sync_core.contract import BillingKind, TaxAttributes, Terms
from sync_core.estate.estate import Entity, Estate
from sync_core.money import quantum

_FIXED_SHARE, _AT_HOME, _NEWCOMERS, _TRIALS = 0.6, 0.8, 0.1, 0.008
_BILLING = {
    Defect.MILESTONES_OFF: BillingKind.MILESTONES,
    Defect.UNNUMBERED_CHANGE: BillingKind.MILESTONES,
    Defect.RATE_MISSING: BillingKind.TIME_AND_MATERIALS,
    Defect.PERIOD_CLOSED: BillingKind.MILESTONES,
}


@dataclass(frozen=True, slots=True)
class Signing:
    """What is settled of a contract before its story is told."""

    seed: object
    number: int  # from 1; unique in its plan
    contract_id: str
    entity: Entity
    at: datetime
    defect: Defect | None = None
    mended_at: datetime | None = None  # set: the defect is not mended before, however fast its owner is
    suspended_at: datetime | None = None


def tell(signing: Signing, estate: Estate, *, earliest: datetime, tempo: Tempo) -> list[Step]:
    """All steps, sorted by time; none before `earliest`."""
    rng = chance(signing.seed, "contract", signing.number)
    deal = _deal(rng, signing, estate)
    terms = _faultless(make_terms(rng, deal, estate), signing)
    if signing.defect is None and rng.random() < _TRIALS:
        terms = replace(terms, test=True, title=f"Trial: {terms.title}")
    spoil = _SPOILERS.get(signing.defect) if signing.defect else None
    case = Case(
        rng=rng,
        contract_id=signing.contract_id,
        entity=signing.entity,
        signed_at=signing.at,
        earliest=earliest,
        tempo=tempo,
        terms=terms,
        shown=spoil(rng, terms, deal) if spoil else terms,
        defect=signing.defect,
        mended_at=signing.mended_at,
    )
    if signing.defect is Defect.SHARED_LOCAL_ID:
        case.contract_id = f"PR-{signing.number:05d}:1"
        case.extra = {"process_id": f"PR-{signing.number:05d}", "local_id": "1"}
    before_signature(case)
    signature(case)
    _master_data(case, deal.customer)
    afterwards(case)
    if signing.suspended_at is not None:
        begins_on = signing.suspended_at.date().isoformat()
        case.tell(signing.suspended_at, ChangeKind.SUSPENDED, {"suspended_on": begins_on, "reason": SUSPENDED})
    return sorted(case.steps, key=lambda step: step.at)


def eligible(defect: Defect, entity: Entity) -> bool:
    """Whether a contract of this entity can have the defect."""
    if defect is Defect.CUSTOMER_UNKNOWN:
        return not entity.create_customers
    return entity.po_required if defect is Defect.PO_MISSING else True


def _deal(rng: Random, signing: Signing, estate: Estate) -> Deal:
    lines = service_lines(estate)
    index = rng.choices(range(len(lines)), [len(lines) + 1 - n for n in range(len(lines))])[0]
    kinds = (BillingKind.MILESTONES, BillingKind.TIME_AND_MATERIALS)
    drawn = rng.choices(kinds, [_FIXED_SHARE, 1 - _FIXED_SHARE])[0]
    billing = _BILLING.get(signing.defect, drawn) if signing.defect else drawn
    signed_on = signing.at.astimezone(ZoneInfo(signing.entity.timezone)).date()
    return Deal(signing.entity, _customer(rng, signing), lines[index], index, billing, signed_on)


def _customer(rng: Random, signing: Signing) -> CustomerRecord:
    """A few customers come again and again; most sit in the entity's country; some defects want a new one."""
    new = signing.entity.create_customers and rng.random() < _NEWCOMERS
    if new or signing.defect in (Defect.CUSTOMER_UNKNOWN, Defect.CUSTOMER_UNTAXED):
        return firm(KNOWN + signing.number)
    for _ in range(60):
        found = firm(1 + int(KNOWN * rng.random() ** 1.8))
        if found.country == signing.entity.country or rng.random() > _AT_HOME:
            return found
    return firm(1)


def _faultless(terms: Terms, signing: Signing) -> Terms:
    """True terms that make the defect the only thing that is wrong."""
    if signing.defect is Defect.TAX_CODE_MISSING and terms.tax.exempt:
        return replace(terms, tax=TaxAttributes(domestic_tax(signing.entity)))
    if signing.defect is not Defect.PERIOD_CLOSED:
        return terms
    # A start so far ahead that the period of its first bill is not open yet: hardly anybody else's is held up by it.
    later = timedelta(days=30 * chance(signing.seed, "period", signing.number).randrange(10, 16))
    renewal = replace(
        terms.renewal,
        renews_on=terms.renewal.renews_on + later if terms.renewal.renews_on else None,
        notice_by=terms.renewal.notice_by + later if terms.renewal.notice_by else None,
    )
    return replace(
        terms,
        starts_on=terms.starts_on + later,
        ends_on=terms.ends_on + later if terms.ends_on else None,
        milestones=tuple(replace(m, due_on=m.due_on + later) for m in terms.milestones),
        renewal=renewal,
    )


def _master_data(case: Case, customer: CustomerRecord) -> None:
    """What happens in the ERP's master data on the way: missing before the signature, completed after it."""
    defect, shown = case.defect, case.over_at or case.signed_at
    if defect is Defect.CUSTOMER_UNTAXED:
        opened_at = min(step.at for step in case.steps) - timedelta(hours=2)
        case.meanwhile(opened_at, PutCustomer(replace(customer, tax_id=None, tax_profile=False)))
    if defect in (Defect.CUSTOMER_UNKNOWN, Defect.CUSTOMER_UNTAXED):
        case.meanwhile(case.repaired_at(shown, defect), PutCustomer(customer), defect=defect, repairs=True)
    if defect is Defect.PERIOD_CLOSED:
        month = min(m.due_on for m in case.terms.milestones).replace(day=1)
        case.meanwhile(case.signed_at - timedelta(minutes=2), SwitchPeriod(case.entity.code, month, open=False))
        opened = SwitchPeriod(case.entity.code, month, open=True)
        case.meanwhile(case.repaired_at(shown, defect), opened, defect=defect, repairs=True)


def _milestones_off(rng: Random, terms: Terms, _deal: Deal) -> Terms:
    last = terms.milestones[-1]
    wrong = last.amount + quantum(terms.currency) * rng.choice([1, 100, 1000, 9000])
    return replace(terms, milestones=(*terms.milestones[:-1], replace(last, amount=wrong)))


def _rate_missing(rng: Random, terms: Terms, _deal: Deal) -> Terms:
    unpriced = rng.choice(terms.rates)
    rates = tuple(replace(rate, rate=rate.rate * 0) if rate is unpriced else rate for rate in terms.rates)
    return replace(terms, rates=rates)


def _end_before_start(rng: Random, terms: Terms, _deal: Deal) -> Terms:
    return replace(terms, ends_on=terms.starts_on - timedelta(days=rng.randrange(1, 60)))


def _work_before_signature(rng: Random, terms: Terms, deal: Deal) -> Terms:
    return replace(terms, starts_on=deal.signed_on - timedelta(days=rng.randrange(3, 45)))


_SPOILERS: Mapping[Defect, Callable[[Random, Terms, Deal], Terms]] = {
    Defect.TAX_CODE_MISSING: lambda _rng, terms, _deal: replace(terms, tax=TaxAttributes()),
    Defect.MILESTONES_OFF: _milestones_off,
    Defect.RATE_MISSING: _rate_missing,
    Defect.PO_MISSING: lambda _rng, terms, _deal: replace(terms, po_number=None),
    Defect.ENTITY_UNKNOWN: lambda _rng, terms, _deal: replace(terms, legal_entity=f"{terms.legal_entity}-OLD"),
    Defect.END_BEFORE_START: _end_before_start,
    Defect.WORK_BEFORE_SIGNATURE: _work_before_signature,
}
