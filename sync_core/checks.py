"""Pre-checks: everything that must be right before the first write to an ERP, as findings for the right function.

Pure. `contract_findings` needs the contract and the estate alone; `reference_findings` needs a fresh read of the
ERP's master data. A finding's `cause` is stable: it groups exceptions and closes them when it stops arising.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from sync_core.cases.approvals import approval_findings
from sync_core.cases.ownership import CAUSES, Arises
from sync_core.contract import Approval, BillingKind, ClauseStatus, Contract, Terms
from sync_core.derive import lines_of, revenue_rule
from sync_core.desired import Desired, Kind, LabourCategory, Project
from sync_core.errors import ErrorClass, Function, InvalidMoney
from sync_core.estate.estate import Entity, Estate
from sync_core.findings import Finding as Finding
from sync_core.life.clauses import clause_findings
from sync_core.money import Money
from sync_core.policy.fields import FIELDS, lacking
from sync_core.ports import Capabilities, Observation, References

# What cannot be looked for where this is found: it may be there or not. Of references, `Looked` says it.
_HIDES: Final[Mapping[str, frozenset[str]]] = {
    "amount_invalid": frozenset({"lines_do_not_add_up", "approval_needed", "approval_refused"}),
    "double_in_erp": frozenset({"billed_differs", "ownership_conflict"}),  # the plan compares one of the two
    "milestone_key_reused": frozenset({"billed_differs"}),
}
_HIDE_ALL: Final = frozenset({"terms_missing", "legal_entity_unknown"})
_DRAFTS: Final = frozenset(cause.name for cause in CAUSES.values() if cause.arises is Arises.DRAFT)  # over with it
_AT_THE_END: Final = frozenset({"amendment_missing"})  # looked for once all else was applied


@dataclass(frozen=True, slots=True)
class Looked:
    """What was found in an ERP's master data, and the causes that were looked for there, found or not."""

    findings: tuple[Finding, ...] = ()
    causes: frozenset[str] = frozenset()


def checked(found: Iterable[Finding], *steps: Arises) -> frozenset[str]:
    """The causes that a run looked for in these steps, where it found these: what it did not find of them is gone.

    Not those of references, of which `reference_findings` says what it looked for.
    """
    causes = {finding.cause for finding in found}
    of_steps = frozenset(cause.name for cause in CAUSES.values() if cause.arises in steps)
    if causes & _HIDE_ALL:
        return of_steps & _DRAFTS
    hidden = _AT_THE_END.union(*(_HIDES.get(cause, frozenset()) for cause in causes))
    return of_steps - hidden


def contract_findings(contract: Contract, estate: Estate) -> list[Finding]:
    """What the contract itself lacks. Expects the terms to be there (a contract that was signed has them)."""
    terms = contract.terms
    if terms is None:
        words = f"the contract is {contract.stage} but its terms were never sent; publish it again from the CLM"
        return [Finding(ErrorClass.MISSING_DATA, "terms_missing", Function.LEGAL, words)]
    entity = estate.entities.get(terms.legal_entity)
    if entity is None:
        code = terms.legal_entity
        named = f"legal entity {code!r} is not in the estate" if code else "the contract names no legal entity"
        words = f"{named}; correct the contract or add the entity"
        return [Finding(ErrorClass.REFERENCE_MISSING, "legal_entity_unknown", Function.MASTER_DATA, words)]
    return [
        *_contradictions(contract),
        *_customer(terms),
        *_approval(contract),
        *clause_findings(contract, estate),
        *_amounts(terms),
        *_dates(terms),
        *_billing(terms),
        *_attributes(terms, estate),
        *_revenue(terms, estate),
        *approval_findings(contract, estate),
    ]


def _contradictions(contract: Contract) -> Iterator[Finding]:
    if contract.problems:
        words = f"{'; '.join(contract.problems)}; publish the contract again from the CLM"
        yield Finding(ErrorClass.SEQUENCE_GAP, "events_contradict", Function.LEGAL, words)


def _customer(terms: Terms) -> Iterator[Finding]:
    if not terms.customer.code.strip():
        words = "the contract names no customer; find out who it is and correct the contract"
        yield Finding(ErrorClass.MISSING_DATA, "customer_missing", Function.MASTER_DATA, words)


def _approval(contract: Contract) -> Iterator[Finding]:
    if contract.approval is Approval.REJECTED:
        words = "the contract's approval was rejected; approve it or cancel the contract"
        yield Finding(ErrorClass.POLICY_DENIED, "approval_rejected", Function.LEGAL, words)
    refused = [name for name, status in contract.clauses if status is ClauseStatus.REJECTED]
    if refused:
        words = f"clauses not approved: {', '.join(refused)}; approve or renegotiate them"
        yield Finding(ErrorClass.POLICY_DENIED, "clause_rejected", Function.LEGAL, words)


def _amounts(terms: Terms) -> Iterator[Finding]:
    stated: list[tuple[str, Decimal]] = [("value", terms.value)]
    stated += [(f"line {line.key}", line.amount) for line in terms.lines]
    stated += [(f"milestone {milestone.key}", milestone.amount) for milestone in terms.milestones]
    for what, amount in stated:
        try:
            Money.of(amount, terms.currency)
        except InvalidMoney as wrong:
            words = f"{what}: {wrong.message}"
            yield Finding(ErrorClass.MISSING_DATA, "amount_invalid", Function.LEGAL, words)
            return
    total = sum((line.amount for line in terms.lines), Decimal(0))
    if terms.lines and total != terms.value:
        words = f"contract lines add up to {total}, the contract says {terms.value} {terms.currency}"
        yield Finding(ErrorClass.MISSING_DATA, "lines_do_not_add_up", Function.LEGAL, words)


def _dates(terms: Terms) -> Iterator[Finding]:
    if terms.ends_on is not None and terms.ends_on < terms.starts_on:
        words = f"the contract ends on {terms.ends_on}, before it starts on {terms.starts_on}"
        yield Finding(ErrorClass.MISSING_DATA, "end_before_start", Function.LEGAL, words)


def _billing(terms: Terms) -> Iterator[Finding]:
    if terms.billing.kind is BillingKind.MILESTONES:
        yield from _milestones(terms)
    else:
        yield from _rates(terms)
    twice = _twice([line.key for line in terms.lines])
    if twice:
        words = f"contract line keys used more than once: {', '.join(twice)}"
        yield Finding(ErrorClass.MISSING_DATA, "line_key_twice", Function.LEGAL, words)
    keys = [line.key for line in terms.lines] + [""]
    parts = [(m.key, m.line) for m in terms.milestones] + [(r.category, r.line) for r in terms.rates]
    astray = [key for key, line in parts if (line or "") not in keys]
    if astray:
        words = f"{', '.join(astray)} belong to contract lines that do not exist"
        yield Finding(ErrorClass.MISSING_DATA, "line_unknown", Function.LEGAL, words)


def _milestones(terms: Terms) -> Iterator[Finding]:
    total = sum((milestone.amount for milestone in terms.milestones), Decimal(0))
    if total != terms.value:
        words = f"milestones add up to {total}, the contract says {terms.value} {terms.currency}"
        yield Finding(ErrorClass.MISSING_DATA, "milestones_do_not_add_up", Function.LEGAL, words)
    twice = _twice(milestone.key for milestone in terms.milestones)
    if twice:
        words = f"milestone keys used more than once: {', '.join(twice)}"
        yield Finding(ErrorClass.MISSING_DATA, "milestone_key_twice", Function.LEGAL, words)


def _rates(terms: Terms) -> Iterator[Finding]:
    if terms.milestones:
        words = "milestones in a contract that bills by time; split it, or correct how it bills"
        yield Finding(ErrorClass.MISSING_DATA, "billing_mixed", Function.LEGAL, words)
    if not terms.rates:
        words = "a time-and-materials contract without a rate card; add a rate per labour category"
        yield Finding(ErrorClass.MISSING_DATA, "rate_card_missing", Function.DELIVERY, words)
    twice = _twice(f"{rate.category} from {rate.valid_from or 'the start'}" for rate in terms.rates)
    if twice:
        words = f"two rates for one category and day: {', '.join(twice)}; keep one"
        yield Finding(ErrorClass.MISSING_DATA, "rate_twice", Function.DELIVERY, words)
    unpriced = sorted({rate.category for rate in terms.rates if rate.rate <= 0})
    if unpriced:
        words = f"no rate for {', '.join(unpriced)}; agree one and correct the rate card"
        yield Finding(ErrorClass.MISSING_DATA, "rate_missing", Function.DELIVERY, words)


def _twice(keys: Iterable[str]) -> list[str]:
    return sorted(key for key, times in Counter(keys).items() if times > 1)


def _attributes(terms: Terms, estate: Estate) -> Iterator[Finding]:
    if not terms.tax.exempt and estate.tax_code_of(terms) is None:
        words = "neither a tax code nor an exemption; determine the tax and correct the contract"
        yield Finding(ErrorClass.MISSING_DATA, "tax_code_missing", Function.TAX, words)
    rule = estate.mandatory_for(terms)
    absent = lacking(terms, rule.fields) if rule else []
    if "po_number" in absent:
        words = f"{terms.legal_entity} bills only against a purchase order; ask the customer for its number"
        yield Finding(ErrorClass.MISSING_DATA, "po_missing", Function.FINANCE_OPERATIONS, words)
    others = [FIELDS[name].label for name in absent if name != "po_number"]
    if rule and others:
        words = f"the contract does not state: {', '.join(others)}; the policy's rule “{rule.name}” asks for it"
        yield Finding(ErrorClass.MISSING_DATA, "mandatory_missing", Function.LEGAL, words)


def _revenue(terms: Terms, estate: Estate) -> Iterator[Finding]:
    bare = [line.key for line in lines_of(terms) if revenue_rule(terms, line, estate) is None]
    if bare:
        words = f"no revenue rule fits line {', '.join(bare)} ({terms.billing.kind}, {terms.service_line})"
        yield Finding(ErrorClass.MISSING_DATA, "revenue_rule_missing", Function.FINANCE_OPERATIONS, words)


# A cause that was looked for, and what was found of it.
_Asked = tuple[str, Finding | None]


def reference_findings(desired: Desired, observed: Observation, estate: Estate, capabilities: Capabilities) -> Looked:
    """What the ERP lacks for this contract: nothing may be written while there is one of these."""
    project = desired.project
    if project is None:
        return Looked()
    entity = estate.entities[project.legal_entity]
    asked = [*_ledger(project, observed.references, capabilities), *_shared(desired, observed, entity)]
    return Looked(tuple(found for _, found in asked if found), frozenset(cause for cause, _ in asked))


def missing(
    cause: str, function: Function, words: str, *, found: bool, error: ErrorClass = ErrorClass.REFERENCE_MISSING
) -> _Asked:
    """`found`: the cause, whose words these are."""
    return cause, Finding(error, cause, function, words) if found else None


def _ledger(project: Project, refs: References, capabilities: Capabilities) -> Iterator[_Asked]:
    code, gone = project.legal_entity, refs.legal_entity is None
    words = f"the ERP has no legal entity {code}; create it there"
    yield missing("legal_entity_missing", Function.MASTER_DATA, words, found=gone)
    if gone:
        return  # its taxes, categories and periods are missing with it: one cause, one function
    differs = refs.entity_currency != project.currency and not capabilities.foreign_currency
    words = f"{code} keeps its books in {refs.entity_currency}, the contract is in {project.currency}"
    yield missing("currency_differs", Function.FINANCE_OPERATIONS, words, found=differs, error=ErrorClass.MISSING_DATA)
    words = f"the ERP has no tax profile {project.tax_code} for {code}; set it up there"
    yield missing("tax_profile_missing", Function.TAX, words, found=not refs.tax_profile, error=ErrorClass.MISSING_DATA)
    words = f"the ERP has no payment terms {project.payment_terms}; add them there"
    yield missing("payment_terms_missing", Function.FINANCE_OPERATIONS, words, found=not refs.payment_terms)
    lacking = refs.missing_revenue_categories
    words = f"the ERP has no revenue category {', '.join(lacking)}; add it there"
    yield missing("revenue_category_missing", Function.FINANCE_OPERATIONS, words, found=bool(lacking))
    words = f"no open accounting period of {code} for {project.starts_on}; open it or move the start"
    yield missing(
        "period_closed", Function.FINANCE_OPERATIONS, words, found=not refs.open_period, error=ErrorClass.ERP_REJECTED
    )


def _shared(desired: Desired, observed: Observation, entity: Entity) -> Iterator[_Asked]:
    held = Counter((f.kind, f.key) for f in observed.found if f.active)
    refs, project = observed.references, desired.project
    code = project.customer if project else None
    unknown = code is not None and not held[Kind.CUSTOMER, code] and not desired.may_create_customer
    words = f"the ERP has no customer {code}; create it in master data (policy does not let us create it)"
    yield missing("customer_unknown", Function.MASTER_DATA, words, found=unknown)
    # Without the legal entity an ERP may not know how the customer is taxed there, and says that nothing is amiss.
    if not unknown and (refs.legal_entity is not None or not refs.customer_tax_profile):
        words = f"customer {code} has no tax registration in the ERP; complete its tax profile there"
        bare = not refs.customer_tax_profile
        yield missing("customer_tax_profile_missing", Function.TAX, words, found=bare, error=ErrorClass.MISSING_DATA)
    absent = [o.key for o in desired.objects if isinstance(o, LabourCategory) and not held[Kind.LABOUR_CATEGORY, o.key]]
    lacks = bool(absent) and not entity.create_labour_categories
    words = f"the ERP has no labour category {', '.join(absent)}; add it there"
    yield missing("labour_category_missing", Function.DELIVERY, words, found=lacks)
    doubles = sorted(key for (kind, key), times in held.items() if kind.shared and times > 1)
    words = f"the ERP holds {', '.join(doubles)} more than once; merge the doubles there"
    yield missing(
        "master_data_double", Function.MASTER_DATA, words, found=bool(doubles), error=ErrorClass.DUPLICATE_FOUND
    )
