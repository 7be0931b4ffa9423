"""What a contract should be and what its ERP holds: worked out alike for a run and for the preview of a replay.

`intend` needs the database's knowledge alone; `see` reads the ERP. Neither writes anything anywhere.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime
from zoneinfo import ZoneInfo

from sync_core.checks import Finding, contract_findings, reference_findings
from sync_core.contract import Contract, Stage
from sync_core.derive import derive
from sync_core.desired import Desired, LabourCategory
from sync_core.engine.claim import Loaded
from sync_core.errors import ErrorClass, Function, StoredEventUnreadable
from sync_core.estate import Estate
from sync_core.fold import fold
from sync_core.keys import BusinessKey, contract_key
from sync_core.plan import Plan, diff
from sync_core.ports import CallContext, ErpConnector, Observation, Scope


@dataclass(frozen=True, slots=True)
class Intent:
    """What should be, as far as it is known without the ERP.

    `desired` None: nothing was signed, or `findings` say what the contract lacks. `connector` None beside a desired
    state: no ERP of the estate has anything to do with it.
    """

    contract: Contract
    findings: tuple[Finding, ...] = ()
    misplaced: Finding | None = None  # its project stands in another ERP than the one it belongs to now
    desired: Desired | None = None
    lane: str = ""
    connector: ErpConnector | None = None

    @property
    def signed(self) -> bool:
        return self.contract.signed_at is not None

    @property
    def stops(self) -> tuple[Finding, ...]:
        return (*self.findings, *((self.misplaced,) if self.misplaced else ()))


@dataclass(frozen=True, slots=True)
class Sight:
    """What the ERP holds, what would be done, and what speaks against doing it."""

    scope: Scope
    desired: Desired  # without the kinds for which this ERP has no place
    observed: Observation
    plan: Plan
    findings: tuple[Finding, ...]
    looked_for: frozenset[str]  # in the ERP's master data


def intend(loaded: Loaded, estate: Estate, connectors: Mapping[str, ErpConnector], *, now: datetime) -> Intent:
    """Raises StoredEventUnreadable."""
    if loaded.unreadable is not None:
        raise StoredEventUnreadable(f"a stored event cannot be read any more: {loaded.unreadable}")
    return intend_of(fold(loaded.events), loaded.project_in, estate, connectors, now=now)


def intend_of(
    contract: Contract, project_in: str | None, estate: Estate, connectors: Mapping[str, ErpConnector], *, now: datetime
) -> Intent:
    """`project_in`: the ERP that holds its project. The back-test of a policy asks here too."""
    intent = Intent(contract)
    if not intent.signed:
        return intent
    if contract.stage is Stage.SIGNED and (findings := contract_findings(contract, estate)):
        return replace(intent, findings=tuple(findings))
    desired = derive(contract, estate, on=_today(contract, estate, now))
    lane = desired.lane if desired.project else project_in or desired.lane
    if project_in not in (None, lane):
        return replace(intent, misplaced=_elsewhere(project_in or "", lane))
    return replace(intent, desired=desired, lane=lane, connector=connectors.get(lane))


async def see(
    intent: Intent, desired: Desired, connector: ErpConnector, known: Loaded, estate: Estate, ctx: CallContext
) -> Sight:
    """A fresh read of the ERP and the plan that follows from it. Raises what the connector raises."""
    scope = scope_of(intent.contract, desired, estate)
    observed = await connector.observe(scope, ctx)
    desired = _representable(desired, connector)
    plan = diff(desired, observed.found, keep=known.known)
    looked = reference_findings(desired, observed, estate, connector.capabilities)
    return Sight(scope, desired, observed, plan, (*looked.findings, *_conflicts(plan)), looked.causes)


def _today(contract: Contract, estate: Estate, now: datetime) -> date:
    """The day it is at the legal entity: rates change at its midnight."""
    entity = estate.entities.get(contract.terms.legal_entity if contract.terms else "")
    return now.astimezone(ZoneInfo(entity.timezone if entity else "UTC")).date()


def scope_of(contract: Contract, desired: Desired, estate: Estate) -> Scope:
    """What to read from the ERP for this contract, also when it wants nothing to exist any more."""
    terms = contract.terms
    assert terms is not None  # noqa: S101 - a contract without terms never passes the checks
    revenue = {o.revenue_category for o in desired.objects if hasattr(o, "revenue_category") and o.revenue_category}
    return Scope(
        contract=contract_key(estate.clms[contract.source].name, contract.external_id),
        legal_entity=terms.legal_entity,
        customer=BusinessKey(terms.customer.code),
        tax_code=estate.tax_code_of(terms),
        payment_terms=terms.billing.payment_terms,
        labour_categories=tuple(o.key for o in desired.objects if isinstance(o, LabourCategory)),
        revenue_categories=tuple(sorted(revenue)),
    )


def _representable(desired: Desired, connector: ErpConnector) -> Desired:
    """Without the kinds that this ERP has no place for."""
    held = tuple(o for o in desired.objects if o.kind in connector.capabilities.kinds)
    return (
        desired
        if len(held) == len(desired.objects)
        else Desired(desired.contract, desired.lane, held, desired.may_create_customer, desired.changes_on)
    )


def _conflicts(plan: Plan) -> list[Finding]:
    """One finding per class of conflict, however many objects it concerns."""
    causes = {ErrorClass.DUPLICATE_FOUND: "double_in_erp"}
    found: dict[ErrorClass, list[str]] = {}
    for operation in plan.conflicts:
        found.setdefault(operation.why or ErrorClass.ERP_REJECTED, []).append(operation.words)
    return [
        Finding(why, causes.get(why, "billed_differs"), Function.FINANCE_OPERATIONS, "; ".join(sorted(words)))
        for why, words in found.items()
    ]


def _elsewhere(held_by: str, wanted: str) -> Finding:
    words = (
        f"its project stands in {held_by}, the contract now belongs to {wanted}; close the one before the other opens"
    )
    return Finding(ErrorClass.OWNERSHIP_CONFLICT, "project_elsewhere", Function.FINANCE_OPERATIONS, words)
