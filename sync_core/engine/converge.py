"""One contract, once: fold, check, derive, look, plan, apply, read back.

Nothing is written before all checks passed; the project becomes billable only after a read-back found all the
rest as wanted; the contract is active only after another one found the project billable. A run that stops
anywhere leaves nothing to clean up: the next one looks first and goes on from what is there. A run that carries
an item of a replay writes nothing but what was confirmed.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time
from zoneinfo import ZoneInfo

from sync_core.cases.ownership import Arises
from sync_core.checks import Finding, checked
from sync_core.clock import Clock
from sync_core.contract import Contract, Stage
from sync_core.desired import Desired, Kind
from sync_core.domains.conflicts import baseline
from sync_core.engine import differing
from sync_core.engine.adopting import carried_out, ends_adopted, not_yet, refusal, take
from sync_core.engine.apply import Applier, SharedObjects, noted
from sync_core.engine.claim import Claimed, Loaded
from sync_core.engine.kept import built, closed, remember
from sync_core.engine.leaving import Leaver, stays
from sync_core.engine.left_books import left_behind
from sync_core.engine.look import Intent, Sight, answers_of, intend, newly_told, see
from sync_core.engine.nightly import Post, answered
from sync_core.engine.only_observing import only_observed, watch
from sync_core.engine.outcome import GAP_GRACE, RECHECK_CONTRACT, RECHECK_TASK, Outcome, recheck_at
from sync_core.engine.replayed import depart, departed
from sync_core.errors import ErrorClass, Function
from sync_core.estate.estate import Estate
from sync_core.findings import together
from sync_core.journal.progress import Step
from sync_core.lanes.batches import posted_refs
from sync_core.life import restated
from sync_core.life.closing import EARNED
from sync_core.life.drafts import warning
from sync_core.life.rate_periods import UNBILLED
from sync_core.plan import Plan
from sync_core.ports import CallContext, ErpConnector, Observation


@dataclass(slots=True)
class Converger:
    """What every run needs; one per worker."""

    connectors: Mapping[str, ErpConnector]
    estate: Estate
    clock: Clock
    shared: SharedObjects
    in_hand: Callable[[str], int] = lambda _lane: 1  # contracts of a lane that are being worked on
    post: Post = field(init=False)

    def __post_init__(self) -> None:
        self.post = Post(self.connectors, self.shared, self.clock, self.in_hand)

    async def run(self, claimed: Claimed, loaded: Loaded, outcome: Outcome, ctx: CallContext) -> None:
        """Fill `outcome`. Raises the error that stopped the run; what was done until then is in `outcome`."""
        intent = intend(loaded, self.estate, self.connectors, now=self.clock.now())
        contract = outcome.contract = intent.contract
        outcome.held_value = loaded.project_value
        outcome.was_observed, outcome.was_refused = loaded.observed, loaded.refused
        if loaded.placement is not None:
            outcome.placed = loaded.placement.leaving or loaded.placement.lane
            outcome.billed_before = loaded.placement.billed_before
            if intent.anew and intent.placement is not None and intent.placement.behind != loaded.placement.behind:
                outcome.behind, outcome.billed_before = intent.placement.behind, intent.placement.billed_before
        if not intent.signed:
            outcome.state = "draft" if contract.stage is Stage.DRAFT else "ended"
            if not self._departed(["it is not signed"], claimed, loaded, outcome):
                self._look_at_draft(contract, outcome)
            return
        if contract.stage is Stage.SIGNED:
            self._signed(contract, loaded, outcome)
        self._restated(contract, loaded, outcome)
        try:
            await self._go_on(intent, claimed, loaded, outcome, ctx)
        finally:
            self._look_again(claimed, loaded, outcome)

    async def _go_on(
        self, intent: Intent, claimed: Claimed, loaded: Loaded, outcome: Outcome, ctx: CallContext
    ) -> None:
        if intent.stops:
            if not stays(intent, claimed, loaded, outcome, self.clock.now()):
                self._stop(intent, claimed, outcome)
            return
        outcome.lane = intent.lane if intent.connector else None
        if intent.placement is not None and intent.placement.leaving is not None:
            leaver = Leaver(self.connectors, self.estate, self.clock, self.shared, self.post)
            await leaver.run(intent, intent.placement, claimed, loaded, outcome, ctx)
            return
        if intent.desired is None or intent.connector is None:
            # Ended, and no ERP ever held anything of it: nothing is left to read back.
            outcome.state, outcome.read_back = "ended", loaded.project_in is None
            self._departed(self._differs(claimed, None, intent.lane), claimed, loaded, outcome)
            return
        if early := not_yet(loaded.adoption, self.estate.erps.get(intent.lane)):
            watch(early, claimed, loaded, outcome, self.clock.now())
            return
        await self._converge(intent, intent.desired, intent.connector, claimed, loaded, outcome, ctx)

    def _look_at_draft(self, contract: Contract, outcome: Outcome) -> None:
        """Legal is told what would stop it, while it can still be changed. No ERP is asked."""
        warned = warning(contract, self.estate)
        outcome.checked = checked((), Arises.DRAFT)
        if warned is not None:
            outcome.tasks.append(warned)
            outcome.next_due = self.clock.now() + RECHECK_CONTRACT

    def _stop(self, intent: Intent, claimed: Claimed, outcome: Outcome) -> None:
        now = self.clock.now()
        outcome.findings += intent.stops
        outcome.checked = checked(intent.stops, *_of_contract(intent))
        self._block(claimed, outcome, now)
        if intent.findings:
            outcome.next_due = now + RECHECK_CONTRACT

    @staticmethod
    def _differs(claimed: Claimed, plan: Plan | None, lane: str) -> list[str]:
        return departed(claimed.replay, plan, lane) if claimed.replay else []

    def _departed(self, how: Sequence[str], claimed: Claimed, loaded: Loaded, outcome: Outcome) -> bool:
        """Whether the run ends here, because a replay confirmed something else than would be done now."""
        return depart(how, claimed, loaded, outcome, self.clock.now())

    def _signed(self, contract: Contract, loaded: Loaded, outcome: Outcome) -> None:
        if contract.signed_at is not None:
            outcome.steps += [(Step.SIGNED, contract.signed_at), (Step.CAPTURED, loaded.captured_at)]
        outcome.tasks += differing.tasks(loaded.clm_differs)

    def _restated(self, contract: Contract, loaded: Loaded, outcome: Outcome) -> None:
        """Whatever became of the contract meanwhile: what was published otherwise is not lost with its end."""
        late = restated.due(contract, loaded.published, GAP_GRACE, self.clock.now())
        if late is not None and late <= self.clock.now():
            outcome.tasks.append(restated.finding(contract))

    async def _converge(
        self, intent: Intent, wanted: Desired, connector: ErpConnector, claimed: Claimed, loaded: Loaded,
        outcome: Outcome, ctx: CallContext,
    ) -> None:  # fmt: skip
        sight = await self._adopting(intent, wanted, connector, claimed, loaded, outcome, ctx)
        plan, desired = sight.plan, sight.desired
        outcome.digest, outcome.answers = plan.digest, answers_of(sight, connector, self.clock.now())
        if outcome.end is not None or self._left_alone(intent, sight, claimed, loaded, outcome):
            return
        outcome.findings += sight.findings
        left = await left_behind(sight.scope, intent, self.connectors, outcome, ctx)
        outcome.tasks += together((*sight.tasks, *left))
        steps = (Arises.PLAN, *_of_contract(intent))
        outcome.checked = checked(outcome.findings, *steps) | sight.looked_for
        kept = {(o.kind, o.key): o.ref for o in plan.operations if o.ref and o.wanted is not None}
        remember(outcome, desired, sight.observed, kept)
        agreed = loaded.agreed.get(intent.lane, {})
        outcome.values = {**intent.values, **sight.values}
        outcome.agreed = baseline(sight.wanted, outcome.confirmed, agreed, sight.left, sight.ours)
        if outcome.findings:
            _note(outcome, plan, self.clock.now())
            self._block(claimed, outcome, self.clock.now())
            return
        if desired.project is not None:
            outcome.steps.append((Step.VALIDATED, self.clock.now()))
        _note(outcome, plan, self.clock.now())
        if await self.post.deliver(claimed, sight, connector, outcome, ctx, self._block):
            return
        outcome.operations += answered(plan, sight.observed, loaded.known, agreed)
        fresh = posted_refs(sight.observed.answers, plan.contract, loaded.known)
        applier = Applier(connector, self.shared, self.clock, ctx, outcome, sight.scope, posted=fresh)
        observed = await applier.apply(desired, plan, sight.observed, loaded.known)
        remember(outcome, desired, observed, applier.refs)
        outcome.agreed = baseline(sight.wanted, outcome.confirmed, agreed, sight.left, sight.ours)
        outcome.tasks += newly_told(plan, desired, desired if desired.project else wanted, observed.found)
        if self._goes_on(wanted, desired, outcome):
            return
        self._finish(intent.contract, desired, observed, claimed, loaded, outcome)

    async def _adopting(
        self, intent: Intent, wanted: Desired, connector: ErpConnector, claimed: Claimed, loaded: Loaded,
        outcome: Outcome, ctx: CallContext,
    ) -> Sight:  # fmt: skip
        """The ERP, once what it held before bears our keys. A replay that did not confirm them ends here."""

        def look() -> Awaitable[Sight]:
            return see(intent, wanted, connector, loaded, self.estate, ctx, now=self.clock.now())

        def may(labels: Plan) -> bool:
            return not self._departed(self._differs(claimed, labels, intent.lane), claimed, loaded, outcome)

        return await take(loaded.adoption, look, connector, self.clock, outcome, ctx, may)

    def _left_alone(self, intent: Intent, sight: Sight, claimed: Claimed, loaded: Loaded, outcome: Outcome) -> bool:
        """Whether nothing is done: a replay confirmed something else, or the ERP is only observed."""
        adopted = carried_out(claimed.replay, sight)
        if adopted and sight.plan.writes and not (outcome.findings or sight.findings):
            ends_adopted(outcome, self.clock.now())
            return True
        if not adopted and self._departed(self._differs(claimed, sight.plan, intent.lane), claimed, loaded, outcome):
            return True
        only = only_observed(intent, sight, self.estate)
        if only is not None:
            watch(only, claimed, loaded, outcome, self.clock.now(), refused=refusal(loaded.adoption, intent.lane))
        return only is not None

    def _goes_on(self, wanted: Desired, desired: Desired, outcome: Outcome) -> bool:
        """Whether the agreement before was closed now: the next run makes the new one's project."""
        if wanted.project is None or wanted.ended_on is not None or desired.project is not None:
            return False
        outcome.onward, outcome.state, outcome.next_due = True, "waiting", self.clock.now()
        return True

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
        outcome.confirmed += closed(outcome, desired)
        outcome.read_back = True
        if desired.project is None:
            outcome.state = "ended"
            outcome.steps += [(Step.ENDED, now)] if claimed.state != "ended" else []
            return
        outcome.suspended = not desired.project.billable
        outcome.state = "suspended" if outcome.suspended else "active"
        waits = contract.missing_amendment is not None
        outcome.project_ref = next((f.ref for f in outcome.confirmed if f.kind is Kind.PROJECT), None)
        if claimed.first_active_at is None or any(done.status == "done" for done in outcome.operations):
            outcome.steps += built(outcome.operations, now)
            outcome.steps += [] if outcome.suspended else [(Step.ACTIVE, now)]
        outcome.steps += [(Step.UNBLOCKED, now)] if claimed.state == "blocked" and not waits else []
        outcome.next_due = self._midnight(contract, desired.changes_on)
        if waits:
            self._wait_for_amendment(contract, claimed, loaded, outcome, now)

    def _wait_for_amendment(
        self, contract: Contract, claimed: Claimed, loaded: Loaded, outcome: Outcome, now: datetime
    ) -> None:
        """What is known is applied; a later amendment waits, and becomes an exception after a grace time."""
        late = restated.gap_since(loaded.events, loaded.published, now, self.estate.day_at) + GAP_GRACE
        if now < late:
            outcome.state, outcome.next_due = "waiting", late
            return
        words = f"amendment {contract.missing_amendment} is missing, later ones wait for it; publish it from the CLM"
        outcome.findings.append(Finding(ErrorClass.SEQUENCE_GAP, "amendment_missing", Function.LEGAL, words))
        self._block(claimed, outcome, now)

    def _look_again(self, claimed: Claimed, loaded: Loaded, outcome: Outcome) -> None:
        """For what becomes an exception in time, or is settled by people without an event of the contract."""
        now, contract = self.clock.now(), outcome.contract
        times = [outcome.next_due] if outcome.next_due else []
        late = restated.due(contract, loaded.published, GAP_GRACE, now) if contract is not None else None
        times += [late] if late is not None and late > now else []
        # What was decided on stays so until there is news: nobody waits for it.
        known = claimed.decided_causes - claimed.open_causes if outcome.seen_rev == claimed.done_rev else frozenset()
        stands = outcome.state in ("active", "suspended")
        waits = {f.cause for f in outcome.tasks} - known - {restated.CAUSE}
        if stands and waits:
            # What an ended contract has left to bill is billed on a day.
            times.append(now + (RECHECK_CONTRACT if waits <= {EARNED, UNBILLED} else RECHECK_TASK))
        outcome.next_due = min(times, default=None)

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


def _of_contract(intent: Intent) -> tuple[Arises, ...]:
    """The steps in which `intend` looks at a contract; one that ended with nothing left to bill is not looked at."""
    return (Arises.EVENTS, Arises.CONTRACT, Arises.POLICY, Arises.DRAFT) if intent.provisions else (Arises.DRAFT,)


def _note(outcome: Outcome, plan: Plan, now: datetime) -> None:
    """What is for people; nothing of it is sent."""
    outcome.operations += [noted(o, "conflict", now) for o in plan.conflicts]
    outcome.operations += [noted(o, "task", now) for o in plan.tasks]
