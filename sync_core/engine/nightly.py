"""Contracts of an ERP that takes batches: out in one file while its window is open, looked at when it has answered.

Nothing resumes in the middle. Each run looks at the last dump, the inbox and the answers, and does what follows:

    a group of it lies in the inbox      it waits for the answer
    the answer refused this very wish    an exception, and in the next window it is asked again
    there is something to write          it is handed over in the window, and waits for it before
    nothing is left to write             it is active: the answer's documents are journalled

The claim is the durable intent: a worker that dies before its file is sent leaves nothing, one that dies after it
leaves a group in the inbox that the next look finds. Shared objects are sent under a reservation, by one file alone.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from sync_core.checks import Finding
from sync_core.clock import Clock
from sync_core.desired import Fields, Kind, fields_of
from sync_core.engine.apply import SharedObjects, SharedPending, noted
from sync_core.engine.claim import Claimed
from sync_core.engine.commit import Batcher
from sync_core.engine.look import Sight
from sync_core.engine.outcome import Done, Outcome
from sync_core.engine.shared import Reservation
from sync_core.errors import ErrorClass, Function, LeaseLost
from sync_core.journal.progress import Step
from sync_core.keys import BusinessKey, ErpRef
from sync_core.lanes.batches import Answer, BatchWindow, Group, groups_of, own_answer, own_handed, posted_refs
from sync_core.plan import Action, Operation, Plan
from sync_core.ports import CallContext, ErpConnector, Observation, TakesBatches

log = logging.getLogger(__name__)

GATHER_S = 0.5  # that a group waits for others of its lane, unless all in hand are there
LATE = timedelta(minutes=15)  # between looks, when an answer is overdue
OVERDUE = timedelta(hours=2)  # from then on somebody should look in the ERP
_HANDED = "handed"  # status of an operation whose batch is not answered yet


@dataclass(frozen=True, slots=True)
class Parcel:
    """What one contract adds to a file."""

    own: bytes
    shared: Mapping[Reservation, bytes]
    ctx: CallContext


class Post:
    """One worker's files, one at a time for each lane. `in_hand`: contracts of a lane that are being worked on."""

    def __init__(
        self,
        connectors: Mapping[str, ErpConnector],
        shared: SharedObjects,
        clock: Clock,
        in_hand: Callable[[str], int] = lambda _lane: 1,
    ) -> None:
        self._connectors, self._shared, self._clock, self._in_hand = connectors, shared, clock, in_hand
        self._boxes: dict[str, Batcher[Parcel, str | Exception]] = {}

    async def deliver(
        self,
        claimed: Claimed,
        sight: Sight,
        connector: ErpConnector,
        outcome: Outcome,
        ctx: CallContext,
        block: Callable[[Claimed, Outcome, datetime], None],
    ) -> bool:
        """Whether the run ends here: it waits, or a refusal blocks it. Raises what the connector raises."""
        window, now = connector.capabilities.batches, self._clock.now()
        if window is None or not isinstance(connector, TakesBatches):
            return False
        handed = own_handed(sight.plan, sight.observed.handed)
        if handed is not None:
            _wait_for_answer(outcome, handed.batch, handed.answer_due, window, now)
            return True
        if not sight.plan.writes:
            return False
        own, shared = groups_of(sight.plan, sight.observed.handed)
        is_open, answer = window.is_open(now), own_answer(sight.plan, sight.observed.answers)
        if answer is not None and answer.refusals and answer.mark == own.mark:
            # By its name, not by the time: the ERP's clock is its own.
            told = outcome.was_refused == (connector.name, answer.batch)
            if not told or (claimed.state == "blocked" and not is_open):
                outcome.refused = connector.name, answer.batch
                _refuse(outcome, own, answer, sight.observed)
                block(claimed, outcome, now)
                outcome.next_due = window.opens_after(now)
                return True
        if not is_open:
            opens = window.opens_after(now)
            _wait(outcome, opens, f"{connector.name} takes batches from {_at(opens, window)}")
            return True
        await self._send(connector, window, own, shared, outcome, ctx)
        return True

    async def _send(
        self, connector: ErpConnector, window: BatchWindow, own: Group, shared: Sequence[Group], outcome: Outcome,
        ctx: CallContext,
    ) -> None:  # fmt: skip
        assert isinstance(connector, TakesBatches)  # noqa: S101 - looked at by the only caller
        reserved = {Reservation(connector.name, g.shared or "", g.owner): connector.written(g) for g in shared}
        parcel = Parcel(connector.written(own), reserved, ctx)
        batch = await self._box(connector.name).submit(parcel)
        if isinstance(batch, Exception):
            raise batch
        now = self._clock.now()
        outcome.operations += [noted(o, _HANDED, now) for group in (*shared, own) for o in group.operations]
        _wait_for_answer(outcome, batch, window.answer_after(now), window, now)

    def _box(self, lane: str) -> Batcher[Parcel, str | Exception]:
        if lane not in self._boxes:

            async def store(parcels: Sequence[Parcel]) -> Sequence[str | Exception]:
                return await self._file(lane, parcels)

            self._boxes[lane] = Batcher(store, gather_s=GATHER_S, enough=lambda: self._in_hand(lane))
        return self._boxes[lane]

    async def _file(self, lane: str, parcels: Sequence[Parcel]) -> list[str | Exception]:
        """One result for each. Never raises: whoever gathers would send the halves again."""
        results: dict[int, str | Exception] = {
            n: LeaseLost(f"{lane}: the batch was not sent, the lease is too near its end")
            for n, parcel in enumerate(parcels)
            if time.monotonic() >= parcel.ctx.send_before
        }
        going = [n for n in range(len(parcels)) if n not in results]
        # Leases are renewed meanwhile, reservations are not: they surely stand as long as the last of the leases did
        # that there were before them.
        until = max((parcels[n].ctx.send_before for n in going), default=0.0)
        ours: list[Reservation] = []
        try:
            shared, pending = await self._reserved(lane, [parcels[n] for n in going], ours, until)
            lacking = [n for n in going if pending & parcels[n].shared.keys()]
            results |= {n: SharedPending(f"{lane}: what it shares is being created for another") for n in lacking}
            going = [n for n in going if n not in results]
            if going:
                sent = await self._hand_over(lane, shared, [parcels[n] for n in going], until)
                results |= dict.fromkeys(going, sent)
        except Exception as wrong:
            results |= dict.fromkeys(going, wrong)
        finally:
            # Sent or not, whoever looks sees in the inbox what is on its way. What cannot be given back runs out.
            left = await asyncio.gather(*(self._shared.abandon(one) for one in ours), return_exceptions=True)
            for trouble in filter(None, left):
                log.warning("lane %s: a reservation was not given back: %s", lane, trouble)
        return [results[n] for n in range(len(parcels))]

    async def _reserved(
        self, lane: str, parcels: Sequence[Parcel], ours: list[Reservation], until: float
    ) -> tuple[list[bytes], frozenset[Reservation]]:
        """The groups of shared objects to send, and the objects that others are at. `ours` is added to as it goes."""
        wanted = {one: group for parcel in parcels for one, group in parcel.shared.items()}
        got = await asyncio.gather(*(self._shared.reserve(one) for one in wanted))
        ours += [one for one, mine in zip(wanted, got, strict=True) if mine]
        groups: list[bytes] = []
        if ours:
            # Between the looks of their contracts and the reservations somebody else's file may have gone out.
            known = {one: (Kind(one.kind), BusinessKey(one.key)) for one in ours}
            ctx = replace(parcels[0].ctx, send_before=until)
            there = await self._taker(lane).there(list(known.values()), ctx)
            groups = [wanted[one] for one, at in known.items() if at not in there]
        return groups, frozenset(wanted) - frozenset(ours)

    async def _hand_over(self, lane: str, shared: Sequence[bytes], parcels: Sequence[Parcel], until: float) -> str:
        before = min(parcel.ctx.send_before for parcel in parcels)
        ctx = replace(parcels[0].ctx, send_before=min(before, until) if shared else before)
        return await self._taker(lane).hand_over([*shared, *(parcel.own for parcel in parcels)], ctx)

    def _taker(self, lane: str) -> TakesBatches:
        connector = self._connectors[lane]
        assert isinstance(connector, TakesBatches)  # noqa: S101 - `deliver` has looked
        return connector


Agreed = Mapping[tuple[Kind, BusinessKey], Fields]


def answered(
    plan: Plan,
    observed: Observation,
    known: Mapping[BusinessKey, ErpRef],
    agreed: Agreed,
) -> list[Done]:
    """The rows of what a batch did, for the run that finds all as wanted."""
    answer = own_answer(plan, observed.answers)
    if answer is None:
        return []
    fresh = posted_refs(observed.answers, plan.contract, known)
    rows = [_made(o, answer, known) for o in plan.operations if o.action is Action.NO_OP and o.ref in fresh]
    if not any(o.kind is Kind.PROJECT for o in plan.operations):
        return rows
    there = {(o.kind, o.key) for o in plan.operations} | {(f.kind, f.key) for f in observed.found if f.active}
    gone = [(at, known[at[1]]) for at in agreed if at not in there and not at[0].shared and at[1] in known]
    return rows + [_done(Action.CLOSE, kind, key, ref, agreed[kind, key], None, answer) for (kind, key), ref in gone]


def closed_by_answer(
    plan: Plan, observed: Observation, known: Mapping[BusinessKey, ErpRef], agreed: Agreed
) -> list[Done]:
    """The rows of a batch that ended the contract's project and did nothing else, for the run that finds it ended."""
    answer = own_answer(plan, observed.answers)
    if answer is None or answer.refusals or answer.posted:
        return []
    there = {f.key for f in observed.found if f.kind is Kind.PROJECT and f.active}
    gone = [key for kind, key in agreed if kind is Kind.PROJECT and key in known and key not in there]
    return [_done(Action.CLOSE, Kind.PROJECT, k, known[k], agreed[Kind.PROJECT, k], None, answer) for k in gone]


def _made(o: Operation, answer: Answer, known: Mapping[BusinessKey, ErpRef]) -> Done:
    action = Action.UPDATE if o.key in known else Action.CREATE
    return _done(action, o.kind, o.key, o.ref, None, fields_of(o.wanted) if o.wanted else None, answer)


def _done(
    action: Action, kind: Kind, key: BusinessKey, ref: ErpRef | None, before: Fields | None, after: Fields | None,
    answer: Answer, status: str = "done", error: str | None = None,
) -> Done:  # fmt: skip
    refused = ErrorClass.ERP_REJECTED if error else None
    return Done(
        action, kind, key, ref, status, before, after, answer.handed_at, answer.answered_at, None, refused, error
    )


def _refuse(outcome: Outcome, own: Group, answer: Answer, observed: Observation) -> None:
    """The ERP's own words, with those for the shared objects that it needed."""
    words = "; ".join(dict.fromkeys(w for one in observed.answers if one.batch == answer.batch for w in one.refusals))
    outcome.findings.append(Finding(ErrorClass.ERP_REJECTED, "erp_rejected", Function.FINANCE_OPERATIONS, words))
    outcome.operations += [
        _done(o.action, o.kind, o.key, o.ref, o.before, o.after, answer, "failed", words) for o in own.operations
    ]


def _wait_for_answer(outcome: Outcome, batch: str, due: datetime, window: BatchWindow, now: datetime) -> None:
    if now < due:
        _wait(outcome, due, f"handed over in batch {batch}; the answer comes at {_at(due, window)}")
        return
    words = f"batch {batch} was to be answered at {_at(due, window)} and is not; it is looked for again and again"
    _wait(outcome, now + LATE, words)
    if now >= due + OVERDUE:
        outcome.tasks.append(Finding(ErrorClass.AMBIGUOUS, "outcome_unknown", Function.INTEGRATION, words))


def _wait(outcome: Outcome, until: datetime, words: str) -> None:
    outcome.name, outcome.state, outcome.refund = "waiting", "waiting", True
    outcome.next_due, outcome.note = until, words
    if outcome.claimed.state == "blocked":
        outcome.steps.append((Step.UNBLOCKED, outcome.started_at))


def _at(moment: datetime, window: BatchWindow) -> str:
    local = moment.astimezone(ZoneInfo(window.zone))
    return f"{local:%H:%M} on {local.day} {local:%b %Y} ({window.zone})"
