"""The first half of a move: a contract leaves an ERP. Nothing of it is made elsewhere before this was read back.

A move is two ordinary runs. This one closes what is not invoiced in the ERP that is left, reads back, and is committed:
from then on the contract belongs to the other ERP, where the next run makes what is left to bill. A worker that dies in
between, before or after leaves nothing behind that the next one does not find.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal

from sync_core.clock import Clock
from sync_core.contract import BillingKind
from sync_core.desired import Found, Kind
from sync_core.engine.adopting import waits
from sync_core.engine.apply import Applier, SharedObjects
from sync_core.engine.claim import Claimed, Loaded
from sync_core.engine.look import Intent, Sight, see
from sync_core.engine.nightly import Post, closed_by_answer
from sync_core.engine.only_observing import withheld
from sync_core.engine.outcome import Left, Outcome, recheck_at
from sync_core.engine.replayed import departed_move, skip
from sync_core.errors import ErrorClass, Function
from sync_core.estate.estate import ErpMode, Estate
from sync_core.findings import Finding
from sync_core.journal.progress import Step
from sync_core.life import reused
from sync_core.moving.moving import (
    Behind,
    Placement,
    arriving_effects,
    behind_of,
    earned_of,
    leaving_effects,
    nothing_left,
    objections,
    rest,
)
from sync_core.ports import CallContext, Capabilities, ErpConnector
from sync_core.replay.replay import Effect


@dataclass(frozen=True, slots=True)
class Survey:
    """Both ERPs, freshly read, and what a move does in each."""

    leaving: Sight
    behind: Behind  # what the ERP that is left has invoiced
    to_bill: Decimal
    effects: tuple[Effect, ...]
    findings: tuple[Finding, ...]  # why it is not done


async def survey(
    intent: Intent,
    placement: Placement,
    connectors: Mapping[str, ErpConnector],
    loaded: Loaded,
    estate: Estate,
    ctx: CallContext,
    *,
    now: datetime,
    undo: bool = False,
    begun: bool = False,
) -> Survey:
    """What the preview of a move shows, and what its first run asks again before it writes. Writes nothing.

    `intent` is that of leaving. `begun`: an earlier try may have closed something, so it goes on whatever is left to
    bill. Raises what the connectors raise.
    """
    contract, there = intent.contract, placement.leaving or ""
    lost = [lane for lane in (there, placement.lane) if lane not in connectors]
    if intent.desired is None or lost:
        raise ValueError(f"a move needs both ERPs in the estate; {' and '.join(lost)} is not")
    leaving = await see(intent, intent.desired, connectors[there], loaded, estate, ctx, now=now)
    behind = _behind(intent, placement, loaded, leaving.observed.found, leaving.observed.found)
    effects, earned = leaving_effects(leaving.plan, leaving.observed.found, there), earned_of(leaving.observed.found)
    whole, after = intent.whole or intent.desired, placement.left(behind)
    wanted = rest(whole, contract.terms, after)  # nothing, of one that has ended
    done = not begun and nothing_left(wanted, after)
    unlabelled, against = waits(loaded.adoption, there), _against(intent, behind, earned, nothing_left=done, undo=undo)
    against = (unlabelled, *against) if unlabelled else against
    if against or wanted.project is None:
        return Survey(leaving, behind, Decimal(0), effects, (*leaving.findings, *against))
    onward = replace(intent, desired=wanted, lane=after.lane, connector=connectors[after.lane], placement=after)
    arriving = await see(onward, wanted, connectors[after.lane], loaded, estate, ctx, now=now)
    observes = (*withheld(intent, leaving, estate), *withheld(onward, arriving, estate))
    return Survey(
        leaving,
        behind,
        wanted.project.value,
        (*effects, *arriving_effects(arriving.plan, after.lane)),
        (*leaving.findings, *arriving.findings, *observes),
    )


@dataclass(frozen=True, slots=True)
class Leaver:
    connectors: Mapping[str, ErpConnector]
    estate: Estate
    clock: Clock
    shared: SharedObjects
    post: Post

    async def run(
        self, intent: Intent, placement: Placement, claimed: Claimed, loaded: Loaded, outcome: Outcome, ctx: CallContext
    ) -> None:
        """Fill `outcome`. Raises the error that stopped the run."""
        there = placement.leaving or ""
        outcome.placed = there
        if against := _closed_to_writes((there, placement.lane), self.connectors, self.estate):
            self._block(outcome, against, claimed)
            return
        if unlabelled := waits(loaded.adoption, there):
            self._adopted_first(unlabelled, there, claimed, loaded, outcome)
            return
        item, now = claimed.replay, self.clock.now()
        begun = item is None or item.touched
        undo = item is not None and item.undoes and not begun
        seen = await survey(
            intent, placement, self.connectors, loaded, self.estate, ctx, now=now, undo=undo, begun=begun
        )
        outcome.digest = seen.leaving.plan.digest
        if self._departed(seen, placement, claimed, loaded, outcome):
            return
        if seen.findings:
            self._block(outcome, seen.findings, claimed)
            return
        connector, nothing = self.connectors[there], seen.leaving.desired
        if await self.post.deliver(claimed, seen.leaving, connector, outcome, ctx, _blocked):
            return
        applier = Applier(connector, self.shared, self.clock, ctx, outcome, seen.leaving.scope)
        observed = await applier.apply(nothing, seen.leaving.plan, seen.leaving.observed, loaded.known)
        behind = _behind(intent, placement, loaded, seen.leaving.observed.found, observed.found)
        earned = earned_of(observed.found)
        if against := _against(intent, behind, earned, nothing_left=False, undo=False):
            self._block(outcome, against, claimed)  # hours were booked, or invoiced, while it was being closed
            return
        self._left(placement, claimed, outcome, connector.capabilities, behind)
        if outcome.left is not None:
            agreed = loaded.agreed.get(there, {})
            outcome.operations += closed_by_answer(seen.leaving.plan, observed, loaded.known, agreed)

    def _adopted_first(
        self, unlabelled: Finding, there: str, claimed: Claimed, loaded: Loaded, outcome: Outcome
    ) -> None:
        """What was decided while it waited for its turn comes first: it stays, whatever a lost worker tried before."""
        now, outcome.left = self.clock.now(), Left(there, None)
        if claimed.replay is not None and claimed.replay.moves:
            skip(outcome, claimed.replay, [unlabelled.message], loaded, now)
            return
        outcome.name, outcome.state, outcome.note, outcome.refund = "waiting", "waiting", unlabelled.message, True
        outcome.seen_rev, outcome.next_due = claimed.done_rev, now

    def _departed(self, seen: Survey, placement: Placement, claimed: Claimed, loaded: Loaded, outcome: Outcome) -> bool:
        """Whether it is another move than the one that was confirmed. Untouched, the contract stays where it was."""
        item = claimed.replay
        if item is None or not item.moves:
            return False
        how = [finding.message for finding in seen.findings] or departed_move(item, seen.effects, placement.lane)
        if not how:
            return False
        skip(outcome, item, how, loaded, self.clock.now())
        outcome.left = None if item.touched else Left(placement.leaving or "", None)
        return True

    def _left(
        self, placement: Placement, claimed: Claimed, outcome: Outcome, capabilities: Capabilities, behind: Behind
    ) -> None:
        now = self.clock.now()
        outcome.onward, outcome.state = True, "waiting"
        if (settled_at := settles_at(claimed, capabilities)) and outcome.started_at < settled_at:
            # What a lost worker sent may still make it billable here: look again when nothing can be left of it.
            outcome.next_due = settled_at
            return
        outcome.next_due, outcome.placed = now, placement.lane
        outcome.left = Left(placement.leaving or "", behind)

    def _block(self, outcome: Outcome, findings: tuple[Finding, ...], claimed: Claimed) -> None:
        outcome.findings += findings
        _blocked(claimed, outcome, self.clock.now())


def _blocked(claimed: Claimed, outcome: Outcome, now: datetime) -> None:
    was_blocked = claimed.state == "blocked"
    outcome.name, outcome.state = "blocked", "blocked"
    outcome.next_due = recheck_at(now, claimed.state_since if was_blocked else now)
    outcome.steps += [] if was_blocked else [(Step.BLOCKED, now)]


def stays(intent: Intent, claimed: Claimed, loaded: Loaded, outcome: Outcome, now: datetime) -> bool:
    """Whether a contract that a move was about to take is stopped by what it lacks itself: it stays where it was."""
    item, leaving = claimed.replay, intent.placement.leaving if intent.placement else None
    if item is None or not item.moves or item.touched or leaving is None:
        return False
    skip(outcome, item, [finding.message for finding in intent.stops], loaded, now)
    outcome.placed, outcome.left = leaving, Left(leaving, None)
    return True


def _against(
    intent: Intent, behind: Behind, earned: Sequence[Found], *, nothing_left: bool, undo: bool
) -> tuple[Finding, ...]:
    """Of a contract that has ended nothing is made elsewhere, so that nothing can be billed twice: it is closed."""
    whole = intent.whole or intent.desired
    if whole is None or whole.project is None:
        return ()
    if before := [key.partition("#M:")[2] for key in whole.unconfirmed if key in behind.milestones]:
        return (reused.finding(before),)
    return tuple(objections(intent.lane, behind, earned, nothing_left=nothing_left, undo=undo))


def settles_at(claimed: Claimed, capabilities: Capabilities) -> datetime | None:
    """From when on nothing of a lost worker can be running any more; None: there was none."""
    if claimed.unclean_at is None:
        return None
    return claimed.unclean_at + timedelta(seconds=2 * capabilities.settle_s)


def _behind(
    intent: Intent, placement: Placement, loaded: Loaded, seen: Sequence[Found], found: Sequence[Found]
) -> Behind:
    """What the ERP that is left has invoiced, as `found` says. `seen`: before anything was closed there."""
    if not intent.anew or intent.desired is None:
        return behind_of(found, _billing(intent))
    known = loaded.known.get(intent.desired.contract)
    own = {f.ref for f in seen if f.kind is Kind.PROJECT and f.active} or ({known} if known else set())
    stayed = placement.behind.get(placement.leaving or "", Behind()).billed or Decimal(0)
    return behind_of(found, _billing(intent), of=own, before=stayed)


def _billing(intent: Intent) -> BillingKind:
    return intent.contract.terms.billing.kind if intent.contract.terms else BillingKind.MILESTONES


def _closed_to_writes(
    lanes: tuple[str, str], connectors: Mapping[str, ErpConnector], estate: Estate
) -> tuple[Finding, ...]:
    gone = [f"{lane} is not in the estate file; add it there again" for lane in lanes if lane not in connectors]
    kept = [name for name in lanes if name in estate.erps and estate.erps[name].mode is ErpMode.OBSERVE]
    gone += [f"{lane} is only observed; let it be written to first" for lane in kept]
    if not gone:
        return ()
    words = f"it is on its way from {lanes[0]} to {lanes[1]}: {'; '.join(gone)}"
    return (Finding(ErrorClass.OWNERSHIP_CONFLICT, "project_elsewhere", Function.FINANCE_OPERATIONS, words),)
