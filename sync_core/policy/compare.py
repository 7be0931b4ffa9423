"""The back-test of a policy: what becomes of contracts under it, against what becomes of them now. Pure.

Each side is the engine's own answer (`intend_of`), as far as it is known before an ERP was read.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum

from sync_core.cases.approvals import NEEDED, reporting_amount, request
from sync_core.cases.approvals import standing as standing_decision
from sync_core.contract import Contract, Stage
from sync_core.engine.look import intend_of
from sync_core.errors import Function, InvalidMoney
from sync_core.estate.estate import Estate
from sync_core.findings import Finding
from sync_core.life.clauses import unapproved
from sync_core.money import Money
from sync_core.moving.moving import Placement
from sync_core.policy.fields import lacking
from sync_core.policy.rule import days_of


class Effect(StrEnum):
    """What a policy changes for a contract."""

    ROUTE = "route"  # it goes to another ERP
    APPROVAL = "approval"  # it waits for another approval, for one at all, or for none any more
    OWNER = "owner"  # another function gets its exception
    SLA = "sla"  # the same function has another time for it
    MANDATORY = "mandatory"  # it lacks fields that are asked for, or lacks none any more
    TAX = "tax"  # another tax code
    BILL_RUNS = "bill_runs"  # it is invoiced on other days of the month
    CLAUSE = "clause"  # other clauses are still to be approved, or none any more
    BLOCKED = "blocked"  # it is stopped before an ERP is written, or no longer


@dataclass(frozen=True, slots=True)
class Known:
    """One contract as the database knows it. `project_in`: the ERP that holds its project."""

    contract_id: int
    contract: Contract
    project_in: str | None = None
    placed_in: str | None = None  # since it was moved, whatever the policy says


@dataclass(frozen=True, slots=True)
class Standing:
    """What becomes of one contract under one policy. Owners: by cause the function and its working hours."""

    lane: str
    causes: tuple[str, ...]
    approval: str
    missing: tuple[str, ...]
    tax_code: str
    bill_runs: str
    clauses: tuple[str, ...]
    owners: Mapping[str, tuple[Function, int | None]]


@dataclass(frozen=True, slots=True)
class Change:
    effect: Effect
    before: str
    after: str


@dataclass(frozen=True, slots=True)
class Difference:
    contract_id: int
    external_id: str
    legal_entity: str
    changes: tuple[Change, ...]
    amount: Decimal | None = None  # the contract's value in the reporting currency; None: no rate is known


def standing(known: Known, estate: Estate, *, now: datetime) -> Standing:
    placement = Placement(known.placed_in) if known.placed_in else None
    intent = intend_of(known.contract, known.project_in, estate, {}, now=now, placement=placement)
    contract, terms = known.contract, known.contract.terms
    causes = tuple(sorted({finding.cause for finding in intent.stops}))
    owners = {finding.cause: _owner(finding, contract, estate) for finding in intent.stops}
    if terms is None or contract.stage is not Stage.SIGNED or terms.legal_entity not in estate.entities:
        return Standing("", causes, "", (), "", "", (), owners)  # the engine asks the other tables of nothing like it
    rule = estate.mandatory_for(terms)
    return Standing(
        lane=known.placed_in or estate.lane_of(terms) or "",
        causes=causes,
        approval=_approval(contract, intent.stops, estate),
        missing=tuple(lacking(terms, rule.fields)) if rule else (),
        tax_code=estate.tax_code_of(terms) or "",
        bill_runs=days_of(estate.entities[terms.legal_entity].bill_runs),
        clauses=tuple(unapproved(contract, estate)),
        owners=owners,
    )


def _approval(contract: Contract, stops: Iterable[Finding], estate: Estate) -> str:
    """The name of the rule whose approval it waits for, or was decided under."""
    asked = request(contract, estate)
    if asked is None:
        return ""
    waits = any(finding.cause == NEEDED for finding in stops)
    return asked.rule.name if waits or standing_decision(contract, asked) is not None else ""


def _owner(finding: Finding, contract: Contract, estate: Estate) -> tuple[Function, int | None]:
    rule = estate.owner_of(contract.terms, finding.cause) if contract.terms else None
    function = (rule.function if rule else None) or finding.function
    owner = estate.owners.get(function)
    usual = owner.sla_working_hours if owner else None
    return function, rule.sla_working_hours if rule and rule.sla_working_hours is not None else usual


def changes(before: Standing, after: Standing) -> Iterator[Change]:
    sides = (
        (Effect.ROUTE, before.lane, after.lane),
        (Effect.APPROVAL, before.approval, after.approval),
        (Effect.MANDATORY, ", ".join(before.missing), ", ".join(after.missing)),
        (Effect.TAX, before.tax_code, after.tax_code),
        (Effect.BILL_RUNS, before.bill_runs, after.bill_runs),
        (Effect.CLAUSE, ", ".join(before.clauses), ", ".join(after.clauses)),
        (Effect.BLOCKED, ", ".join(before.causes), ", ".join(after.causes)),
    )
    for effect, old, new in sides:
        if old != new:
            yield Change(effect, old, new)
    for cause in sorted(before.owners.keys() & after.owners.keys()):
        (was, hours), (becomes, allowed) = before.owners[cause], after.owners[cause]
        if was != becomes:
            yield Change(Effect.OWNER, f"{cause}: {was}", f"{cause}: {becomes}")
        elif hours != allowed:
            yield Change(Effect.SLA, f"{cause}: {hours} h", f"{cause}: {allowed} h")


def back_test(contracts: Iterable[Known], before: Estate, after: Estate, *, now: datetime) -> Iterator[Difference]:
    """Those of `contracts` for which anything changes, in their order."""
    for known in contracts:
        found = tuple(changes(standing(known, before, now=now), standing(known, after, now=now)))
        if found:
            terms = known.contract.terms
            entity = terms.legal_entity if terms else ""
            amount = amount_of(known.contract, before)
            yield Difference(known.contract_id, known.contract.external_id, entity, found, amount)


def amount_of(contract: Contract, estate: Estate) -> Decimal | None:
    """Its value in the reporting currency, at the rate of its signature; None: there is none, or no rate."""
    terms = contract.terms
    if terms is None:
        return None
    try:
        return reporting_amount(contract, Money.of(terms.value, terms.currency), estate)
    except InvalidMoney:
        return None
