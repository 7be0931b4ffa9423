"""One contract, once: fold, check, derive, look, plan, apply, read back.

Nothing is written before all checks passed; the project becomes billable only after a read-back found all the
rest as wanted; the contract is active only after another one found the project billable. A run that stops
anywhere leaves nothing to clean up: the next one looks first and goes on from what is there.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from zoneinfo import ZoneInfo

from sync_core.checks import Finding, contract_findings, reference_findings
from sync_core.clock import Clock
from sync_core.contract import Contract, Stage
from sync_core.derive import derive
from sync_core.desired import Desired, Found, Kind, LabourCategory
from sync_core.engine.apply import Applier, SharedObjects, noted
from sync_core.engine.claim import Claimed, Loaded
from sync_core.engine.outcome import GAP_GRACE, RECHECK_CONTRACT, Done, Outcome, recheck_at
from sync_core.errors import ErrorClass, Function, StoredEventUnreadable
from sync_core.estate import Estate
from sync_core.fold import fold
from sync_core.keys import BusinessKey, contract_key
from sync_core.plan import Action, Plan, diff
from sync_core.ports import CallContext, ErpConnector, Observation, Scope
from sync_core.progress import Step


@dataclass(slots=True)
class Converger:
    """What every run needs; one per worker."""

    connectors: Mapping[str, ErpConnector]
    estate: Estate
    clock: Clock
    shared: SharedObjects

    async def run(self, claimed: Claimed, loaded: Loaded, outcome: Outcome, ctx: CallContext) -> None:
        """Fill `outcome`. Raises the error that stopped the run; what was done until then is in `outcome`."""
        if loaded.unreadable is not None:
            raise StoredEventUnreadable(f"a stored event cannot be read any more: {loaded.unreadable}")
        contract = outcome.contract = fold(loaded.events)
        outcome.held_value = loaded.project_value
        now = self.clock.now()
        if contract.signed_at is None and not contract.amendments:
            outcome.state = "ended" if contract.stage is Stage.CANCELLED else "draft"
            return
        if contract.stage is Stage.SIGNED:
            self._signed(contract, loaded, outcome)
            outcome.findings += contract_findings(contract, self.estate)
        if outcome.findings:
            self._block(claimed, outcome, now)
            outcome.next_due = now + RECHECK_CONTRACT
            return
        desired = derive(contract, self.estate, on=self._today(contract))
        lane = desired.lane if desired.project else loaded.project_in or desired.lane
        if loaded.project_in not in (None, lane):
            outcome.findings.append(_elsewhere(loaded.project_in or "", lane))
            self._block(claimed, outcome, now)
            return
        connector = self.connectors.get(lane)
        if connector is None:
            # Ended, and no ERP ever held anything of it: nothing is left to read back.
            outcome.state, outcome.read_back = "ended", loaded.project_in is None
            return
        outcome.lane = lane
        await self._converge(contract, desired, connector, claimed, loaded, outcome, ctx)

    def _today(self, contract: Contract) -> date:
        """The day it is at the legal entity: rates change at its midnight."""
        entity = self.estate.entities.get(contract.terms.legal_entity if contract.terms else "")
        return self.clock.now().astimezone(ZoneInfo(entity.timezone if entity else "UTC")).date()

    def _signed(self, contract: Contract, loaded: Loaded, outcome: Outcome) -> None:
        if contract.signed_at is not None:
            outcome.steps += [(Step.SIGNED, contract.signed_at), (Step.CAPTURED, loaded.captured_at)]

    async def _converge(
        self,
        contract: Contract,
        desired: Desired,
        connector: ErpConnector,
        claimed: Claimed,
        loaded: Loaded,
        outcome: Outcome,
        ctx: CallContext,
    ) -> None:
        scope = scope_of(contract, desired, self.estate)
        observed = await connector.observe(scope, ctx)
        desired = _representable(desired, connector)
        plan = diff(desired, observed.found, keep=loaded.known)
        outcome.digest = plan.digest
        outcome.findings += reference_findings(desired, observed, self.estate, connector.capabilities)
        outcome.findings += _conflicts(plan)
        _remember(outcome, desired, observed)
        if outcome.findings:
            _note_conflicts(outcome, plan, self.clock.now())
            self._block(claimed, outcome, self.clock.now())
            return
        if desired.project is not None:
            outcome.steps.append((Step.VALIDATED, self.clock.now()))
        applier = Applier(connector, self.shared, self.clock, ctx, outcome, scope)
        observed = await applier.apply(desired, plan, observed, loaded.known)
        self._finish(contract, desired, observed, claimed, loaded, outcome)

    def _finish(
        self,
        contract: Contract,
        desired: Desired,
        observed: Observation,
        claimed: Claimed,
        loaded: Loaded,
        outcome: Outcome,
    ) -> None:
        now = self.clock.now()
        _remember(outcome, desired, observed)
        outcome.read_back = True
        if desired.project is None:
            outcome.state = "ended"
            outcome.steps += [(Step.ENDED, now)] if claimed.state != "ended" else []
            return
        outcome.state = "active"
        waits = contract.missing_amendment is not None
        outcome.project_ref = next((f.ref for f in outcome.confirmed if f.kind is Kind.PROJECT), None)
        if claimed.first_active_at is None or any(done.status == "done" for done in outcome.operations):
            outcome.steps += [*_built(outcome.operations, now), (Step.ACTIVE, now)]
        outcome.steps += [(Step.UNBLOCKED, now)] if claimed.state == "blocked" and not waits else []
        outcome.next_due = self._midnight(contract, desired.changes_on)
        if waits:
            self._wait_for_amendment(contract, claimed, loaded, outcome, now)

    def _wait_for_amendment(
        self, contract: Contract, claimed: Claimed, loaded: Loaded, outcome: Outcome, now: datetime
    ) -> None:
        """What is known is applied; a later amendment waits, and becomes an exception after a grace time."""
        late = (loaded.gap_since or now) + GAP_GRACE
        if now < late:
            outcome.state, outcome.next_due = "waiting", late
            return
        words = f"amendment {contract.missing_amendment} is missing, later ones wait for it; publish it from the CLM"
        outcome.findings.append(Finding(ErrorClass.SEQUENCE_GAP, "amendment_missing", Function.LEGAL, words))
        self._block(claimed, outcome, now)

    def _midnight(self, contract: Contract, day: date | None) -> datetime | None:
        entity = self.estate.entities.get(contract.terms.legal_entity if contract.terms else "")
        zone = ZoneInfo(entity.timezone if entity else "UTC")
        return datetime.combine(day, time(), zone).astimezone(UTC) if day else None

    @staticmethod
    def _block(claimed: Claimed, outcome: Outcome, now: datetime) -> None:
        outcome.name, outcome.state = "blocked", "blocked"
        outcome.next_due = recheck_at(now, claimed.state_since if claimed.state == "blocked" else now)
        if claimed.state != "blocked":
            outcome.steps.append((Step.BLOCKED, now))


def scope_of(contract: Contract, desired: Desired, estate: Estate) -> Scope:
    """What to read from the ERP for this contract, also when it wants nothing to exist any more."""
    terms = contract.terms
    assert terms is not None  # noqa: S101 - a contract without terms never passes the checks
    revenue = {o.revenue_category for o in desired.objects if hasattr(o, "revenue_category") and o.revenue_category}
    return Scope(
        contract=contract_key(estate.clms[contract.source].name, contract.external_id),
        legal_entity=terms.legal_entity,
        customer=BusinessKey(terms.customer.code),
        tax_code=None if terms.tax.exempt else terms.tax.tax_code,
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


def _note_conflicts(outcome: Outcome, plan: Plan, now: datetime) -> None:
    outcome.operations += [noted(o, "conflict", now) for o in plan.conflicts]


def _remember(outcome: Outcome, desired: Desired, observed: Observation) -> None:
    """The crosswalk's new rows: our objects as the ERP holds them now."""
    wanted = {(o.kind, o.key) for o in desired.objects}
    latest: dict[tuple[Kind, BusinessKey], Found] = {}
    for found in observed.found:
        if found.active and (found.kind, found.key) in wanted:
            latest.setdefault((found.kind, found.key), found)
    outcome.confirmed = list(latest.values())


def _built(operations: Sequence[Done], now: datetime) -> list[tuple[Step, datetime]]:
    """When the project and its billing were there: the end of the operation that made them, or the read-back."""
    project = [o.finished_at for o in operations if o.kind == Kind.PROJECT and o.action == Action.CREATE]
    parts = [o.finished_at for o in operations if o.kind in (Kind.MILESTONE, Kind.LABOUR_RATE) and o.status == "done"]
    return [(Step.PROJECT_CREATED, max(project, default=now)), (Step.BILLING_SET_UP, max(parts, default=now))]


def _elsewhere(held_by: str, wanted: str) -> Finding:
    words = (
        f"its project stands in {held_by}, the contract now belongs to {wanted}; close the one before the other opens"
    )
    return Finding(ErrorClass.OWNERSHIP_CONFLICT, "project_elsewhere", Function.FINANCE_OPERATIONS, words)
