"""One contract, once: fold, check, derive, look, plan, apply, read back.

Nothing is written before all checks passed; the project becomes billable only after a read-back found all the
rest as wanted; the contract is active only after another one found the project billable. A run that stops
anywhere leaves nothing to clean up: the next one looks first and goes on from what is there. A run that carries
an item of a replay writes nothing but what was confirmed.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from zoneinfo import ZoneInfo

from sync_core.checks import Finding, checked
from sync_core.clock import Clock
from sync_core.contract import Contract, Stage
from sync_core.desired import Desired, Found, Kind
from sync_core.engine.apply import Applier, SharedObjects, noted
from sync_core.engine.claim import Claimed, Loaded
from sync_core.engine.look import Intent, intend, see
from sync_core.engine.outcome import GAP_GRACE, RECHECK_CONTRACT, Done, Outcome, recheck_at
from sync_core.engine.replayed import departed, skip
from sync_core.errors import ErrorClass, Function
from sync_core.estate import Estate
from sync_core.keys import BusinessKey, ErpRef
from sync_core.ownership import Arises
from sync_core.plan import Action, Plan
from sync_core.ports import CallContext, ErpConnector, Observation
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
        intent = intend(loaded, self.estate, self.connectors, now=self.clock.now())
        contract = outcome.contract = intent.contract
        outcome.held_value = loaded.project_value
        if not intent.signed:
            outcome.state = "draft" if contract.stage is Stage.DRAFT else "ended"
            self._departed(["it is not signed"], claimed, loaded, outcome)
            return
        if contract.stage is Stage.SIGNED:
            self._signed(contract, loaded, outcome)
        if intent.stops:
            self._stop(intent, claimed, outcome)
            return
        outcome.lane = intent.lane if intent.connector else None
        if intent.desired is None or intent.connector is None:
            # Ended, and no ERP ever held anything of it: nothing is left to read back.
            outcome.state, outcome.read_back = "ended", loaded.project_in is None
            self._departed(self._differs(claimed, None, intent.lane), claimed, loaded, outcome)
            return
        await self._converge(intent, intent.desired, intent.connector, claimed, loaded, outcome, ctx)

    def _stop(self, intent: Intent, claimed: Claimed, outcome: Outcome) -> None:
        now = self.clock.now()
        outcome.findings += intent.stops
        outcome.checked = checked(intent.stops, *_of_contract(intent.contract))
        self._block(claimed, outcome, now)
        if intent.findings:
            outcome.next_due = now + RECHECK_CONTRACT

    @staticmethod
    def _differs(claimed: Claimed, plan: Plan | None, lane: str) -> list[str]:
        return departed(claimed.replay, plan, lane) if claimed.replay else []

    def _departed(self, how: Sequence[str], claimed: Claimed, loaded: Loaded, outcome: Outcome) -> bool:
        """Whether the run ends here, because a replay confirmed something else than would be done now."""
        if claimed.replay is None or not how:
            return False
        outcome.state, outcome.read_back = None, False
        skip(outcome, claimed.replay, how, loaded, self.clock.now())
        return True

    def _signed(self, contract: Contract, loaded: Loaded, outcome: Outcome) -> None:
        if contract.signed_at is not None:
            outcome.steps += [(Step.SIGNED, contract.signed_at), (Step.CAPTURED, loaded.captured_at)]

    async def _converge(
        self,
        intent: Intent,
        wanted: Desired,
        connector: ErpConnector,
        claimed: Claimed,
        loaded: Loaded,
        outcome: Outcome,
        ctx: CallContext,
    ) -> None:
        sight = await see(intent, wanted, connector, loaded, self.estate, ctx)
        plan, desired = sight.plan, sight.desired
        outcome.digest = plan.digest
        if self._departed(self._differs(claimed, plan, intent.lane), claimed, loaded, outcome):
            return
        outcome.findings += sight.findings
        steps = (Arises.PLAN, *_of_contract(intent.contract))
        outcome.checked = checked(outcome.findings, *steps) | sight.looked_for
        kept = {(o.kind, o.key): o.ref for o in plan.operations if o.ref and o.wanted is not None}
        _remember(outcome, desired, sight.observed, kept)
        if outcome.findings:
            _note_conflicts(outcome, plan, self.clock.now())
            self._block(claimed, outcome, self.clock.now())
            return
        if desired.project is not None:
            outcome.steps.append((Step.VALIDATED, self.clock.now()))
        applier = Applier(connector, self.shared, self.clock, ctx, outcome, sight.scope)
        observed = await applier.apply(desired, plan, sight.observed, loaded.known)
        _remember(outcome, desired, observed, applier.refs)
        self._finish(intent.contract, desired, claimed, loaded, outcome)

    def _finish(
        self,
        contract: Contract,
        desired: Desired,
        claimed: Claimed,
        loaded: Loaded,
        outcome: Outcome,
    ) -> None:
        now = self.clock.now()
        outcome.confirmed += _closed(outcome, desired)
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


def _of_contract(contract: Contract) -> tuple[Arises, ...]:
    """The steps in which `intend` looks at a contract; one that has ended is not looked at."""
    return (Arises.EVENTS, Arises.CONTRACT, Arises.POLICY) if contract.stage is Stage.SIGNED else ()


def _note_conflicts(outcome: Outcome, plan: Plan, now: datetime) -> None:
    outcome.operations += [noted(o, "conflict", now) for o in plan.conflicts]


def _remember(
    outcome: Outcome, desired: Desired, observed: Observation, kept: Mapping[tuple[Kind, BusinessKey], ErpRef]
) -> None:
    """The crosswalk's new rows: our objects as the ERP holds them now. `kept`: which one of doubles is ours."""
    wanted = {(o.kind, o.key) for o in desired.objects}
    latest: dict[tuple[Kind, BusinessKey], Found] = {}
    for found in observed.found:
        at = (found.kind, found.key)
        if found.active and at in wanted and (at not in latest or kept.get(at) == found.ref):
            latest[at] = found
    outcome.confirmed = list(latest.values())


def _closed(outcome: Outcome, desired: Desired) -> list[Found]:
    """Parts that this run closed because the contract has them no more. A project's row says where it stood."""
    wanted = {(o.kind, o.key) for o in desired.objects}
    closed = [done for done in outcome.operations if done.action == Action.CLOSE and done.status == "done"]
    return [
        Found(Kind(done.kind), done.key, ErpRef(done.ref), done.before or {}, active=False)
        for done in closed
        if done.ref and done.kind != Kind.PROJECT and (Kind(done.kind), done.key) not in wanted
    ]


def _built(operations: Sequence[Done], now: datetime) -> list[tuple[Step, datetime]]:
    """When the project and its billing were there: the end of the operation that made them, or the read-back."""
    project = [o.finished_at for o in operations if o.kind == Kind.PROJECT and o.action == Action.CREATE]
    parts = [o.finished_at for o in operations if o.kind in (Kind.MILESTONE, Kind.LABOUR_RATE) and o.status == "done"]
    return [(Step.PROJECT_CREATED, max(project, default=now)), (Step.BILLING_SET_UP, max(parts, default=now))]
